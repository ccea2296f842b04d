internal import CLinux
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
        guard linux_pipe(&ends) == 0 else { throw SystemError("open", "pipe", code: errno) }
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
    /// Streams that nobody has open to write.
    private var isOver: Set<Int32> = []
    /// The kernel's largest pipe that needs no privilege, in bytes.
    private static let pipeLimit = 1 << 20

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
        DetachedThread.run { self.run() }
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
                pollfd(fd: isOver.contains($0) ? -1 : $0, events: Int16(POLLIN), revents: 0)
            }
            // A terminal that nobody has open can be opened again; it is looked at now and then.
            if poll(&waiting, 3, 200) == 0 { isOver.removeAll() }
            let isQuiet = waiting[0].revents == 0 && waiting[1].revents == 0
            if waiting[0].revents != 0 { pass(streams.output) { .output($0) } }
            if waiting[1].revents != 0 { pass(streams.error) { .error($0) } }
            if isQuiet || waiting[2].revents != 0 { ends = watcher.takeEnds() }
        }
        drain(streams.output) { .output($0) }
        drain(streams.error) { .error($0) }
        streams.closeOutputs()
        entry.leave()
        _ = take(.ended(ends.first?.exit ?? TaskExit()))
    }

    /// Hands on what was written before the end.
    ///
    /// That is at most what fits into a pipe: what others that still write add meanwhile is not
    /// waited for.
    private func drain(_ descriptor: Int32, _ event: ([UInt8]) -> TaskSession.Event) {
        var left = Self.pipeLimit
        while !flag.isClosed, left > 0 {
            let count = pass(descriptor, event)
            if count <= 0 { return }
            left -= count
        }
    }

    /// Hands on what there is, as far as it fits into the buffer; notes the end of a stream, which
    /// would look readable for ever.
    ///
    /// - Returns: How many bytes there were; none or less when there was nothing.
    @discardableResult
    private func pass(_ descriptor: Int32, _ event: ([UInt8]) -> TaskSession.Event) -> Int {
        guard descriptor >= 0 else { return 0 }
        let count = read(descriptor, &buffer, buffer.count)
        if count > 0 {
            if !take(event(Array(buffer[..<count]))) { flag.close() }
        } else if count == 0 || errno != EAGAIN && errno != EINTR {
            isOver.insert(descriptor)
        }
        return count
    }
}
