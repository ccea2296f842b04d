internal import ProfferKernel

/// Lets so many through in a second, and as many at once after a quiet time.
///
/// The generic cell rate algorithm of ITU-T I.371, with whole nanoseconds.
struct Admission {
    private let pause: Duration
    private let burst: Duration
    private var next = Instant.distantPast

    init(perSecond: Int) {
        pause = .nanoseconds(1_000_000_000 / Int64(max(1, perSecond)))
        burst = .seconds(1)
    }

    /// Whether one more may pass now.
    mutating func admits(at now: Instant) -> Bool {
        let start = max(next, now)
        guard start - now < burst else { return false }
        next = start + pause
        return true
    }
}
