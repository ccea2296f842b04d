internal import Foundation
internal import Glibc
internal import Synchronization

/// Tells a closure of signals, on a thread of its own.
///
/// The handler of a signal may do almost nothing, so it writes the number into a pipe, which works
/// whichever thread the signal hits.
struct Interrupts: Sendable {
    enum Kind: Sendable {
        /// Somebody wants an end: INT, TERM or HUP.
        case stop
        /// A child has ended.
        case child
    }

    private static let numbers = [SIGINT, SIGTERM, SIGHUP]

    /// From now on `take` gets every signal; only one can be installed at a time.
    static func install(_ take: @escaping @Sendable (Kind) -> Void) -> Interrupts {
        let readEnd = openPipe()
        current.withLock { $0 = take }
        if let readEnd {
            Thread.detachNewThread {
                var byte: UInt8 = 0
                while true {
                    let count = read(readEnd, &byte, 1)
                    if count < 0, errno == EINTR { continue }
                    guard count == 1 else { return }
                    current.withLock { $0 }?(Int32(byte) == SIGCHLD ? .child : .stop)
                }
            }
        }
        for number in Self.numbers + [SIGCHLD] { catchSignal(number) }
        // A reader that closes the pipe of our output must not end us before we have cleaned up.
        signal(SIGPIPE, SIG_IGN)
        return Interrupts()
    }

    /// Signals do again what they do by default.
    func remove() {
        for number in Self.numbers + [SIGCHLD] { signal(number, SIG_DFL) }
        current.withLock { $0 = nil }
    }

    /// The read end when the pipe is new; there is one for the life of the process.
    private static func openPipe() -> Int32? {
        guard signalPipe < 0 else { return nil }
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { return nil }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        // A handler must never wait; when the pipe is full there is enough to wake up for.
        _ = fcntl(ends[1], F_SETFL, O_NONBLOCK)
        signalPipe = ends[1]
        return ends[0]
    }

    private static func catchSignal(_ number: Int32) {
        signal(number) { number in
            let code = errno
            var byte = UInt8(truncatingIfNeeded: number)
            _ = write(signalPipe, &byte, 1)
            errno = code
        }
    }
}

private let current = Mutex<(@Sendable (Interrupts.Kind) -> Void)?>(nil)

/// Written once before any handler is installed, read by handlers only.
nonisolated(unsafe) private var signalPipe: Int32 = -1
