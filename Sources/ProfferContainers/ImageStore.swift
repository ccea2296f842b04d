internal import Glibc
public import ProfferIsolation
internal import ProfferModel

/// An image that is there to be used.
public struct LocalImage: Hashable, Sendable {
    /// Its unpacked root file system.
    public var root: String
    /// What it says about the programs in it.
    public var defaults: ImageDefaults
    /// Its digest; `nil` for a plain directory.
    public var digest: String?
    /// A file to be made by whoever uses it, under a name of its own, and removed afterwards: as
    /// long as there is one, the image stays.
    public var useDirectory: String?
}

/// The images of a node, shared by all its executors.
///
/// Layers are kept once each under their digests, and every image is unpacked once under the
/// digest of its manifest. `skopeo` fetches and checks, `umoci` unpacks. A lock file makes one
/// executor wait for the other. When the unpacked images take more room than they may, those go
/// that nobody uses, the one used longest ago first.
public struct ImageStore: Sendable {
    private let settings: ContainerSettings
    private let started: @Sendable (ProcessIdentity) -> Void
    private static let pullTimeout: Int32 = 1_800_000
    private static let toolTimeout: Int32 = 600_000

    /// Makes a store; its directory is made with the first image.
    ///
    /// - Parameters:
    ///   - settings: Where it is, and from where images may be.
    ///   - started: Told of each process of a tool, which may be killed to end a fetch.
    public init(
        _ settings: ContainerSettings,
        started: @escaping @Sendable (ProcessIdentity) -> Void = { _ in }
    ) {
        self.settings = settings
        self.started = started
    }

    private var layout: String { settings.images + "/layout" }
    private var unpacked: String { settings.images + "/unpacked" }
    private var names: String { settings.images + "/names" }
    private var uses: String { settings.images + "/uses" }

    /// Finds an image, fetching and unpacking it when it is not there.
    ///
    /// - Parameters:
    ///   - text: Its name, see ``ImageName``.
    ///   - isFresh: Whether the registry is asked even if the image is there.
    ///   - report: Told what is being done, when it takes long.
    ///   - claim: Makes a file in the image's directory of uses, before anybody can remove it.
    /// - Returns: The image.
    /// - Throws: ``SystemError`` that names the image, with what the tool said.
    public func find(
        _ text: String, isFresh: Bool = false, report: (String) -> Void = { _ in },
        claim: (LocalImage) throws(SystemError) -> Void = { _ in }
    ) throws(SystemError) -> LocalImage {
        guard let name = ImageName(text) else {
            throw SystemError("use the image", text, code: EINVAL, hint: "this is no image name")
        }
        if let path = name.hostPath { try allow(path, text) }
        if case .directory(let path) = name {
            guard access(path, R_OK | X_OK) == 0 else {
                throw SystemError("use the image", text, code: errno)
            }
            return LocalImage(root: path, defaults: ImageDefaults())
        }
        for directory in [settings.images, layout, unpacked, names, uses] {
            try makeDirectory(directory)
        }
        let lock = try lock()
        defer { close(lock) }
        let image = try find(name, text, isFresh: isFresh, report)
        try claim(image)
        return image
    }

    /// Finds an image that is kept here, with the lock held.
    private func find(
        _ name: ImageName, _ text: String, isFresh: Bool, _ report: (String) -> Void
    ) throws(SystemError) -> LocalImage {
        let key = Self.key(text)
        let isPinned = text.contains("@sha256:")
        if !isFresh || isPinned, let digest = ProcFile.text("\(names)/\(key)", limit: 256),
            let image = image(digest)
        {
            return image
        }
        report("fetching the image \(text)")
        try fetch(name, key, text)
        let digest = try manifest(of: key, text)
        if image(digest) == nil {
            report("unpacking the image \(text), \(digest)")
            try unpack(key, digest, text)
        }
        try write(digest, to: "\(names)/\(key)")
        guard let image = image(digest) else {
            throw SystemError("use the image", text, code: EIO)
        }
        collect(keeping: digest, report: report)
        return image
    }

