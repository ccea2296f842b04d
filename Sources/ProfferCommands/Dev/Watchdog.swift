internal import Foundation
internal import Glibc

/// A small process that ends the cluster when this one is killed and cannot do it.
///
/// It reads a pipe whose other end only this process holds. A line is a signal and a process; when
/// the pipe ends without the word "done", every process gets its signal, the last one first.
final class Watchdog: Sendable {
    private static let script = """
        all=
        while read -r signal pid; do
            [ "$signal" = done ] && exit
            all="$signal:$pid $all"
        done
        for one in $all; do kill -s "${one%%:*}" "${one##*:}"; done
        """

    private let writeEnd: Int32

    init(_ processes: ProcessTree, log: String) throws {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else {
            throw CommandProblem(
                .failed, "a pipe cannot be made", because: String(cString: strerror(errno)),
                try: "raise the limit of open files")
        }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        writeEnd = ends[1]
        defer { close(ends[0]) }
        do {
            _ = try processes.start(
                "/bin/sh", ["-c", Self.script], environment: ["PATH": "/usr/bin:/bin"],
                input: ends[0], log: log)
        } catch {
            close(writeEnd)
            throw error
        }
    }

    /// Has a process signalled when this one is gone.
    func guardProcess(_ pid: Int32, with signal: String) { send("\(signal) \(pid)") }

    /// Sends it away.
    func dismiss() {
        send("done 0")
        close(writeEnd)
    }

    private func send(_ line: String) {
        let bytes = Array((line + "\n").utf8)
        _ = write(writeEnd, bytes, bytes.count)
    }
}
