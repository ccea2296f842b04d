internal import ArgumentParser
internal import Foundation
internal import Glibc
internal import NIOCore
internal import ProfferAPI

struct ExecCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "exec", abstract: "Run a program beside a task, as the task.",
        discussion: """
            It runs with the task's user, environment, sandbox and limits, and in its container if \
            it has one. On a terminal it gets a terminal; otherwise its streams are this \
            command's. The exit code is that of the program, 128 and the number when a signal \
            ended it.
            """)

    @OptionGroup
    var cluster: ClusterOptions

    @Flag(name: .customLong("no-terminal"), help: "Pipes, also when this is a terminal.")
    var hasPipes = false

    @Argument(help: "The task: its id, a unique beginning of it, or its name.")
    var task: String

    @Argument(parsing: .postTerminator, help: "The program and its arguments, after '--'.")
    var words: [String] = []

    func validate() throws {
        if words.isEmpty { throw ValidationError("name a program after '--'") }
    }

    func run() async throws {
        let client = try cluster.client()
        let token = try client.token()
        let found = try await findTask(task, client)
        let agent = try await SandboxClient(of: found, client).client
        let hasTerminal =
            !hasPipes && isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1
        let mode = hasTerminal ? RawMode() : nil
        let code: UInt32?
        do {
            code = try await converse(
                agent, Self.path(found, words, hasTerminal ? LocalTerminal.size : nil), token)
        } catch {
            mode?.restore()
            throw error
        }
        mode?.restore()
        guard let code else {
            throw CommandProblem(
                .unreachable, "the program was lost",
                because: "the agent ended the connection before it told of an end",
                try: "look with 'proffer task' whether the task runs")
        }
        Foundation.exit(Int32(clamping: code))
    }

    /// The path and query of a session; with a size it gets a terminal.
    static func path(
        _ task: TaskObject, _ words: [String], _ size: (rows: UInt16, columns: UInt16)?
    ) -> String {
        var query = words.map { "arg=" + percentEncoded($0) }
        if let size {
            let kind = ProcessInfo.processInfo.environment["TERM"] ?? "dumb"
            query += [
                "terminal=" + percentEncoded(kind), "rows=\(size.rows)",
                "columns=\(size.columns)",
            ]
        }
        return "/v1/sessions/\(percentEncoded(task.framework))/\(percentEncoded(task.id))?"
            + query.joined(separator: "&")
    }

    /// - Returns: The exit code; `nil` when the end was not told.
    private func converse(_ agent: Client, _ path: String, _ token: String) async throws
        -> UInt32?
    {
        let (body, continuation) = AsyncStream.makeStream(of: ByteBuffer.self)
        @Sendable
        func send(_ frame: SessionFrame) {
            continuation.yield(ByteBuffer(bytes: frame.bytes))
        }
        let sources = LocalTerminal.watch(send)
        defer {
            continuation.finish()
            for source in sources { source.cancel() }
        }
        var reader = SessionFrameReader()
        var code: UInt32?
        try await agent.converse(path, token: token, body: body) { buffer in
            for frame in try reader.take(buffer.readableBytesView) {
                switch frame {
                case .output(let bytes): say(Data(bytes))
                case .error(let bytes): FileHandle.standardError.write(Data(bytes))
                case .ended(let number):
                    code = number
                    continuation.finish()
                case .input, .endOfInput, .size, .alive: break
                }
            }
        }
        return code
    }
}

/// The terminal of this command.
private enum LocalTerminal {
    static var size: (rows: UInt16, columns: UInt16) {
        var value = winsize()
        guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &value) == 0, value.ws_row > 0 else {
            return (24, 80)
        }
        return (value.ws_row, value.ws_col)
    }

    /// Sends what is typed, changes of the size, and now and then that somebody is here.
    static func watch(
        _ send: @escaping @Sendable (SessionFrame) -> Void
    ) -> [any DispatchSourceProtocol] {
        let thread = Thread {
            var buffer = [UInt8](repeating: 0, count: 16 << 10)
            while true {
                let count = read(STDIN_FILENO, &buffer, buffer.count)
                if count < 0, errno == EINTR || errno == EAGAIN { continue }
                guard count > 0 else { break }
                send(.input(Array(buffer[..<count])))
            }
            send(.endOfInput)
        }
        thread.start()
        signal(SIGWINCH, SIG_IGN)
        let change = DispatchSource.makeSignalSource(signal: SIGWINCH)
        change.setEventHandler {
            let size = LocalTerminal.size
            send(.size(rows: size.rows, columns: size.columns))
        }
        change.resume()
        // The agent closes connections on which nothing comes.
        let clock = DispatchSource.makeTimerSource()
        clock.schedule(deadline: .now() + .seconds(10), repeating: .seconds(10))
        clock.setEventHandler { send(.alive) }
        clock.resume()
        return [change, clock]
    }
}

/// Hands every key to the program, until it is restored.
private struct RawMode {
    private let before: termios

    init() {
        var state = termios()
        tcgetattr(STDIN_FILENO, &state)
        before = state
        cfmakeraw(&state)
        tcsetattr(STDIN_FILENO, TCSADRAIN, &state)
    }

    func restore() {
        var state = before
        tcsetattr(STDIN_FILENO, TCSADRAIN, &state)
    }
}
