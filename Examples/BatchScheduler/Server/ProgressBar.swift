internal import BatchPolicy
internal import Foundation

/// What is shown of a job while it is waited for; pure, so that it can be tested.
struct ProgressBar {
    /// One line for a terminal of `width` columns, for a job that has been running so long.
    static func line(_ job: JobObject, running: Duration?, width: Int) -> String {
        let total = max(job.total, 1)
        let percent = job.done * 100 / total
        var tail = " \(job.done)/\(job.total) \(percent)%"
        tail += "  \(counts(job))"
        if let left = remaining(done: job.done, total: job.total, running: running) {
            tail += "  ETA \(DurationText.write(left))"
        } else if let running, job.isFinal {
            tail += "  in \(DurationText.write(running))"
        }
        let head = "\(job.id) "
        let room = min(40, width - head.count - tail.count - 3)
        guard room >= 5 else { return String((head + tail.dropFirst()).prefix(max(0, width - 1))) }
        let full = room * job.done / total
        return head + "[" + String(repeating: "#", count: full)
            + String(repeating: "-", count: room - full) + "]" + tail
    }

    /// One line for a log: what happened last comes first, nothing is overwritten.
    static func plain(_ job: JobObject, at time: Date) -> String {
        let stamp = time.formatted(Date.ISO8601FormatStyle())
        let detail = job.message.map { ": \($0)" } ?? ""
        return "\(stamp) \(job.id) \(job.state) \(job.done)/\(job.total) \(counts(job))\(detail)"
    }

    /// The states that have instances.
    private static func counts(_ job: JobObject) -> String {
        let all = [
            ("waiting", job.counts.waiting), ("ready", job.counts.ready),
            ("running", job.counts.running), ("finished", job.counts.finished),
            ("failed", job.counts.failed), ("cancelled", job.counts.cancelled),
        ]
        var parts = all.filter { $0.1 > 0 }.map { "\($0.1) \($0.0)" }
        if job.retries > 0 { parts.append("\(job.retries) retries") }
        return parts.joined(separator: ", ")
    }

    /// How long the rest takes when it goes on as it went so far.
    static func remaining(done: Int, total: Int, running: Duration?) -> Duration? {
        guard let running, done > 0, done < total else { return nil }
        let milliseconds =
            running.components.seconds * 1000
            + running.components.attoseconds / 1_000_000_000_000_000
        let (product, overflow) = milliseconds.multipliedReportingOverflow(
            by: Int64(total - done))
        return overflow ? nil : .milliseconds(product / Int64(done))
    }
}
