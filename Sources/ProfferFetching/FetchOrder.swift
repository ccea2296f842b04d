public import ProfferIsolation
public import ProfferModel

/// What an operator has decided about the files that tasks want to have fetched.
public struct FetchSettings: Hashable, Sendable {
    /// Where the cache and what is half done are; it belongs to the agent alone.
    public var directory = ""
    /// The directories of the node from which files may be taken; none unless set.
    public var roots: [String] = []
    /// The networks from which files may be fetched, see ``FetchNetworks``; `nil` is the standard.
    public var networks: [String]?
    /// How large a file may be, in bytes.
    public var fileBytes: Int64 = 2 << 30
    /// How much an archive may unpack to, in bytes.
    public var unpackedBytes: Int64 = 8 << 30
    /// How many files and directories an archive may have.
    public var entries = 200_000
    /// After so long without a byte, a server is given up.
    public var stall = Duration.seconds(60)
    /// How much the cache may hold, in bytes.
    public var cacheBytes: Int64 = 2 << 30

    /// The standard.
    public init() {}

    /// As text, for the environment of a program.
    public var json: JSON {
        JSON.object([
            .init("directory", .string(directory)), .init("roots", .strings(roots)),
            .init("networks", networks.map { .strings($0) } ?? .null),
            .init("fileBytes", .number(fileBytes)),
            .init("unpackedBytes", .number(unpackedBytes)),
            .init("entries", .number(Int64(entries))),
            .init("stallMilliseconds", .number(stall.components.seconds * 1000)),
            .init("cacheBytes", .number(cacheBytes)),
        ])
    }

    /// Reads ``json``; what is missing has its standard value.
    public init(json: JSON) {
        directory = json["directory"]?.text ?? directory
        roots = json["roots"]?.elements.compactMap(\.text) ?? roots
        if case .array(let list)? = json["networks"] { networks = list.compactMap(\.text) }
        fileBytes = json["fileBytes"]?.integer ?? fileBytes
        unpackedBytes = json["unpackedBytes"]?.integer ?? unpackedBytes
        entries = json["entries"]?.integer.flatMap { Int(exactly: $0) } ?? entries
        stall = json["stallMilliseconds"]?.integer.map { .milliseconds($0) } ?? stall
        cacheBytes = json["cacheBytes"]?.integer ?? cacheBytes
    }
}

/// What the fetcher is to do for one task.
public struct FetchOrder: Hashable, Sendable {
    /// The files, in the order of the task.
    public var uris: [FetchURI]
    /// Where they go.
    public var sandbox: String
    /// The number of the user that they belong to.
    public var user: UInt32
    /// The number of that user's group.
    public var group: UInt32

    /// Sets every field.
    public init(uris: [FetchURI], sandbox: String, user: UInt32, group: UInt32) {
        self.uris = uris
        self.sandbox = sandbox
        self.user = user
        self.group = group
    }

    /// As text, for the input of a program.
    public var json: JSON {
        JSON.object([
            .init("sandbox", .string(sandbox)), .init("user", .number(Int64(user))),
            .init("group", .number(Int64(group))),
            .init(
                "uris",
                .array(
                    uris.map { uri in
                        JSON.object([
                            .init("value", .string(uri.value)),
                            .init("executable", .bool(uri.isExecutable)),
                            .init("extract", .bool(uri.extract)), .init("cache", .bool(uri.cache)),
                            .init("output", uri.outputFile.map { .string($0) } ?? .null),
                        ])
                    })),
        ])
    }

    /// Reads ``json``; `nil` when it is something else.
    public init?(json: JSON) {
        guard let sandbox = json["sandbox"]?.text,
            let user = json["user"]?.integer.flatMap({ UInt32(exactly: $0) }),
            let group = json["group"]?.integer.flatMap({ UInt32(exactly: $0) })
        else { return nil }
        var uris: [FetchURI] = []
        for item in json["uris"]?.elements ?? [] {
            guard let value = item["value"]?.text else { return nil }
            uris.append(
                FetchURI(
                    value: value, isExecutable: item["executable"] == .bool(true),
                    extract: item["extract"] == .bool(true), cache: item["cache"] == .bool(true),
                    outputFile: item["output"]?.text))
        }
        self.init(uris: uris, sandbox: sandbox, user: user, group: group)
    }
}

/// What becomes of one file, decided before it is fetched.
public struct FetchPlan: Hashable, Sendable {
    /// Where it comes from.
    public let address: FetchAddress
    /// Its path in the sandbox; for an archive the name only tells how it is packed.
    public let path: [String]
    /// How it is unpacked; `nil` when it stays as it is.
    public let archive: ArchiveKind?
    /// Whether it can be executed.
    public let isExecutable: Bool
    /// Whether the cache keeps it: only what comes from a server.
    public let isCached: Bool

    /// Decides.
    ///
    /// - Throws: ``FetchRefusal`` that says what is wrong with the URI.
    public init(_ uri: FetchURI) throws(FetchRefusal) {
        address = try FetchAddress(uri.value)
        if let output = uri.outputFile, !output.isEmpty {
            path = try SandboxPath.steps(output)
        } else if let name = address.name {
            path = [name]
        } else {
            throw FetchRefusal("it has no name for the file; give one as output file")
        }
        guard let last = path.last else { throw FetchRefusal("its output file has no name") }
        try SandboxPath.checkReserved(path)
        isExecutable = uri.isExecutable
        // As in Mesos, what is to be executed is not unpacked.
        archive =
            uri.extract && !uri.isExecutable
            ? ArchiveKind(name: last) ?? ArchiveKind(name: address.name ?? "")?.called(last) : nil
        if case .web = address.source { isCached = uri.cache } else { isCached = false }
    }
}
