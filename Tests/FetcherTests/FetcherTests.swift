import Crypto
import Foundation
import Hummingbird
import Logging
import ProfferFetching
import ProfferModel
import Testing

@testable import ProfferFetcher

/// A sandbox, and a directory of the node with files to be fetched.
private final class Stage {
    let folder: String
    var settings = FetchSettings()

    init() throws {
        folder = NSTemporaryDirectory() + "proffer-fetch-" + UUID().uuidString
        for name in ["sandbox", "node", "fetch"] {
            try FileManager.default.createDirectory(
                atPath: folder + "/" + name, withIntermediateDirectories: true)
        }
        settings.directory = folder + "/fetch"
        settings.roots = [folder + "/node"]
        settings.networks = ["127.0.0.0/8"]
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    func fetch(_ uris: FetchURI...) async throws {
        try await Fetcher(settings).carryOut(
            FetchOrder(
                uris: uris, sandbox: folder + "/sandbox", user: geteuid(), group: getegid()))
    }

    func uri(_ name: String, _ fragment: String = "") -> String {
        "file://\(folder)/node/\(name)\(fragment)"
    }

    func write(_ text: String, _ name: String) throws {
        try Data(text.utf8).write(to: URL(fileURLWithPath: folder + "/node/" + name))
    }

    func text(_ name: String) -> String? {
        try? String(contentsOfFile: folder + "/sandbox/" + name, encoding: .utf8)
    }

    func mode(_ name: String) -> UInt32 {
        var status = stat()
        return lstat(folder + "/sandbox/" + name, &status) == 0 ? status.st_mode & 0o7777 : 0
    }

    var names: [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: folder + "/sandbox")) ?? [])
            .sorted()
    }

    /// Runs a shell command in the directory of the node.
    func shell(_ command: String) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = ["-ec", command]
        process.currentDirectoryURL = URL(fileURLWithPath: folder + "/node")
        try process.run()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0, "\(command)")
    }
}

@Suite("Fetcher", .enabled(if: access("/usr/bin/bsdtar", X_OK) == 0, "needs libarchive-tools"))
struct FetcherTests {
    @Test("a file of the node is copied, under another name and executable if so wished")
    func file() async throws {
        let stage = try Stage()
        try stage.write("hello", "a")
        let sum = Digits.text(SHA256.hash(data: Array("hello".utf8)))
        try await stage.fetch(
            FetchURI(value: stage.uri("a", "#sha256=\(sum)")),
            FetchURI(value: stage.folder + "/node/a", isExecutable: true, outputFile: "d/run"))
        #expect(stage.text("a") == "hello")
        #expect(stage.text("d/run") == "hello")
        #expect(stage.mode("a") == 0o644)
        #expect(stage.mode("d/run") == 0o755)
    }

