/// Which module may import which: the three rings of the design, as data.
enum ImportRules {
    static let collections: Set<String> = ["DequeModule", "HeapModule", "OrderedCollections"]
    static let system: Set<String> = ["Glibc", "Synchronization"]
    static let foundation: Set<String> = ["Foundation", "FoundationEssentials"]
    static let logging: Set<String> = ["Logging", "CoreMetrics", "Metrics"]
    static let server: Set<String> = [
        "Hummingbird", "HummingbirdCore", "HTTPTypes", "NIOCore", "NIOFoundationCompat", "NIOHTTP1",
        "ServiceLifecycle",
    ]

    /// The targets without input and output; everything they may import of ours.
    static let pure: [String: Set<String>] = [
        "ProfferKernel": [],
        "ProfferModel": ["ProfferKernel"],
        "ProfferSession": ["ProfferKernel"],
        "ProfferAllocation": ["ProfferKernel", "ProfferModel"],
        "ProfferElection": ["ProfferKernel"],
        "ProfferMaster": ["ProfferKernel", "ProfferModel", "ProfferAllocation"],
        "ProfferAgent": ["ProfferKernel", "ProfferModel"],
        "ProfferExecutor": ["ProfferKernel", "ProfferModel"],
        "ProfferExecutorDriver": ["ProfferKernel", "ProfferModel"],
        "ProfferFramework": ["ProfferKernel", "ProfferModel"],
        "ProfferIsolation": ["ProfferKernel", "ProfferModel"],
        "ProfferFetching": ["ProfferModel", "ProfferIsolation"],
        "ProfferSimulation": [
            "ProfferKernel", "ProfferModel", "ProfferSession", "ProfferAllocation",
            "ProfferMaster", "ProfferAgent", "ProfferExecutor", "ProfferFramework",
            "ProfferElection",
        ],
    ]

    /// The targets that talk to the world, and those that put them together; everything that they
    /// may import, of ours and of others.
    static let edge: [String: Set<String>] = [
        "ProfferZeroMQ": Set(["CZeroMQ"]).union(system),
        "ProfferWire": kernel.union(foundation).union([
            "ProfferSession", "ProfferSchema", "SwiftProtobuf",
        ]),
        "ProfferExecutorWire": kernel.union(["ProfferSession"]),
        "ProfferTransport": kernel.union(system).union(collections).union([
            "ProfferSession", "ProfferZeroMQ",
        ]),
        "ProfferRegistry": kernel.union(system).union(foundation).union([
            "ProfferElection", "ProfferWire", "GRDB", "GRDBSQLite", "Dispatch",
            "AsyncHTTPClient", "NIOCore", "NIOHTTP1", "NIOSSL",
        ]),
        "ProfferContainers": kernel.union(system).union([
            "CLinux", "CSpawn", "ProfferIsolation", "ProfferFetching",
        ]),
        "ProfferFetcher": kernel.union(system).union([
            "CLinux", "ProfferIsolation", "ProfferFetching", "ProfferContainers",
            "AsyncHTTPClient", "Crypto", "NIOCore", "NIOHTTP1",
        ]),
        "ProfferFailpoints": system,
        "ProfferAPI": kernel.union(foundation),
        "ProfferHTTP": kernel.union(system).union(foundation).union(logging).union(server)
            .union(["ProfferAPI"]),

        "Proffer": kernel.union(system).union(foundation).union(logging).union([
            "ProfferFailpoints", "ProfferFramework", "ProfferTransport", "ProfferWire",
            "ProfferZeroMQ",
        ]),
        "ProfferExecutorSDK": kernel.union(system).union(["Logging"]).union([
            "ProfferExecutorDriver", "ProfferExecutorWire", "ProfferSession", "ProfferTransport",
            "ProfferZeroMQ",
        ]),
        "ProfferExecutorShell": kernel.union(system).union(collections).union([
            "CLinux", "ProfferExecutor", "ProfferContainers", "ProfferExecutorWire",
            "ProfferFailpoints", "ProfferIsolation",
            "ProfferSession", "ProfferTransport", "ProfferZeroMQ",
        ]),
        "ProfferRuntime": kernel.union(system).union(foundation).union(logging)
            .union(collections).union([
                "ProfferAllocation", "ProfferElection", "ProfferSession", "ProfferMaster",
                "ProfferAgent", "ProfferFailpoints", "ProfferIsolation",
                "ProfferTransport", "ProfferWire", "ProfferRegistry", "ProfferContainers",
                "ProfferHTTP", "ProfferAPI", "ProfferFetching",
                "ProfferZeroMQ", "Configuration", "Hummingbird", "ServiceLifecycle",
                "SystemPackage", "UnixSignals",
            ]),
        "ProfferEmbedded": kernel.union(system).union(foundation).union(logging).union([
            "Proffer", "ProfferRuntime", "ProfferExecutorShell", "ProfferTransport",
            "ProfferZeroMQ", "ProfferMaster", "ProfferAgent", "ProfferAllocation",
            "ProfferContainers", "ProfferHTTP", "ProfferIsolation", "ProfferFetching",
        ]),
        "ProfferCommands": kernel.union(system).union(foundation).union(logging).union([
            "CLinux", "ProfferAPI", "ProfferContainers", "ProfferIsolation", "ProfferRegistry",
            "ProfferSimulation", "ProfferTransport",
            "ProfferWire", "ProfferZeroMQ", "ArgumentParser", "AsyncHTTPClient", "NIOCore",
            "NIOHTTP1", "NIOPosix",
        ]),
        "proffer-master": program.union(["ProfferRuntime"]),
        "proffer-agent": program.union(["ProfferRuntime"]),
        "proffer-fetcher": ["Glibc", "ProfferFetcher", "ProfferFetching", "ProfferIsolation"],
        "proffer-executor": [
            "Glibc", "ProfferContainers", "ProfferExecutorShell", "ProfferIsolation",
            "ProfferModel", "ProfferZeroMQ",
        ],
        "proffer-cli": ["ArgumentParser", "ProfferCommands"],
    ]

