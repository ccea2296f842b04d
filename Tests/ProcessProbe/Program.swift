internal import ClusterProbe
public import Foundation
internal import Synchronization

/// A program of this package, started by a test; killed when the test lets go of it.
public final class Program: Sendable {
    /// Where the programs are: beside the tests.
    public static let folder = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        .deletingLastPathComponent()

    /// Its process.
    public let pid: Int
    private let log: String
    private let process: Mutex<Process>

    /// Starts a program of this package, or one named by its whole path; its standard output and
    /// error are added to `log`.
    public init(
        _ name: String, _ arguments: [String], environment: [String: String] = [:], log: String
    ) throws {
        let process = Process()
        process.executableURL =
            name.hasPrefix("/")
            ? URL(fileURLWithPath: name) : Self.folder.appendingPathComponent(name)
        process.arguments = arguments
        var variables = ["PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/nonexistent"]
        // Where the toolchain's libraries are, when they are not installed.
        variables["LD_LIBRARY_PATH"] = ProcessInfo.processInfo.environment["LD_LIBRARY_PATH"]
        process.environment = variables.merging(environment) { $1 }
        if !FileManager.default.fileExists(atPath: log) { try TextFile.write("", to: log) }
        let file = try FileHandle(forWritingTo: URL(fileURLWithPath: log))
        try file.seekToEnd()
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = file
        process.standardError = file
        try process.run()
        pid = Int(process.processIdentifier)
        self.log = log
        self.process = Mutex(process)
    }

    deinit { if isRunning { ProcessTable.kill(pid) } }

    /// Whether it has not ended.
    public var isRunning: Bool { process.withLock { $0.isRunning } }

    /// Everything it has written.
    public var output: String { TextFile.read(log) ?? "" }

    /// Sends it a signal.
    public func signal(_ number: Int32) { kill(Int32(pid), number) }

    /// Waits for its end.
    @discardableResult
    public func exitCode() async throws -> Int32 {
        try await eventually("the end of the program, which wrote: \(output)") { !isRunning }
        return process.withLock { $0.terminationStatus }
    }

    /// Ends it as a crash or a power cut would.
    public func crash() async throws {
        ProcessTable.kill(pid)
        try await exitCode()
    }
}
