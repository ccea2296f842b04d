import ClusterProbe
import Foundation
import Synchronization

/// A program of this package, started by a test; killed when the test lets go of it.
final class Program: Sendable {
    /// Where the programs are: beside the tests.
    static let folder = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        .deletingLastPathComponent()

    let pid: Int
    private let log: String
    private let process: Mutex<Process>

    /// Starts a program whose standard output and error are added to `log`.
    init(
        _ name: String, _ arguments: [String], environment: [String: String] = [:], log: String
    ) throws {
        let process = Process()
        process.executableURL = Self.folder.appendingPathComponent(name)
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

    var isRunning: Bool { process.withLock { $0.isRunning } }

    /// Everything it has written.
    var output: String { TextFile.read(log) ?? "" }

    func signal(_ number: Int32) { kill(Int32(pid), number) }

    /// Waits for its end.
    @discardableResult
    func exitCode() async throws -> Int32 {
        try await eventually("the end of the program, which wrote: \(output)") { !isRunning }
        return process.withLock { $0.terminationStatus }
    }

    /// Ends it as a crash or a power cut would.
    func crash() async throws {
        ProcessTable.kill(pid)
        try await exitCode()
    }
}
