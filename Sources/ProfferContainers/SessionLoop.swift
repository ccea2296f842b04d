internal import Glibc
internal import ProfferModel

/// The descriptors of a session: those of the program, and the other ends of them.
struct Streams: Sendable {
    private(set) var innerInput: Int32 = -1
    private(set) var innerOutput: Int32 = -1
    private(set) var innerError: Int32 = -1
    private(set) var input: Int32 = -1
    private(set) var output: Int32 = -1
    /// -1 on a terminal, where there is one output.
    private(set) var error: Int32 = -1

    /// Opens a terminal of a size, or pipes.
    ///
    /// - Throws: ``SystemError`` when descriptors run out.
    init(_ size: TaskSession.Size?) throws(SystemError) {
        do throws(SystemError) {
            if let size { try openTerminal(size) } else { try openPipes() }
        } catch {
            close()
            throw error
        }
        for descriptor in [input, output, error] where descriptor >= 0 {
            _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
        }
    }

    // TIOCSPTLCK and TIOCGPTN, which Swift does not see.
    private static let setLock: UInt = 0x4004_5431
    private static let getNumber: UInt = 0x8004_5430

    private mutating func openTerminal(_ size: TaskSession.Size) throws(SystemError) {
        output = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)
        guard output >= 0 else { throw SystemError("open", "terminal", code: errno) }
        var lock: Int32 = 0
        var number: UInt32 = 0
        guard ioctl(output, Self.setLock, &lock) == 0,
            ioctl(output, Self.getNumber, &number) == 0
        else { throw SystemError("open", "terminal", code: errno) }
        var value = winsize()
        value.ws_row = size.rows
        value.ws_col = size.columns
        _ = ioctl(output, UInt(TIOCSWINSZ), &value)
        innerInput = open("/dev/pts/\(number)", O_RDWR | O_NOCTTY | O_CLOEXEC)
        // One of its own, so that whoever writes need not know when the reader closes.
        input = fcntl(output, F_DUPFD_CLOEXEC, 3)
        guard innerInput >= 0, input >= 0 else {
            throw SystemError("open", "terminal", code: errno)
        }
        innerOutput = innerInput
        innerError = innerInput
    }

    private mutating func openPipes() throws(SystemError) {
        (innerInput, input) = try Self.pipe()
        (output, innerOutput) = try Self.pipe()
        (error, innerError) = try Self.pipe()
    }

    private static func pipe() throws(SystemError) -> (read: Int32, write: Int32) {
        var ends: [Int32] = [-1, -1]
        guard Glibc.pipe(&ends) == 0 else { throw SystemError("open", "pipe", code: errno) }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return (ends[0], ends[1])
    }

    /// Closes the program's ends, once it has them.
    mutating func closeInner() {
        for descriptor in Set([innerInput, innerOutput, innerError]) where descriptor >= 0 {
            Glibc.close(descriptor)
        }
        (innerInput, innerOutput, innerError) = (-1, -1, -1)
    }

    /// Closes the ends that are read.
    mutating func closeOutputs() {
        for descriptor in [output, error] where descriptor >= 0 { Glibc.close(descriptor) }
        (output, error) = (-1, -1)
    }

    /// Closes everything.
    mutating func close() {
        closeInner()
        closeOutputs()
        if input >= 0 { Glibc.close(input) }
        input = -1
    }
}

/// Reads what a program of a session writes until it has ended, on a thread of its own.
final class SessionLoop: @unchecked Sendable {
    // Everything is used by the loop's thread only, once it has begun.
    private var streams: Streams
    private var watcher: ProcessWatcher
    private let entry: TaskEntry
    private let flag: SessionFlag
    private let take: @Sendable (TaskSession.Event) -> Bool
    private var buffer = [UInt8](repeating: 0, count: 32 << 10)

    init(
        streams: Streams, entry: TaskEntry, flag: SessionFlag, watcher: consuming ProcessWatcher,
        take: @escaping @Sendable (TaskSession.Event) -> Bool
    ) {
        self.streams = streams
        self.watcher = watcher
        self.entry = entry
        self.flag = flag
        self.take = take
    }

    func start() {
        var thread = pthread_t()
        let box = Unmanaged.passRetained(self)
        let code = pthread_create(
            &thread, nil,
            { argument in
                if let argument {
                    Unmanaged<SessionLoop>.fromOpaque(argument).takeRetainedValue().run()
                }
                return nil
            }, box.toOpaque())
        if code == 0 {
            pthread_detach(thread)
        } else {
            box.release()
            flag.close()
            run()
        }
    }

    private func run() {
        var ends: [ProcessEnd] = []
        while ends.isEmpty {
            if flag.isClosed {
                watcher.signalGroup(1, SIGHUP)
                watcher.signalGroup(1, SIGKILL)
                entry.leave()
                ends = watcher.takeEnds(within: 5000)
                break
            }
            var waiting = [streams.output, streams.error, watcher.fileDescriptor].map {
                pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
            }
            _ = poll(&waiting, 3, 200)
            let isQuiet = waiting[0].revents == 0 && waiting[1].revents == 0
            if waiting[0].revents != 0, !read(streams.output, { .output($0) }) {
                // Nobody has the terminal or the pipe open any more; the end is to come.
                usleep(1000)
            }
            if waiting[1].revents != 0, !read(streams.error, { .error($0) }) { usleep(1000) }
            if isQuiet || waiting[2].revents != 0 { ends = watcher.takeEnds() }
        }
        // What was written before the end; others that still write are not waited for.
        while !flag.isClosed, read(streams.output, { .output($0) }) {}
        while !flag.isClosed, read(streams.error, { .error($0) }) {}
        streams.closeOutputs()
        entry.leave()
        _ = take(.ended(ends.first?.exit ?? TaskExit()))
    }

    /// - Returns: Whether there was something.
    private func read(_ descriptor: Int32, _ event: ([UInt8]) -> TaskSession.Event) -> Bool {
        guard descriptor >= 0 else { return false }
        let count = Glibc.read(descriptor, &buffer, buffer.count)
        guard count > 0 else { return false }
        if !take(event(Array(buffer[..<count]))) { flag.close() }
        return true
    }
}
