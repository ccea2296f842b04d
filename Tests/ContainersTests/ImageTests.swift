import Glibc
import ProfferIsolation
import ProfferModel
import Testing

@testable import ProfferContainers

/// A registry on a free port of loopback, with an image of one static program.
private final class Registry {
    static let tools = ["skopeo", "umoci", "docker-registry"]
    static let isPossible =
        isRoot && ContainerBench.busybox != nil
        && tools.allSatisfy { ContainerRuntime.path(of: $0) != nil }

    /// The user `user` with the password `pass`, as the registry keeps it.
    private static let user = "user:$2y$04$abcdefghijklmnopqrstuufznL8bkzdtHwLhca4To/v9Lo9bA7fR6"

    let scratch: Scratch
    private(set) var address = ""
    private var watcher: ProcessWatcher

    /// Starts a registry; with `isGuarded`, it answers only those that show credentials.
    init(isGuarded: Bool = false) throws {
        scratch = try Scratch()
        watcher = try ProcessWatcher()
        let users = scratch.path + "/users"
        let guarding = isGuarded ? "auth: {htpasswd: {realm: test, path: \(users)}}\n" : ""
        let configuration = """
            version: 0.1
            log: {level: info, formatter: text}
            storage: {filesystem: {rootdirectory: \(scratch.path)/data}, delete: {enabled: true}}
            http: {addr: "127.0.0.1:0"}
            \(guarding)
            """
        let file = scratch.path + "/registry.yml"
        let script =
            "cat >\(file) <<'END'\n\(configuration)\nEND\necho '\(Self.user)' >\(users)"
        #expect(try scratch.run(scratch.plan(script))?.code == 0)
        var plan = scratch.plan("exec docker-registry serve \(file)")
        plan.output = .log("registry.log")
        try watcher.watchChild(try ProcessLauncher.start(plan), token: 1)
        let isListening = eventually {
            let log = scratch.text("registry.log")
            guard let start = log.firstRange(of: "listening on 127.0.0.1:")?.upperBound else {
                return false
            }
            address = "127.0.0.1:" + log[start...].prefix { $0.isNumber }
            return true
        }
        #expect(isListening)
    }

    deinit {
        watcher.signalGroup(1, SIGKILL)
        _ = watcher.takeEnds(within: 20_000)
    }

    /// Pushes an image whose file `/note` says `note`, and returns its digest.
    @discardableResult
    func push(_ name: String, note: String, credentials: String? = nil) throws -> String {
        let busybox = try #require(ContainerBench.busybox)
        let authority = credentials.map { "--dest-authfile \($0)" } ?? ""
        let script = """
            set -e; cd '\(scratch.path)'; rm -rf layout bundle
            umoci init --layout layout; umoci new --image layout:a
            umoci unpack --image layout:a bundle
            cd bundle/rootfs; mkdir bin proc dev sys run mnt; mkdir -m 1777 tmp
            cp '\(busybox)' bin/busybox; ln -s busybox bin/sh; ln -s busybox bin/cat
            echo '\(note)' >note; cd ../..
            umoci repack --image layout:a bundle
            umoci config --image layout:a --config.env NOTE=\(note) --config.cmd cat \
            --config.cmd /note
            skopeo --insecure-policy copy --dest-tls-verify=false \(authority) --digestfile digest \
            oci:layout:a docker://\(address)/\(name)
            """
        var plan = scratch.plan(script)
        plan.output = .log("push.log")
        let exit = try scratch.run(plan)
        #expect(exit?.code == 0, "\(scratch.text("push.log"))")
        return String(scratch.text("digest").prefix { $0 != "\n" })
    }
}

@Suite(
    "Images", .serialized,
    .enabled(if: Registry.isPossible, "needs root, skopeo, umoci, docker-registry, busybox-static"))
struct ImageTests {
    private static func store(
        _ scratch: Scratch, bytes: Int64 = 1 << 30, credentials: String? = nil,
        hostPaths: [String] = []
    ) -> ImageStore {
        ImageStore(
            ContainerSettings(
                images: scratch.path + "/images", imageBytes: bytes, credentials: credentials,
                hostPaths: hostPaths))
    }

    @Test("an image is fetched once, with what it says about its programs")
    func fetch() throws {
        let registry = try Registry()
        let digest = try registry.push("test/app:1", note: "one")
        let scratch = try Scratch()
        let store = Self.store(scratch)
        var reports: [String] = []
        let name = "docker://\(registry.address)/test/app:1"
        let image = try store.find(name) { reports.append($0) }
        #expect(image.digest == digest)
        #expect(ProcFile.text(image.root + "/note") == "one")
        #expect(image.defaults.arguments == ["cat", "/note"])
        #expect(image.defaults.environment.last == EnvironmentVariable(name: "NOTE", value: "one"))
        #expect(reports.count == 2)
        #expect(try store.find(name) { reports.append($0) } == image)
        #expect(reports.count == 2)
    }