    @Test(
        "what is not below an allowed directory, is a link, or is not what was wanted, is refused")
    func refused() async throws {
        let stage = try Stage()
        try stage.write("hello", "a")
        try stage.shell("ln -s /etc/passwd link; mkdir dir; mkfifo pipe; ln -s .. up")
        stage.settings.fileBytes = 10
        try stage.write("more than ten bytes", "large")
        let wrong = "#sha256=" + String(repeating: "0", count: 64)
        for value in [
            "file:///etc/passwd", stage.uri("link"), stage.uri("dir"), stage.uri("pipe"),
            stage.uri("none"), stage.uri("up/node/a"), stage.uri("large"), stage.uri("a", wrong),
            "ftp://h/x",
        ] {
            await #expect(throws: FetchFailure.self) {
                try await stage.fetch(FetchURI(value: value))
            }
        }
        #expect(stage.names.isEmpty)
    }

    @Test(
        "archives of every kind are unpacked",
        arguments: ["tar", "tgz", "tar.xz", "tar.bz2", "zip"])
    func archives(suffix: String) async throws {
        let stage = try Stage()
        try stage.shell(
            "mkdir -p in/d; echo one > in/a; printf '#!/bin/sh' > in/d/run; chmod 4755 in/d/run; "
                + "ln -s ../a in/d/link; cd in; bsdtar -a -cf ../x.\(suffix) a d")
        try await stage.fetch(FetchURI(value: stage.uri("x.\(suffix)")))
        #expect(stage.names == ["a", "d"])
        #expect(stage.text("a") == "one\n")
        #expect(stage.mode("d/run") == 0o755)
        #expect(stage.text("d/link") == "one\n")
    }

    @Test("a compressed file is unpacked under its name without the ending")
    func compressed() async throws {
        let stage = try Stage()
        try stage.write("hello", "a")
        try stage.shell("gzip -k a; xz -k a; mv a.gz b.gz")
        try await stage.fetch(
            FetchURI(value: stage.uri("b.gz")), FetchURI(value: stage.uri("a.xz")),
            FetchURI(value: stage.uri("a.xz"), extract: false))
        #expect(stage.names == ["a", "a.xz", "b"])
        #expect(stage.text("a") == "hello")
        #expect(stage.text("b") == "hello")
    }

    static let hostile = [
        "echo x > ../outside; bsdtar -P -cf x.tar ../outside",
        "echo x > ../outside; bsdtar -P -cf x.tar $(cd ..; pwd)/outside",
        "mkfifo p; bsdtar -cf x.tar p", "ln -s /etc l; bsdtar -cf x.tar l",
        "ln -s ../.. l; bsdtar -cf x.tar l",
        "mkdir -p a; ln -s .. a/l; mkdir s; ln -s a/l s/m; ln -s m/.. s/n; bsdtar -cf x.tar a s",
        "head -c 2000000 /dev/zero > z; bsdtar -cf x.tar z",
        "truncate -s 1T z; bsdtar --read-sparse -cf x.tar z",
        "for i in $(seq 60); do echo > f$i; done; bsdtar -cf x.tar f*",
        "echo x > stdout; bsdtar -cf x.tar stdout", "echo nothing > x.tar",
        "printf '#mtree\\n./leak type=file contents=/etc/hostname\\n' > x.tar",
        "printf '#mtree\\n./leak type=file contents=/etc/hostname\\n' | gzip > x.tar",
        "echo x > y; bsdtar -cf y.tar y; head -c 700 y.tar > x.tar",
    ]

    @Test("a hostile archive is refused, and nothing is made outside", arguments: hostile)
    func hostileArchive(command: String) async throws {
        let stage = try Stage()
        stage.settings.unpackedBytes = 1_000_000
        stage.settings.entries = 50
        try stage.shell(command)
        try? FileManager.default.removeItem(atPath: stage.folder + "/outside")
        await #expect(throws: FetchFailure.self) {
            try await stage.fetch(FetchURI(value: stage.uri("x.tar")))
        }
        #expect(!FileManager.default.fileExists(atPath: stage.folder + "/outside"))
        #expect(!stage.names.contains("stdout"))
        #expect(!stage.names.contains("leak"))
    }

    @Test("a compressed bomb is refused")
    func bomb() async throws {
        let stage = try Stage()
        stage.settings.unpackedBytes = 1_000_000
        try stage.shell("head -c 100000000 /dev/zero | gzip > x.gz")
        await #expect(throws: FetchFailure.self) {
            try await stage.fetch(FetchURI(value: stage.uri("x.gz")))
        }
    }

    @Test("a link that was in the sandbox before is replaced and not written through")
    func planted() async throws {
        let stage = try Stage()
        try stage.write("new", "a")
        try stage.shell(
            "echo old > precious; ln -s ../node/precious ../sandbox/a; "
                + "ln precious ../sandbox/b; mkdir -p d; echo in > d/f; bsdtar -cf x.tar d; "
                + "ln -s ../node ../sandbox/d")
        try await stage.fetch(
            FetchURI(value: stage.uri("a")), FetchURI(value: stage.uri("a"), outputFile: "b"))
        #expect(stage.text("a") == "new")
        #expect(stage.text("b") == "new")
        await #expect(throws: FetchFailure.self) {
            try await stage.fetch(FetchURI(value: stage.uri("x.tar")))
        }
        #expect(
            try String(contentsOfFile: stage.folder + "/node/precious", encoding: .utf8)
                == "old\n")
    }

    @Test("a directory that changes between itself and a link never leads outside")
    func swapped() async throws {
        let stage = try Stage()
        try stage.shell("mkdir -p d/e; echo x > d/e/f; bsdtar -cf x.tar d/e/f; rm -r d")
        let sandbox = stage.folder + "/sandbox"
        let outside = stage.folder + "/outside"
        mkdir(outside, 0o700)
        let swaps = Task.detached {
            while !Task.isCancelled {
                rename(sandbox + "/d", sandbox + "/o")
                symlink(outside, sandbox + "/d")
                unlink(sandbox + "/d")
                rename(sandbox + "/o", sandbox + "/d")
            }
        }
        for _ in 0..<30 { try? await stage.fetch(FetchURI(value: stage.uri("x.tar"))) }
        swaps.cancel()
        await swaps.value
        #expect(try FileManager.default.contentsOfDirectory(atPath: outside).isEmpty)
    }
}

