import ProfferKernel
import Testing

@testable import ProfferTransport

@Suite("Admission of sessions")
struct AdmissionTests {
    private func admitted(_ admission: inout Admission, _ wanted: Int, at now: Instant) -> Int {
        (0..<wanted).count { _ in admission.admits(at: now) }
    }

    @Test("after a quiet time a second's worth is let in at once, then one after the other")
    func burst() {
        var admission = Admission(perSecond: 1000)
        #expect(admitted(&admission, 5000, at: .zero) == 1000)
        #expect(admitted(&admission, 5000, at: .zero + .milliseconds(100)) == 100)
        #expect(admitted(&admission, 5000, at: .zero + .milliseconds(100)) == 0)
        #expect(admitted(&admission, 5000, at: .zero + .seconds(1)) == 900)
        #expect(admitted(&admission, 5000, at: .zero + .seconds(60)) == 1000)
    }

    @Test("twenty thousand that come back at once are all in after as long as their number says")
    func storm() {
        var admission = Admission(perSecond: 10_000)
        var waiting = 20_000
        var now = Instant.zero
        while waiting > 0, now < .zero + .seconds(10) {
            waiting -= admitted(&admission, waiting, at: now)
            now = now + .milliseconds(50)
        }
        #expect(now <= .zero + .milliseconds(1100))
    }
}
