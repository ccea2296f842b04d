internal import CLinux
internal import Glibc
internal import ProfferIsolation
internal import ProfferModel

/// Runs programs to their end, for threads that may wait.
enum Program {
    /// How a program ended and what it said.
    struct Result {
        /// `nil` when it took too long and was killed.
        var exit: TaskExit?
        /// Its standard output, 1 MiB at most.
        var output: String
        /// The end of its standard error.
        var error: String

        /// What went wrong, in one line.
        var problem: String {
            let line = error.split(separator: "\n").last.map(String.init) ?? ""
            if exit == nil { return "it took too long" }
            let how =
                exit?.code.map { "it exited with \($0)" }
                ?? "it was ended by signal \(exit?.signal ?? 0)"
            return line.isEmpty ? how : "\(how): \(line)"
        }
    }

    /// Runs a program.
    ///
    /// - Parameters:
    ///   - invocation: What to run.
    ///   - milliseconds: How long it may take.
    ///   - directory: Its working directory.
    ///   - started: Told of its process.
    /// - Returns: How it ended and what it said.
    /// - Throws: ``SystemError`` when it cannot be started.
    static func run(
        _ invocation: Invocation, within milliseconds: Int32, directory: String = "/",
        started: (ProcessIdentity) -> Void = { _ in }
    ) throws(SystemError) -> Result {
        let input = try file("input")
        let output = try file("output")
        let error = try file("error")
        defer { for descriptor in [input, output, error] { close(descriptor) } }
        let bytes = Array(invocation.input.utf8)
        if !bytes.isEmpty { _ = pwrite(input, bytes, bytes.count, 0) }
        let command = CommandInfo(
            value: invocation.arguments.first, shell: false, arguments: invocation.arguments)
        var watcher = try ProcessWatcher()
        let process = try ProcessLauncher.start(
            ProcessPlan(
                command: command, environment: invocation.environment, directory: directory,
                output: .descriptors(output: output, error: error), input: input),
            isExact: false)
        try watcher.watchChild(process, token: 1)
        started(process)
        var end = watcher.takeEnds(within: milliseconds).first
        if end == nil {
            watcher.signalGroup(1, SIGKILL)
            _ = watcher.takeEnds(within: -1)
            end = nil
        }
        return Result(
            exit: end?.exit, output: text(output, limit: 1 << 20), error: text(error, limit: 4096))
    }

    private static func file(_ name: String) throws(SystemError) -> Int32 {
        let descriptor = linux_memory_file(name)
        guard descriptor >= 0 else { throw SystemError("make", "memory file", code: errno) }
        return descriptor
    }

    private static func text(_ descriptor: Int32, limit: Int) -> String {
        let size = Int(lseek(descriptor, 0, SEEK_END))
        let offset = max(0, size - limit)
        let bytes = [UInt8](unsafeUninitializedCapacity: min(limit, max(0, size))) {
            buffer, count in
            count = max(0, pread(descriptor, buffer.baseAddress, buffer.count, offset))
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
