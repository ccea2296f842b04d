// swift-tools-version: 6.2
import PackageDescription

// PROFFER_STRICT is set by our own CI. Dependents must never inherit warnings as errors: a new
// compiler would break their build over a warning in our code.
let isStrict = Context.environment["PROFFER_STRICT"] != nil

let edge: [SwiftSetting] =
    [
        .swiftLanguageMode(.v6),
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("MemberImportVisibility"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    ] + (isStrict ? [.treatAllWarnings(as: .error)] : [])

/// The pure ring contains no unsafe code at all.
let pure: [SwiftSetting] = edge + [.strictMemorySafety()]

let collections: [Target.Dependency] = ["DequeModule", "HeapModule", "OrderedCollections"].map {
    .product(name: $0, package: "swift-collections")
}
let log = Target.Dependency.product(name: "Logging", package: "swift-log")
let metrics = Target.Dependency.product(name: "Metrics", package: "swift-metrics")
let coreMetrics = Target.Dependency.product(name: "CoreMetrics", package: "swift-metrics")
let protobuf = Target.Dependency.product(name: "SwiftProtobuf", package: "swift-protobuf")
let grdb = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
let sqlite = Target.Dependency.product(name: "GRDBSQLite", package: "GRDB.swift")
let hummingbird = Target.Dependency.product(name: "Hummingbird", package: "hummingbird")
let hummingbirdCore = Target.Dependency.product(
    name: "HummingbirdCore", package: "hummingbird")
let hummingbirdTesting = Target.Dependency.product(
    name: "HummingbirdTesting", package: "hummingbird")
let httpClient = Target.Dependency.product(name: "AsyncHTTPClient", package: "async-http-client")
let arguments = Target.Dependency.product(
    name: "ArgumentParser", package: "swift-argument-parser")
let lifecycle = Target.Dependency.product(
    name: "ServiceLifecycle", package: "swift-service-lifecycle")
let unixSignals = Target.Dependency.product(
    name: "UnixSignals", package: "swift-service-lifecycle")
let configuration = Target.Dependency.product(
    name: "Configuration", package: "swift-configuration")
let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let nioHTTP1 = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let nioSSL = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")

let package = Package(
    name: "proffer",
    platforms: [.macOS(.v15)],
    products: [
        .library(name: "Proffer", targets: ["Proffer"]),
        .library(name: "ProfferExecutorSDK", targets: ["ProfferExecutorSDK"]),
        .library(name: "ProfferEmbedded", targets: ["ProfferEmbedded"]),
        .library(name: "ProfferRuntime", targets: ["ProfferRuntime"]),
        .library(name: "ProfferWire", targets: ["ProfferWire"]),
        .library(name: "ProfferZeroMQ", targets: ["ProfferZeroMQ"]),
        .library(
            name: "ProfferRegistry",
            targets: ["ProfferRegistry", "ProfferTransport", "ProfferWire"]),
        .library(
            name: "ProfferCore",
            targets: [
                "ProfferKernel", "ProfferModel", "ProfferSession", "ProfferAllocation",
                "ProfferElection", "ProfferMaster", "ProfferAgent", "ProfferExecutor",
                "ProfferExecutorDriver", "ProfferFramework", "ProfferIsolation",
            ]
        ),
        .library(name: "ProfferSimulation", targets: ["ProfferSimulation"]),
        .executable(name: "proffer", targets: ["proffer-cli"]),
        .executable(name: "proffer-master", targets: ["proffer-master"]),
        .executable(name: "proffer-agent", targets: ["proffer-agent"]),
        .executable(name: "proffer-executor", targets: ["proffer-executor"]),
        .executable(name: "proffer-fetcher", targets: ["proffer-fetcher"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.2.0"),
        .package(url: "https://github.com/apple/swift-configuration", from: "1.0.0"),
        .package(url: "https://github.com/apple/swift-crypto.git", "3.0.0"..<"5.0.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.6.3"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.7.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.80.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.30.0"),
        .package(
            url: "https://github.com/apple/swift-protobuf", from: "1.36.0", traits: []),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.8.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.20.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.0.0"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.30.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.8.0"),
    ],
    targets: [
        // Pure ring: no I/O, clock, randomness, log, async or Foundation.
        .target(name: "ProfferKernel", dependencies: collections, swiftSettings: pure),
        .target(name: "ProfferModel", dependencies: ["ProfferKernel"], swiftSettings: pure),
        .target(
            name: "ProfferSession",
            dependencies: ["ProfferKernel"] + collections, swiftSettings: pure),
        .target(
            name: "ProfferAllocation",
            dependencies: ["ProfferKernel", "ProfferModel"] + collections, swiftSettings: pure),
        .target(name: "ProfferElection", dependencies: ["ProfferKernel"], swiftSettings: pure),
        .target(
            name: "ProfferMaster",
            dependencies: ["ProfferKernel", "ProfferModel", "ProfferAllocation"] + collections,
            swiftSettings: pure),
        .target(
            name: "ProfferAgent",
            dependencies: ["ProfferKernel", "ProfferModel"] + collections, swiftSettings: pure),
        .target(
            name: "ProfferExecutor",
            dependencies: ["ProfferKernel", "ProfferModel"] + collections, swiftSettings: pure),
        .target(
            name: "ProfferFramework",
            dependencies: ["ProfferKernel", "ProfferModel"] + collections, swiftSettings: pure),
        .target(
            name: "ProfferExecutorDriver", dependencies: ["ProfferKernel", "ProfferModel"],
            swiftSettings: pure),
        .target(
            name: "ProfferIsolation", dependencies: ["ProfferKernel", "ProfferModel"],
            swiftSettings: pure),
        // What may be fetched for tasks, and what of an archive is made.
        .target(
            name: "ProfferFetching", dependencies: ["ProfferModel", "ProfferIsolation"],
            swiftSettings: pure),
        // Whole clusters in virtual time, made of the modules above.
        .target(
            name: "ProfferSimulation",
            dependencies: [
                "ProfferKernel", "ProfferModel", "ProfferSession", "ProfferAllocation",
                "ProfferElection", "ProfferMaster", "ProfferAgent", "ProfferExecutor",
                "ProfferFramework",
            ] + collections, swiftSettings: pure),

        // Edge ring: talks to the world.
        .systemLibrary(name: "CZeroMQ", providers: [.apt(["libzmq3-dev"])]),
        .target(name: "ProfferZeroMQ", dependencies: ["CZeroMQ"], swiftSettings: edge),
        .target(
            name: "ProfferSchema", dependencies: [protobuf],
            exclude: ["Schema", "README.md", "regenerate.sh"],
            swiftSettings: [.swiftLanguageMode(.v6)]),
        .target(
            name: "ProfferWire",
            dependencies: [
                "ProfferKernel", "ProfferModel", "ProfferSession", "ProfferSchema", protobuf,
            ], swiftSettings: edge),
        // The executor's part of the wire, without a library; no unsafe code in its parser.
        .target(
            name: "ProfferExecutorWire",
            dependencies: ["ProfferKernel", "ProfferModel", "ProfferSession"],
            swiftSettings: pure),
        .target(
            name: "ProfferTransport",
            dependencies: ["ProfferKernel", "ProfferModel", "ProfferSession", "ProfferZeroMQ"]
                + collections, swiftSettings: edge),
        .target(
            name: "ProfferRegistry",
            dependencies: [
                "ProfferKernel", "ProfferModel", "ProfferElection", "ProfferWire", grdb, sqlite,
                httpClient, nioCore, nioHTTP1, nioSSL,
            ],
            swiftSettings: edge),
        .systemLibrary(name: "CLinux"),
        .target(name: "CSpawn"),
        // Named steps at which the crash tests end a process; off outside of them.
        .target(name: "ProfferFailpoints", swiftSettings: edge),
        .target(
            name: "ProfferContainers",
            dependencies: [
                "CLinux", "CSpawn", "ProfferKernel", "ProfferModel", "ProfferIsolation",
                "ProfferFetching",
            ],
            swiftSettings: edge),
        .target(
            name: "ProfferFetcher",
            dependencies: [
                "CLinux", "ProfferModel", "ProfferIsolation", "ProfferFetching",
                "ProfferContainers", httpClient, crypto, nioCore, nioHTTP1,
            ], swiftSettings: edge),
        // The JSON objects of the operator API, shared by server and command line.
        .target(
            name: "ProfferAPI", dependencies: ["ProfferKernel", "ProfferModel"],
            swiftSettings: edge),
        .target(
            name: "ProfferHTTP",
            dependencies: [
                "ProfferKernel", "ProfferModel", "ProfferAPI", hummingbird, hummingbirdCore, log,
                metrics, lifecycle, nioCore,
            ], swiftSettings: edge),

        // The framework SDK: the driver's shell and the async face. No HTTP server, no SQLite.
        .target(
            name: "Proffer",
            dependencies: [
                "ProfferKernel", "ProfferModel", "ProfferFramework", "ProfferTransport",
                "ProfferWire", "ProfferZeroMQ", "ProfferFailpoints", log,
            ], swiftSettings: edge),
        // The executor SDK: for programs that an agent starts as executors of a framework.
        .target(
            name: "ProfferExecutorSDK",
            dependencies: [
                "ProfferKernel", "ProfferModel", "ProfferExecutorDriver", "ProfferExecutorWire",
                "ProfferSession", "ProfferTransport", "ProfferZeroMQ", log,
            ], swiftSettings: edge),
        // The executor's shell, shared by proffer-executor and the embedded cluster.
        .target(
            name: "ProfferExecutorShell",
            dependencies: [
                "CLinux", "ProfferKernel", "ProfferModel", "ProfferIsolation", "ProfferExecutor",
                "ProfferContainers",
                "ProfferExecutorWire", "ProfferSession", "ProfferTransport", "ProfferZeroMQ",
                "ProfferFailpoints",
            ] + collections, swiftSettings: edge),
        .target(
            name: "ProfferRuntime",
            dependencies: [
                "ProfferKernel", "ProfferModel", "ProfferAllocation", "ProfferElection",
                "ProfferMaster", "ProfferAgent", "ProfferIsolation", "ProfferTransport",
                "ProfferWire",
                "ProfferRegistry",
                "ProfferContainers", "ProfferFetching", "ProfferHTTP", "ProfferAPI",
                "ProfferZeroMQ",
                "ProfferSession",
                "ProfferFailpoints",
                hummingbird, configuration, log, metrics, coreMetrics, lifecycle, unixSignals,
            ], swiftSettings: edge),
        .target(
            name: "ProfferEmbedded",
            dependencies: [
                "Proffer", "ProfferRuntime", "ProfferMaster", "ProfferAgent", "ProfferAllocation",
                "ProfferHTTP", "ProfferContainers", "ProfferExecutorShell", "ProfferIsolation",
                "ProfferFetching", "ProfferTransport", "ProfferModel", "ProfferZeroMQ", log,
                coreMetrics,
            ],
            swiftSettings: edge),

        // Programs.
        .executableTarget(
            name: "proffer-master",
            dependencies: ["ProfferRuntime", arguments, configuration, lifecycle, log],
            swiftSettings: edge),
        .executableTarget(
            name: "proffer-agent",
            dependencies: ["ProfferRuntime", arguments, configuration, lifecycle, log],
            swiftSettings: edge),
        .executableTarget(
            name: "proffer-executor",
            dependencies: [
                "ProfferContainers", "ProfferExecutorShell", "ProfferIsolation", "ProfferModel",
                "ProfferZeroMQ",
            ],
            swiftSettings: edge),
        .executableTarget(
            name: "proffer-fetcher",
            dependencies: ["ProfferFetcher", "ProfferFetching", "ProfferIsolation"],
            swiftSettings: edge),
        .executableTarget(
            name: "proffer-cli",
            dependencies: ["ProfferCommands", arguments], swiftSettings: edge),
        .target(
            name: "ProfferCommands",
            dependencies: [
                "CLinux", "ProfferKernel", "ProfferAPI", "ProfferContainers", "ProfferIsolation",
                "ProfferRegistry", "ProfferSimulation", "ProfferTransport", "ProfferWire",
                "ProfferZeroMQ", arguments, httpClient,
                nioCore, nioPosix, nioHTTP1,
            ],
            swiftSettings: edge),

        // Examples use public products only.
        .executableTarget(
            name: "HelloFramework", dependencies: ["Proffer"], path: "Examples/HelloFramework",
            swiftSettings: edge),
        .executableTarget(
            name: "KeptState", dependencies: ["Proffer"], path: "Examples/KeptState",
            swiftSettings: edge),
        .executableTarget(
            name: "EmbeddedClusterExample", dependencies: ["Proffer", "ProfferEmbedded", log],
            path: "Examples/EmbeddedCluster", swiftSettings: edge),
        .executableTarget(
            name: "CustomAllocatorExample",
            dependencies: [
                "Proffer", "ProfferAllocation", "ProfferEmbedded", "ProfferKernel", "ProfferModel",
                log,
            ] + collections,
            path: "Examples/CustomAllocator", swiftSettings: edge),
        .executableTarget(
            name: "SimulatedClusterExample", dependencies: ["Proffer", "ProfferSimulation"],
            path: "Examples/SimulatedCluster", swiftSettings: edge),
        .executableTarget(
            name: "warm-executor", dependencies: ["ProfferExecutorSDK"],
            path: "Examples/WarmExecutor/Executor", swiftSettings: edge),
        .executableTarget(
            name: "warm-framework", dependencies: ["Proffer"],
            path: "Examples/WarmExecutor/Framework", swiftSettings: edge),
        .executableTarget(
            name: "http-echo", path: "Examples/HTTPEcho", swiftSettings: edge),
        .target(
            name: "ServicePolicy", dependencies: ["Proffer"],
            path: "Examples/ServiceScheduler/Policy", swiftSettings: edge),
        .executableTarget(
            name: "service-scheduler",
            dependencies: [
                "ServicePolicy", "Proffer", hummingbird, grdb, arguments, lifecycle, unixSignals,
                log,
            ],
            path: "Examples/ServiceScheduler/Server", swiftSettings: edge),
        .target(
            name: "BatchPolicy", dependencies: ["Proffer"],
            path: "Examples/BatchScheduler/Policy", swiftSettings: edge),
        .executableTarget(
            name: "batch-scheduler",
            dependencies: [
                "BatchPolicy", "Proffer", hummingbird, httpClient, grdb, yams, arguments,
                lifecycle, unixSignals, nioCore, nioHTTP1, log,
            ],
            path: "Examples/BatchScheduler/Server", swiftSettings: edge),

        // Tests, one folder per module.
        .testTarget(
            name: "KernelTests", dependencies: ["ProfferKernel"], swiftSettings: edge),
        .testTarget(
            name: "ModelTests", dependencies: ["ProfferModel"], swiftSettings: edge),
        .testTarget(
            name: "SessionTests", dependencies: ["ProfferSession"], swiftSettings: edge),
        .testTarget(
            name: "AllocationTests", dependencies: ["ProfferAllocation"], swiftSettings: edge),
        .testTarget(
            name: "ElectionTests", dependencies: ["ProfferElection", "ProfferKernel"],
            swiftSettings: edge),
        .testTarget(
            name: "MasterTests", dependencies: ["ProfferMaster"], swiftSettings: edge),
        .testTarget(name: "AgentTests", dependencies: ["ProfferAgent"], swiftSettings: edge),
        .testTarget(
            name: "ExecutorTests",
            dependencies: [
                "ProfferExecutor", "ProfferExecutorShell", "ProfferContainers", "ProfferIsolation",
                "ProfferTransport", "ProfferWire", "ProfferZeroMQ", "proffer-executor",
            ], swiftSettings: edge),
        .testTarget(
            name: "ExecutorDriverTests", dependencies: ["ProfferExecutorDriver"],
            swiftSettings: edge),
        // An executor that does what its tasks say; the tests of executors start it.
        .executableTarget(
            name: "scripted-executor", dependencies: ["ProfferExecutorSDK"],
            path: "Tests/ScriptedExecutor", swiftSettings: edge),
        .testTarget(
            name: "ContainersTests",
            dependencies: ["CLinux", "ProfferContainers", "ProfferIsolation"],
            swiftSettings: edge),
        .testTarget(
            name: "IsolationTests", dependencies: ["ProfferIsolation", "ProfferModel"],
            swiftSettings: edge),
        .testTarget(
            name: "FetchingTests",
            dependencies: ["ProfferFetching", "ProfferIsolation", "ProfferModel"],
            swiftSettings: edge),
        .testTarget(
            name: "FetcherTests",
            dependencies: [
                "ProfferFetcher", "ProfferFetching", "ProfferModel", crypto, hummingbird,
                log,
            ], swiftSettings: edge),
        .testTarget(
            name: "FrameworkTests", dependencies: ["ProfferFramework"], swiftSettings: edge),
        .testTarget(
            name: "SimulationTests",
            dependencies: ["ProfferSimulation", "ServicePolicy", "BatchPolicy"],
            exclude: ["planted.txt", "seeds.txt", "transcripts.txt"], swiftSettings: edge),
        .testTarget(
            name: "ZeroMQTests", dependencies: ["ProfferZeroMQ"], swiftSettings: edge),
        .testTarget(
            name: "WireTests", dependencies: ["ProfferWire", "ProfferSchema", protobuf],
            exclude: ["Fixtures"], swiftSettings: edge),
        .testTarget(
            name: "ExecutorWireTests", dependencies: ["ProfferExecutorWire", "ProfferWire"],
            swiftSettings: edge),
        .testTarget(
            name: "TransportTests",
            dependencies: ["ProfferTransport", "ProfferWire", "ProfferZeroMQ", "ProfferSession"],
            swiftSettings: edge),
        .testTarget(
            name: "HTTPTests",
            dependencies: [
                "ProfferHTTP", "ProfferAPI", "ProfferKernel", "ProfferModel", hummingbird,
                hummingbirdTesting, metrics, coreMetrics,
            ], swiftSettings: edge),
        .testTarget(
            name: "CommandTests",
            dependencies: [
                "ProfferCommands", "ProfferAPI", "ProfferZeroMQ", "ProfferHTTP", "ProfferKernel",
                "ProfferIsolation", "ProfferModel",
                arguments, hummingbird, log,
            ], swiftSettings: edge),
        .testTarget(
            name: "ServicePolicyTests", dependencies: ["ServicePolicy"], swiftSettings: edge),
        .testTarget(
            name: "BatchPolicyTests", dependencies: ["BatchPolicy"], swiftSettings: edge),
        // A scripted framework and the means to wait, for the tests of clusters.
        .target(
            name: "ClusterProbe", dependencies: ["Proffer", log], path: "Tests/ClusterProbe",
            swiftSettings: edge),
        .testTarget(
            name: "RegistryTests",
            dependencies: [
                "ClusterProbe", "ProfferElection", "ProfferKernel", "ProfferModel",
                "ProfferRegistry",
                "ProfferWire", grdb, hummingbird, httpClient, log, nioCore, nioHTTP1,
            ],
            swiftSettings: edge),
        .testTarget(
            name: "RuntimeTests",
            dependencies: [
                "ClusterProbe", "ProfferRuntime", "ProfferAgent", "ProfferAllocation",
                "ProfferContainers",
                "ProfferKernel", "ProfferMaster", "ProfferModel", "ProfferTransport",
                "ProfferWire", "ProfferZeroMQ", log, coreMetrics,
            ], swiftSettings: edge),
        .testTarget(
            name: "EmbeddedTests",
            dependencies: [
                "ClusterProbe", "CustomAllocatorExample", "ProfferEmbedded", "ProfferMaster",
                "Proffer", log, "proffer-fetcher",
            ], swiftSettings: edge),
        // A master and agents as processes.
        .target(
            name: "ProcessProbe",
            dependencies: [
                "ClusterProbe", "Proffer", "ProfferRuntime", "ProfferZeroMQ", httpClient, nioCore,
                nioHTTP1,
            ], path: "Tests/ProcessProbe", swiftSettings: edge),
        // A framework that keeps its intents and updates in a file; the tests of crashes start it.
        .executableTarget(
            name: "crash-framework", dependencies: ["Proffer", log], path: "Tests/CrashFramework",
            swiftSettings: edge),
        .testTarget(
            name: "CrashTests",
            dependencies: [
                "ClusterProbe", "ProcessProbe", "Proffer", "ProfferFailpoints", "ProfferRuntime",
                "ProfferZeroMQ", "crash-framework", "proffer-master", "proffer-agent",
                "proffer-executor",
            ], swiftSettings: edge),
        // The programs are dependencies so that they are built; the tests start them.
        .testTarget(
            name: "ProcessTests",
            dependencies: [
                "ClusterProbe", "ProcessProbe", "Proffer", "ProfferRuntime", "ProfferZeroMQ",
                httpClient, log,
                "proffer-master", "proffer-agent", "proffer-executor", "proffer-fetcher",
                "proffer-cli", "HelloFramework", "KeptState", "scripted-executor", "warm-executor",
                "warm-framework",
            ], swiftSettings: edge),
        .testTarget(
            name: "BatchServerTests",
            dependencies: [
                "batch-scheduler", "BatchPolicy", "Proffer", "ProfferKernel", hummingbird,
                hummingbirdTesting,
            ], swiftSettings: edge),
        .testTarget(
            name: "ServiceServerTests",
            dependencies: [
                "service-scheduler", "ServicePolicy", "Proffer", hummingbird, grdb,
                hummingbirdTesting,
            ], swiftSettings: edge),
        .testTarget(
            name: "DocumentTests",
            dependencies: [
                "ClusterProbe", "Proffer", "ProfferExecutorSDK", "ProfferKernel", "ProfferZeroMQ",
                log, "proffer-cli",
                "proffer-master", "proffer-agent", "proffer-executor", "service-scheduler",
                "batch-scheduler", "HelloFramework",
            ],
            swiftSettings: edge),
        .testTarget(name: "TidyTests", swiftSettings: edge),
    ]
)