    /// Images of the node's own may lie only where the operator says.
    private func allow(_ path: String, _ text: String) throws(SystemError) {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        guard realpath(path, &buffer) != nil else {
            throw SystemError("use the image", text, code: errno)
        }
        let real = buffer.withUnsafeBytes { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        let isAllowed = settings.hostPaths.contains { real == $0 || real.hasPrefix($0 + "/") }
        guard isAllowed else {
            throw SystemError(
                "use the image", text, code: EACCES,
                hint: "the agent's --allowed-host-paths does not list it")
        }
    }

    private func makeDirectory(_ path: String) throws(SystemError) {
        if mkdir(path, 0o700) != 0, errno != EEXIST {
            throw SystemError("make", path, code: errno)
        }
    }

    private func lock() throws(SystemError) -> Int32 {
        let path = settings.images + "/lock"
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0, flock(descriptor, LOCK_EX) == 0 else {
            throw SystemError("lock", path, code: errno)
        }
        return descriptor
    }

    /// A file name for the name of an image (FNV-1a, twice).
    private static func key(_ text: String) -> String {
        var (one, two): (UInt64, UInt64) = (0xCBF2_9CE4_8422_2325, 0x8422_2325_CBF2_9CE4)
        for byte in text.utf8 {
            one = (one ^ UInt64(byte)) &* 0x100_0000_01B3
            two = (two &* 0x100_0000_01B3) ^ UInt64(byte)
        }
        return String(one, radix: 16) + String(two, radix: 16)
    }

    // MARK: Fetching

    private func fetch(_ name: ImageName, _ key: String, _ text: String) throws(SystemError) {
        guard let skopeo = ContainerRuntime.path(of: "skopeo") else {
            throw SystemError("use the image", text, code: ENOENT, hint: "install skopeo")
        }
        var arguments = [skopeo, "--insecure-policy", "copy", "--quiet"]
        if let credentials = settings.credentials { arguments += ["--src-authfile", credentials] }
        if name.isLocal { arguments += ["--src-tls-verify=false"] }
        switch name {
        case .registry(let path): arguments.append("docker://" + path)
        case .layout(let directory, let tag): arguments.append("oci:\(directory):\(tag)")
        case .directory(let path): arguments.append("dir:" + path)
        }
        arguments.append("oci:\(layout):\(key)")
        try tool(arguments, "fetch the image", text, Self.pullTimeout)
    }

    private func tool(
        _ arguments: [String], _ operation: String, _ text: String, _ timeout: Int32
    ) throws(SystemError) {
        let environment =
            ContainerRuntime.environment + [
                EnvironmentVariable(name: "HOME", value: settings.images),
                EnvironmentVariable(name: "TMPDIR", value: settings.images),
            ]
        let result = try Program.run(
            Invocation(arguments, environment: environment), within: timeout,
            directory: settings.images, started: started)
        guard result.exit?.code == 0 else {
            throw SystemError(operation, text, code: ECHILD, hint: result.problem)
        }
    }

    /// The digest of the manifest that the layout has under a name.
    private func manifest(of key: String, _ text: String) throws(SystemError) -> String {
        let index = json(layout + "/index.json")
        for entry in index?["manifests"]?.elements ?? [] {
            let name = entry["annotations"]?["org.opencontainers.image.ref.name"]?.text
            if name == key, let digest = entry["digest"]?.text, let hex = Self.hex(digest) {
                return hex
            }
        }
        throw SystemError("use the image", text, code: ENOENT, hint: "its manifest is missing")
    }

    /// The digits of a digest, if it is one that can be a file name.
    private static func hex(_ digest: String) -> String? {
        let parts = digest.split(separator: ":")
        guard parts.count == 2, parts[0] == "sha256", parts[1].utf8.count == 64,
            parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) })
        else { return nil }
        return String(parts[1])
    }

    private func json(_ path: String) -> JSON? {
        guard let bytes = ProcFile.bytes(path, limit: 4 << 20) else { return nil }
        return try? JSON(text: String(decoding: bytes, as: UTF8.self))
    }

    private func blob(_ digest: String?) -> JSON? {
        digest.flatMap(Self.hex).flatMap { json("\(layout)/blobs/sha256/\($0)") }
    }

    /// Unpacks beside the place where it belongs, so that what is there is whole.
    private func unpack(_ key: String, _ digest: String, _ text: String) throws(SystemError) {
        guard let umoci = ContainerRuntime.path(of: "umoci") else {
            throw SystemError("use the image", text, code: ENOENT, hint: "install umoci")
        }
        let fresh = "\(unpacked)/.\(digest)"
        _ = FileTree.remove(fresh)
        do throws(SystemError) {
            try tool(
                [umoci, "unpack", "--image", "\(layout):\(key)", fresh], "unpack the image", text,
                Self.toolTimeout)
            let config = blob(blob("sha256:" + digest)?["config"]?["digest"]?.text)
            try write((config ?? .null).description, to: fresh + "/image.json")
            try write("\(FileTree.size(fresh + "/rootfs"))", to: fresh + "/size")
        } catch {
            _ = FileTree.remove(fresh)
            throw error
        }
        let final = "\(unpacked)/\(digest)"
        guard rename(fresh, final) == 0 else {
            throw SystemError("unpack the image", text, code: errno)
        }
    }

    private func write(_ text: String, to path: String) throws(SystemError) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw SystemError("make", path, code: errno) }
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count else {
            throw SystemError("write to", path, code: errno)
        }
    }

    /// The unpacked image with this digest, if it is there; it counts as used now.
    private func image(_ digest: String) -> LocalImage? {
        let directory = "\(unpacked)/\(digest)"
        guard access(directory + "/size", R_OK) == 0 else { return nil }
        utimes(directory + "/size", nil)
        return LocalImage(
            root: directory + "/rootfs",
            defaults: json(directory + "/image.json").map { ImageDefaults($0) } ?? ImageDefaults(),
            digest: "sha256:" + digest, useDirectory: uses)
    }

    // MARK: Removing

    /// Removes images until what is left takes no more room than it may.
    private func collect(keeping newest: String, report: (String) -> Void) {
        let inUse = Set(
            DirectoryNames.list(uses).compactMap { $0.split(separator: "-").first.map(String.init) }
        )
        var kept: [(digest: String, size: Int64, usedAt: Int)] = []
        for digest in DirectoryNames.list(unpacked) {
            let path = "\(unpacked)/\(digest)/size"
            var status = stat()
            guard stat(path, &status) == 0 else {
                // Something that a crash has left half done.
                _ = FileTree.remove("\(unpacked)/\(digest)")
                continue
            }
            let size = ProcFile.text(path, limit: 64).flatMap { Int64($0) } ?? 0
            kept.append((digest, size, Int(status.st_mtim.tv_sec)))
        }
        var total = kept.reduce(0) { $0 + $1.size }
        var removed: Set<String> = []
        for image in kept.sorted(by: { $0.usedAt < $1.usedAt }) where total > settings.imageBytes {
            if inUse.contains(image.digest) || image.digest == newest { continue }
            guard FileTree.remove("\(unpacked)/\(image.digest)") else { continue }
            report("removed the image sha256:\(image.digest)")
            total -= image.size
            removed.insert(image.digest)
        }
        if removed.isEmpty { return }
        guard let umoci = ContainerRuntime.path(of: "umoci") else { return }
        for key in DirectoryNames.list(names) {
            guard let digest = ProcFile.text("\(names)/\(key)", limit: 256),
                removed.contains(digest)
            else { continue }
            unlink("\(names)/\(key)")
            try? tool(
                [umoci, "rm", "--image", "\(layout):\(key)"], "remove the image", key,
                Self.toolTimeout)
        }
        try? tool(
            [umoci, "gc", "--layout", layout], "remove layers from", layout, Self.toolTimeout)
    }
}
