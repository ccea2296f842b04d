internal import Glibc

/// Runs a closure when the process is asked to stop.
public enum StopSignals {
    /// Calls `stop` on a thread of its own at the first TERM or INT; later ones do nothing.
    public static func install(_ stop: @escaping @Sendable () -> Void) {
        signal(SIGTERM, SIG_IGN)
        signal(SIGINT, SIG_IGN)
        for number in [SIGTERM, SIGINT] { catchers.install(number) }
        let descriptor = catchers.readEnd
        spawnThread(name: "signals") {
            var byte: UInt8 = 0
            while read(descriptor, &byte, 1) != 1 {}
            stop()
        }
    }

    private static let catchers = Catchers()

    /// A pipe that the signal handler writes to: the only thing a handler may safely do.
    private final class Catchers: Sendable {
        let readEnd: Int32

        init() {
            var ends: [Int32] = [-1, -1]
            pipe(&ends)
            readEnd = ends[0]
            signalPipe = ends[1]
        }

        func install(_ number: Int32) {
            signal(number) { _ in
                var byte: UInt8 = 1
                _ = write(signalPipe, &byte, 1)
            }
        }
    }
}

/// Written once before any handler is installed, read by handlers only.
nonisolated(unsafe) private var signalPipe: Int32 = -1

/// Text for whoever started the process.
public enum FileDescriptorText {
    /// Writes to the standard error as far as it can be written to.
    public static func standardError(_ text: String) {
        let bytes = Array(text.utf8)
        _ = write(2, bytes, bytes.count)
    }
}
