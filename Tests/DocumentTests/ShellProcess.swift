import ClusterProbe
import Foundation
import Synchronization

/// A command line, run by a shell as a reader of the documents would.
final class ShellProcess: Sendable {
    /// Where the programs are: beside the tests.
    static let programs = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        .deletingLastPathComponent().path

    let text: String
    private let log: String
    private let process: Mutex<Process>

    init(_ text: String, in directory: String, environment: [String: String]) throws {
        self.text = text
        log = directory + "/output-\(UUID().uuidString)"
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = ["-c", "exec " + text]
        process.currentDirectoryURL = URL(fileURLWithPath: directory)
        process.environment = environment
        try TextFile.write("", to: log)
        let file = try FileHandle(forWritingTo: URL(fileURLWithPath: log))
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = file
        process.standardError = file
        try process.run()
        self.process = Mutex(process)
    }

    deinit { if isRunning { ProcessTable.kill(pid) } }

    var pid: Int { process.withLock { Int($0.processIdentifier) } }
    var isRunning: Bool { process.withLock { $0.isRunning } }

    /// Everything it has written.
    var output: String { TextFile.read(log) ?? "" }

    /// Waits for its end.
    func exitCode() async throws -> Int32 {
        try await eventually("the end of '\(text)', which wrote: \(output)") { !isRunning }
        return process.withLock { $0.terminationStatus }
    }

    /// Does what Ctrl-C does, and waits for the end.
    func interrupt() async throws -> Int32 {
        if isRunning { kill(Int32(pid), SIGINT) }
        return try await exitCode()
    }
}
