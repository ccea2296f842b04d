internal import Glibc
public import ProfferModel
internal import Synchronization

/// A program that runs beside a task's own, with its streams.
///
/// One thread of its own reads what the program writes; input is written by whoever calls.
public final class TaskSession: Sendable {
    /// What comes out of the program.
    public enum Event: Sendable {
        /// It wrote this, to its terminal or its standard output.
        case output([UInt8])
        /// It wrote this to its standard error.
        case error([UInt8])
        /// It has ended.
        case ended(TaskExit)
    }

    /// The size of a terminal, in characters.
    public struct Size: Hashable, Sendable {
        /// Lines.
        public var rows: UInt16
        /// Characters in a line.
        public var columns: UInt16

        /// Sets both.
        public init(rows: UInt16, columns: UInt16) {
            self.rows = rows
            self.columns = columns
        }
    }

    /// What the program reads: the terminal, or a pipe until its end was said.
    private let input: Mutex<Int32>
    /// The terminal; -1 without one.
    private let terminal: Int32
    private let flag: SessionFlag

    /// Starts a program.
    ///
    /// - Parameters:
    ///   - words: The program and its arguments.
    ///   - entry: The task.
    ///   - size: That of a terminal; without one the streams are pipes.
    ///   - kind: The kind of terminal, for `TERM`.
    ///   - take: Is given what happens, on the session's thread, which waits for it; `false` ends
    ///     the session. `ended` comes last, also then.
    /// - Throws: ``SystemError`` that names the program.
    public init(
        _ words: [String], _ entry: TaskEntry, size: Size?, kind: String?,
        take: @escaping @Sendable (Event) -> Bool
    ) throws(SystemError) {
        var streams = try Streams(size)
        var watcher = try ProcessWatcher()
        do throws(SystemError) {
            let process = try ProcessLauncher.start(
                entry.plan(
                    words, input: streams.innerInput, output: streams.innerOutput,
                    error: streams.innerError, hasTerminal: size != nil, terminal: kind))
            try watcher.watchChild(process, token: 1)
        } catch {
            streams.close()
            throw error
        }
        streams.closeInner()
        terminal = size == nil ? -1 : streams.output
        input = Mutex(streams.input)
        let flag = SessionFlag()
        self.flag = flag
        SessionLoop(streams: streams, entry: entry, flag: flag, watcher: watcher, take: take)
            .start()
    }

    /// Hands bytes to the program; waits while it takes none, until the session ends.
    public func write(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty, !flag.isClosed {
            let isOver = input.withLock { descriptor in
                var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                guard descriptor >= 0 else { return true }
                guard poll(&waiting, 1, 100) > 0 else { return false }
                let count = rest.withUnsafeBytes {
                    Glibc.write(descriptor, $0.baseAddress, $0.count)
                }
                if count < 0 { return errno != EAGAIN && errno != EINTR }
                rest = rest.dropFirst(count)
                return false
            }
            if isOver { return }
        }
    }

    /// Tells the program that there is no more input, on a terminal by the character for that.
    public func endInput() {
        if terminal >= 0 { return write([4]) }
        closeInput()
    }

    private func closeInput() {
        input.withLock { descriptor in
            if descriptor >= 0 { close(descriptor) }
            descriptor = -1
        }
    }

    /// Changes the size of the terminal, if there is one.
    public func resize(_ size: Size) {
        input.withLock { descriptor in
            guard terminal >= 0, descriptor >= 0 else { return }
            var value = winsize()
            value.ws_row = size.rows
            value.ws_col = size.columns
            _ = ioctl(descriptor, UInt(TIOCSWINSZ), &value)
        }
    }

    /// Ends the session; the program is killed if it has not ended.
    public func end() {
        flag.close()
        closeInput()
    }
}

/// Whether a session is to end.
final class SessionFlag: Sendable {
    private let state = Atomic(false)

    var isClosed: Bool { state.load(ordering: .acquiring) }

    func close() { state.store(true, ordering: .releasing) }
}