@Suite("Fetching from servers")
struct WebTests {
    /// Serves while `body` runs; that is given the address.
    private func serve(
        _ router: Router<BasicRequestContext>,
        _ body: @escaping @Sendable (String) async throws -> Void
    ) async throws {
        let (ports, continuation) = AsyncStream.makeStream(of: Int.self)
        let application = Application(
            router: router, configuration: .init(address: .hostname("127.0.0.1", port: 0)),
            onServerRunning: { continuation.yield($0.localAddress?.port ?? 0) },
            logger: Logger(label: "files"))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await application.run() }
            for await port in ports {
                try await body("http://127.0.0.1:\(port)")
                break
            }
            group.cancelAll()
        }
    }

    private actor Count {
        private(set) var value = 0
        func add() { value += 1 }
    }

    @Test("what is cached is fetched once, also by tasks that start together")
    func cached() async throws {
        let count = Count()
        let router = Router()
        router.get("/a") { _, _ in
            await count.add()
            return "hello"
        }
        try await serve(router) { base in
            let stage = try Stage()
            try await withThrowingTaskGroup(of: Void.self) { group in
                let settings = stage.settings
                for number in 0..<4 {
                    let order = FetchOrder(
                        uris: [FetchURI(value: base + "/a", cache: true, outputFile: "f\(number)")],
                        sandbox: stage.folder + "/sandbox", user: geteuid(), group: getegid())
                    group.addTask { try await Fetcher(settings).carryOut(order) }
                }
                try await group.waitForAll()
            }
            #expect(stage.names == ["f0", "f1", "f2", "f3"])
            #expect(await count.value == 1)
            try await stage.fetch(FetchURI(value: base + "/a"))
            #expect(await count.value == 2)
            let cache = FetchCache(
                directory: stage.folder + "/fetch/cache", policy: CachePolicy(limit: 10))
            #expect(cache.entries().map(\.uses) == [0])
            let (held, wasThere) = try await cache.find(base + "/a") { _ in }
            #expect(wasThere)
            #expect(cache.entries().map(\.uses) == [1])
            let (other, _) = try await cache.find("b") {
                try FileCopy.write(Array("123456".utf8), to: $0)
            }
            #expect(cache.entries().map(\.bytes) == [5])
            close(other)
            close(held)
            let (third, _) = try await cache.find("c") {
                try FileCopy.write(Array("123456".utf8), to: $0)
            }
            #expect(cache.entries().map(\.bytes) == [6])
            close(third)
        }
    }

    @Test("redirections are followed as far as they are allowed, and answers have their limits")
    func answers() async throws {
        let router = Router()
        func redirect(_ path: RouterPath, _ location: String) {
            router.get(path) { _, _ in
                Response(status: .found, headers: [.location: location])
            }
        }
        redirect("/once", "/a")
        redirect("/loop", "/loop")
        redirect("/file", "file:///etc/passwd")
        redirect("/meta", "http://169.254.169.254/x")
        router.get("/a") { _, _ in "hello" }
        router.get("/long") { _, _ in String(repeating: "x", count: 5000) }
        router.get("/endless") { _, _ in
            Response(
                status: .ok,
                body: .init { writer in
                    for _ in 0..<100 {
                        try await writer.write(ByteBuffer(repeating: 1, count: 100))
                    }
                    try await writer.finish(nil)
                })
        }
        try await serve(router) { base in
            let stage = try Stage()
            stage.settings.fileBytes = 1000
            try await stage.fetch(FetchURI(value: base + "/once"))
            #expect(stage.text("once") == "hello")
            for path in ["/loop", "/file", "/meta", "/long", "/endless", "/none"] {
                await #expect(throws: FetchFailure.self) {
                    try await stage.fetch(FetchURI(value: base + path))
                }
            }
            #expect(stage.names == ["once"])
            stage.settings.networks = nil
            let failure = await #expect(throws: FetchFailure.self) {
                try await stage.fetch(FetchURI(value: base + "/a?token=secret"))
            }
            #expect(failure?.because.contains("not in a network") == true)
            #expect(failure?.description.contains("secret") == false)
        }
    }
}