    @Test("a tag that has moved is followed when asked, and a digest never")
    func moved() throws {
        let registry = try Registry()
        let first = try registry.push("test/app:1", note: "one")
        let scratch = try Scratch()
        let store = Self.store(scratch)
        let name = "\(registry.address)/test/app:1"
        #expect(try store.find(name).digest == first)
        let second = try registry.push("test/app:1", note: "two")
        #expect(first != second)
        #expect(try store.find(name).digest == first)
        let fresh = try store.find(name, isFresh: true)
        #expect(fresh.digest == second)
        #expect(ProcFile.text(fresh.root + "/note") == "two")
        let pinned = try store.find("\(registry.address)/test/app@\(first)", isFresh: true)
        #expect(pinned.digest == first)
        #expect(ProcFile.text(pinned.root + "/note") == "one")
    }

    @Test("a digest that the registry does not have is an error, not another image")
    func wrongDigest() throws {
        let registry = try Registry()
        try registry.push("test/app:1", note: "one")
        let scratch = try Scratch()
        let digest = String(repeating: "ab", count: 32)
        #expect(throws: SystemError.self) {
            try Self.store(scratch).find("\(registry.address)/test/app@sha256:\(digest)")
        }
    }

    @Test("a registry that asks for credentials gets those of the file")
    func credentials() throws {
        let registry = try Registry(isGuarded: true)
        let scratch = try Scratch()
        let file = scratch.path + "/auth.json"
        // A user and a password, as the file has them.
        let script = """
            echo '{"auths":{"\(registry.address)":{"auth":"dXNlcjpwYXNz"}}}' >\(file)
            chmod 600 \(file)
            """
        #expect(try scratch.run(scratch.plan(script))?.code == 0)
        try registry.push("test/app:1", note: "one", credentials: file)
        let name = "\(registry.address)/test/app:1"
        #expect(throws: SystemError.self) { try Self.store(scratch).find(name) }
        #expect(try Self.store(scratch, credentials: file).find(name).digest != nil)
    }

    @Test("what takes too much room goes, the oldest first, and never what is in use")
    func collection() throws {
        let registry = try Registry()
        let scratch = try Scratch()
        let store = Self.store(scratch, bytes: 1)
        var images: [LocalImage] = []
        for number in 1...3 {
            try registry.push("test/app:\(number)", note: "n\(number)")
            images.append(try store.find("\(registry.address)/test/app:\(number)"))
            if number == 1 {
                let uses = try #require(images[0].useDirectory)
                let hex = try #require(images[0].digest?.split(separator: ":").last)
                #expect(creat("\(uses)/\(hex)-task.1", 0o600) >= 0)
            }
        }
        #expect(access(images[0].root + "/note", F_OK) == 0)
        #expect(access(images[1].root, F_OK) != 0)
        #expect(access(images[2].root + "/note", F_OK) == 0)
        // It can be fetched again.
        #expect(try store.find("\(registry.address)/test/app:2") == images[1])
        #expect(ProcFile.text(images[1].root + "/note") == "n2")
    }

    @Test("executors that want the same image at once fetch it one after the other")
    func together() async throws {
        let registry = try Registry()
        try registry.push("test/app:1", note: "one")
        let scratch = try Scratch()
        let name = "\(registry.address)/test/app:1"
        let settings = ContainerSettings(images: scratch.path + "/images")
        let images = try await withThrowingTaskGroup(of: LocalImage.self) { group in
            for _ in 0..<4 { group.addTask { try ImageStore(settings).find(name) } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(Set(images).count == 1)
    }

    @Test("a layout and a directory of the node are images where the operator allows it")
    func local() throws {
        let registry = try Registry()
        try registry.push("test/app:1", note: "one")
        let scratch = try Scratch()
        let layout = registry.scratch.path + "/layout"
        let root = registry.scratch.path + "/bundle/rootfs"
        let allowed = Self.store(scratch, hostPaths: [registry.scratch.path])
        #expect(ProcFile.text(try allowed.find("oci:\(layout):a").root + "/note") == "one")
        #expect(try allowed.find(root).root == root)
        #expect(try allowed.find("dir:" + root).root == root)
        for name in ["oci:\(layout):a", root] {
            let error = #expect(throws: SystemError.self) { try Self.store(scratch).find(name) }
            #expect(error?.hint?.contains("--allowed-host-paths") == true)
        }
        // A link out of what is allowed leads nowhere.
        #expect(symlink("/usr", registry.scratch.path + "/out") == 0)
        #expect(throws: SystemError.self) { try allowed.find(registry.scratch.path + "/out") }
    }
}
