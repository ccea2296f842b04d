internal import CLinux
internal import Crypto
internal import Glibc
internal import ProfferContainers
public import ProfferFetching
internal import ProfferIsolation
internal import ProfferModel

/// A file could not be fetched.
public struct FetchFailure: Error, Hashable, CustomStringConvertible, Sendable {
    /// Its URI, without what may be secret in it.
    public var uri: String
    /// Why.
    public var because: String
    /// What to do.
    public var advice: String

    /// What failed, because of what, what to do.
    public var description: String { "cannot fetch '\(uri)': \(because); \(advice)" }
}

/// Fetches the files of one task into its sandbox.
public struct Fetcher {
    private let settings: FetchSettings
    private let networks: FetchNetworks

    /// Makes a fetcher.
    ///
    /// - Throws: ``FetchRefusal`` when a network of the settings is none.
    public init(_ settings: FetchSettings) throws(FetchRefusal) {
        self.settings = settings
        networks =
            try settings.networks.map { list throws(FetchRefusal) in
                try FetchNetworks(list) { IPAddress.bytes($0) }
            } ?? FetchNetworks()
    }

    /// Fetches all files of an order, one after the other.
    ///
    /// - Throws: ``FetchFailure`` of the first that fails; what was fetched before stays.
    public func carryOut(_ order: FetchOrder) async throws(FetchFailure) {
        for uri in order.uris {
            do {
                try await fetch(FetchPlan(uri), order)
            } catch {
                throw FetchFailure(
                    uri: String(uri.value.prefix { $0 != "?" && $0 != "#" }.prefix(300)),
                    because: "\(error)", advice: Self.advice(error))
            }
        }
    }

    private static func advice(_ error: any Error) -> String {
        switch error {
        case is FetchRefusal:
            "correct the URI or what it leads to, or ask the operator of the agent"
        case is TreeProblem: "look at the disk of the agent"
        default: "look whether the server can be reached from the agent"
        }
    }

    private func fetch(_ plan: FetchPlan, _ order: FetchOrder) async throws {
        let file = try await obtain(plan)
        defer { close(file) }
        if let checksum = plan.address.checksum { try check(file, checksum) }
        let tree = try SandboxTree(order.sandbox, user: order.user, group: order.group)
        guard let archive = plan.archive else {
            let target = try tree.makeFile(plan.path)
            do {
                try FileCopy.read(file) { try FileCopy.write($0, to: target) }
            } catch {
                close(target)
                throw error
            }
            try tree.finish(target, mode: plan.isExecutable ? 0o755 : 0o644, plan.path)
            return
        }
        try await unpack(file, archive, plan, tree, order)
    }

    private func unpack(
        _ file: Int32, _ archive: ArchiveKind, _ plan: FetchPlan, _ tree: SandboxTree,
        _ order: FetchOrder
    ) async throws {
        var template = Array("\(settings.directory)/tmp/XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else { throw TreeProblem("make", ["tmp"]) }
        let directory = String(cString: made)
        defer { rmdir(directory) }
        let unpacker = Unpacker(
            tree: tree, settings: settings, directory: directory, user: Self.user(order.user))
        let top = Array(plan.path.dropLast())
        switch archive {
        case .archive: try unpacker.unpackArchive(file, below: top)
        case .compressed(let program, let name):
            try SandboxPath.checkReserved(top + [name])
            try unpacker.unpackFile(file, with: program, to: top + [name])
        }
    }

    /// Who unpacks: the task's user, or for root one without rights.
    private static func user(_ id: uid_t) -> String? {
        if geteuid() != 0 { return nil }
        var entry = passwd()
        var found: UnsafeMutablePointer<passwd>?
        var buffer = [CChar](repeating: 0, count: 16_384)
        guard id != 0, getpwuid_r(id, &entry, &buffer, buffer.count, &found) == 0, found != nil,
            let name = entry.pw_name
        else { return "nobody" }
        return String(cString: name)
    }

    /// The file, open, in a place where nobody else can change it.
    private func obtain(_ plan: FetchPlan) async throws -> Int32 {
        for name in ["", "/tmp", "/cache"] {
            if mkdir(settings.directory + name, 0o711) != 0, errno != EEXIST {
                throw TreeProblem("make", [settings.directory + name])
            }
        }
        switch plan.address.source {
        case .node(let steps):
            let copy = try temporary()
            do {
                try copyFromNode(steps, to: copy)
            } catch {
                close(copy)
                throw error
            }
            return copy
        case .web:
            let web = WebSource(settings: settings, networks: networks)
            if plan.isCached {
                let cache = FetchCache(
                    directory: settings.directory + "/cache",
                    policy: CachePolicy(limit: settings.cacheBytes))
                return try await cache.find(plan.address.text) {
                    try await web.fetch(plan.address, to: $0)
                }.file
            }
            let copy = try temporary()
            do {
                try await web.fetch(plan.address, to: copy)
            } catch {
                close(copy)
                throw error
            }
            return copy
        }
    }

    private func copyFromNode(_ steps: [String], to copy: Int32) throws {
        let path = "/" + steps.joined(separator: "/")
        guard let root = settings.roots.first(where: { path.hasPrefix($0 + "/") }) else {
            throw FetchRefusal("this agent fetches no files of the node from there")
        }
        let top = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard top >= 0 else { throw TreeProblem("open", [root]) }
        defer { close(top) }
        let flags = UInt64(O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW)
        let file = linux_open_below(top, String(path.dropFirst(root.count + 1)), flags)
        guard file >= 0 else { throw TreeProblem("open", steps) }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw FetchRefusal("it is no regular file")
        }
        var left = settings.fileBytes
        try FileCopy.read(file) { bytes in
            left -= Int64(bytes.count)
            if left < 0 { throw FetchRefusal("it is larger than \(settings.fileBytes) bytes") }
            try FileCopy.write(bytes, to: copy)
        }
    }

    /// A file without a name.
    private func temporary() throws -> Int32 {
        var template = Array("\(settings.directory)/tmp/XXXXXX".utf8CString)
        let file = mkstemp(&template)
        guard file >= 0 else { throw TreeProblem("make", ["tmp"]) }
        _ = fcntl(file, F_SETFD, FD_CLOEXEC)
        unlink(template)
        return file
    }

    private func check(_ file: Int32, _ checksum: String) throws {
        var hash = SHA256()
        try FileCopy.read(file) { hash.update(data: $0) }
        let found = Digits.text(hash.finalize())
        guard found == checksum else {
            throw FetchRefusal("its SHA-256 is \(found), not \(checksum)")
        }
    }
}
