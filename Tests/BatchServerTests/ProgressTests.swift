import Foundation
import Proffer
import Testing

@testable import BatchPolicy
@testable import batch_scheduler

@Suite("Progress")
struct ProgressTests {
    private func job(
        _ state: JobState, retries: Int = 0, message: String? = nil,
        _ change: (inout InstanceCounts) -> Void
    ) -> JobObject {
        var counts = InstanceCounts()
        change(&counts)
        return JobObject(
            JobView(
                id: "array-1", sequence: 1, name: "array", state: state, priority: 0,
                created: WallTime(nanosecondsSince1970: 0), counts: counts, retries: retries,
                message: message, tasks: []))
    }

    @Test("the bar is as full as the job is done, with counts and the time that is left")
    func bar() {
        let job = job(.running, retries: 2) {
            $0.finished = 25
            $0.running = 5
            $0.ready = 70
        }
        let line = ProgressBar.line(job, running: .seconds(10), width: 120)
        #expect(
            line
                == "array-1 [##########------------------------------] 25/100 25%  "
                + "70 ready, 5 running, 25 finished, 2 retries  ETA 30s")
    }

    @Test("a job that has ended tells how long it took")
    func ended() {
        let job = job(.finished) { $0.finished = 3 }
        let line = ProgressBar.line(job, running: .seconds(75), width: 120)
        #expect(line.hasSuffix("3/3 100%  3 finished  in 1m15s"))
        #expect(!line.contains("-]"))
    }

    @Test("a line is never wider than the terminal", arguments: [0, 1, 10, 40, 60, 80, 200])
    func width(_ width: Int) {
        let job = job(.running) {
            $0.finished = 10
            $0.waiting = 90
        }
        let line = ProgressBar.line(job, running: .seconds(10), width: width)
        #expect(line.count <= max(0, width - 1))
    }

    @Test("without anything done there is no estimate")
    func noEstimate() {
        #expect(ProgressBar.remaining(done: 0, total: 5, running: .seconds(9)) == nil)
        #expect(ProgressBar.remaining(done: 2, total: 5, running: nil) == nil)
        #expect(ProgressBar.remaining(done: 5, total: 5, running: .seconds(9)) == nil)
        #expect(
            ProgressBar.remaining(done: 2, total: 5, running: .seconds(9)) == .milliseconds(13_500))
    }

    @Test("elsewhere than on a terminal a line has a time, the state, counts and the reason")
    func plain() {
        let job = job(.failed, message: "exit code 7") {
            $0.failed = 1
            $0.cancelled = 4
        }
        #expect(
            ProgressBar.plain(job, at: Date(timeIntervalSince1970: 0))
                == "1970-01-01T00:00:00Z array-1 FAILED 5/5 1 failed, 4 cancelled: exit code 7")
    }

    @Test("durations are written with two units at most")
    func durations() {
        #expect(DurationText.write(.milliseconds(850)) == "850ms")
        #expect(DurationText.write(.seconds(42)) == "42s")
        #expect(DurationText.write(.seconds(192)) == "3m12s")
        #expect(DurationText.write(.seconds(19_205)) == "5h20m")
        #expect(DurationText.write(.seconds(180_000)) == "2d02h")
    }
}
