// swift-tools-version: 6.2
import PackageDescription

// A package of its own, so that programs that embed Proffer do not inherit what only benches need.
let package = Package(
    name: "proffer-benchmarks",
    platforms: [.macOS(.v15)],
    dependencies: [
        .package(name: "proffer", path: ".."),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.6.3"),
    ],
    targets: [
        // What several benches share: how fast the machine is.
        .systemLibrary(name: "CMalloc"),
        .target(
            name: "BenchSupport", dependencies: ["CMalloc"],
            swiftSettings: [
                .swiftLanguageMode(.v6), .enableUpcomingFeature("InternalImportsByDefault"),
            ]),
        // Clusters of real processes, and what the machine does without one.
        .target(
            name: "ClusterSupport",
            dependencies: [
                .product(name: "Proffer", package: "proffer"),
                .product(name: "ProfferZeroMQ", package: "proffer"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: [.swiftLanguageMode(.v6)]),
        .executableTarget(
            name: "bench",
            dependencies: [
                "ClusterSupport",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: [.swiftLanguageMode(.v6)]),
        .executableTarget(
            name: "node-bench",
            dependencies: [
                "ClusterSupport",
                .product(name: "Proffer", package: "proffer"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: [.swiftLanguageMode(.v6)]),
        .executableTarget(
            name: "resource-bench",
            dependencies: ["BenchSupport", .product(name: "ProfferCore", package: "proffer")],
            swiftSettings: [.swiftLanguageMode(.v6)]),
        .executableTarget(
            name: "registry-bench",
            dependencies: [
                "BenchSupport",
                .product(name: "Proffer", package: "proffer"),
                .product(name: "ProfferCore", package: "proffer"),
                .product(name: "ProfferRegistry", package: "proffer"),
                .product(name: "ProfferZeroMQ", package: "proffer"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: [.swiftLanguageMode(.v6)]),
        .executableTarget(
            name: "recovery-bench",
            dependencies: [
                "BenchSupport",
                .product(name: "ProfferCore", package: "proffer"),
                .product(name: "ProfferWire", package: "proffer"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: [.swiftLanguageMode(.v6)]),
        .executableTarget(
            name: "scale-bench",
            dependencies: [
                "BenchSupport",
                .product(name: "ProfferSimulation", package: "proffer"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: [.swiftLanguageMode(.v6)]),
        .executableTarget(
            name: "allocator-bench",
            dependencies: [
                "BenchSupport",
                .product(name: "ProfferCore", package: "proffer"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: [.swiftLanguageMode(.v6)]),
    ]
)