    private static let kernel: Set<String> = ["ProfferKernel", "ProfferModel"]
    private static let program = kernel.union(system).union(foundation).union(logging).union([
        "ArgumentParser", "Configuration", "ServiceLifecycle",
    ])

    /// What somebody else's package can import of ours.
    static let products: Set<String> = Set([
        "Proffer", "ProfferEmbedded", "ProfferExecutorSDK", "ProfferRuntime", "ProfferZeroMQ",
    ]).union(pure.keys)

    /// The policies of the examples follow the rules of the pure ring.
    static func isPure(_ file: SourceFile) -> Bool {
        if file.path.hasPrefix("Examples/") { return file.path.contains("/Policy/") }
        guard file.path.hasPrefix("Sources/"), let target = file.target else { return false }
        return pure[target] != nil
    }

    /// The modules that a file imports, each with its line.
    static func imports(_ file: SourceFile) -> [(module: String, line: Int)] {
        let kinds: Set<Token> = [
            "struct", "class", "enum", "protocol", "typealias", "func", "let", "var",
        ]
        return file.code.enumerated().compactMap { index, tokens in
            guard let place = tokens.firstIndex(of: "import"),
                tokens[..<place].allSatisfy({ isModifier($0) })
            else { return nil }
            let rest = tokens[(place + 1)...].drop { kinds.contains($0) }
            return rest.first.map { (String($0), index + 1) }
        }
    }

    private static func isModifier(_ token: Token) -> Bool {
        let words: Set<Token> = [
            "@", "(", ")", "public", "package", "internal", "private", "fileprivate",
            "_exported", "testable", "preconcurrency", "_spi", "Driver",
        ]
        return words.contains(token)
    }

    /// Imports that cross a ring the wrong way.
    static func violations(in file: SourceFile) -> [Violation] {
        guard let target = file.target else { return [] }
        let allowed: (String) -> Bool
        if file.path.hasPrefix("Sources/") {
            if target == "ProfferSchema" || target.hasPrefix("C") { return [] }
            guard let list = pure[target]?.union(collections) ?? edge[target] else {
                return [
                    Violation(
                        path: file.path, line: 1,
                        problem: "the target \(target) has no row in ImportRules")
                ]
            }
            allowed = { list.contains($0) }
        } else if isPure(file) {
            allowed = { $0 == "Proffer" || pure[$0] != nil || collections.contains($0) }
        } else if file.path.hasPrefix("Examples/") {
            allowed = { !$0.hasPrefix("Proffer") || products.contains($0) }
        } else {
            allowed = { $0 != "ProfferSchema" || target == "WireTests" }
        }
        return imports(file).compactMap { module, line in
            if allowed(module) { return nil }
            return Violation(
                path: file.path, line: line, problem: "\(target) may not import \(module)")
        }
    }
}
