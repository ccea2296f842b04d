internal import ArgumentParser
internal import Foundation

/// Waits for the end of a job and shows how it gets on.
struct Watch {
    let client: BatchClient
    let job: String

    /// Returns when the job has ended, with how it did.
    ///
    /// On a terminal one line is kept up to date; elsewhere there is a line at each change, at
    /// most one per second, and one every 30 seconds without a change. A server that cannot be
    /// reached for a while is asked again: it may be restarting, and the job lives on.
    func run() async throws -> JobObject {
        let isTerminal = isatty(2) == 1
        var last = ""
        var lastTime = Date.distantPast
        var failures = 0
        while true {
            do {
                let object = try await client.show(job)
                failures = 0
                if isTerminal {
                    draw(object)
                } else {
                    let line = ProgressBar.plain(object, at: Date())
                    let news = line.drop { $0 != " " }
                    if news != last || Date().timeIntervalSince(lastTime) >= 30 {
                        note(line)
                        last = String(news)
                        lastTime = Date()
                    }
                }
                if object.isFinal {
                    if isTerminal { note("") }
                    return object
                }
            } catch let problem as Problem where problem.code == .unreachable && failures < 60 {
                failures += 1
                if failures == 1 { note("\(problem)\n  waiting for it to come back ...") }
            }
            try await Task.sleep(for: isTerminal ? .milliseconds(250) : .seconds(1))
        }
    }

    private func draw(_ object: JobObject) {
        let start = time(of: object.started)
        let end = time(of: object.ended) ?? Date()
        let running = start.map { Duration.milliseconds(Int64(end.timeIntervalSince($0) * 1000)) }
        let line = ProgressBar.line(object, running: running, width: width())
        progress("\r\u{1B}[K\(line)")
    }

    /// Ends the process with the exit code of a job that has ended.
    static func end(with job: JobObject) throws {
        if let message = job.message, job.exitCode != 0 {
            note("\(job.id) \(job.state): \(message)")
        }
        let code = job.exitCode ?? 1
        if code != 0 { throw ExitCode(Int32(clamping: code)) }
    }

    private func width() -> Int {
        var size = winsize()
        guard ioctl(2, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
        return Int(size.ws_col)
    }
}
