internal import ProfferKernel

/// What a process takes for the time: its monotonic clock runs at its own rate from its own
/// origin, and its wall clock is somewhere else.
struct SkewedClock: Sendable {
    /// Thousandths of a thousandth by which it runs too fast.
    private(set) var partsPerMillion: Int64 = 0
    private var localOrigin: Int64 = 0
    private var trueOrigin: Int64 = 0
    /// What the wall clock is off, in nanoseconds.
    var wallOffset: Int64 = 0

    /// 2026-01-01 00:00 UTC.
    private static let wallOrigin: Int64 = 1_767_225_600 * Span.second

    init(partsPerMillion: Int64 = 0, origin: Int64 = 0) {
        self.partsPerMillion = partsPerMillion
        localOrigin = origin
    }

    /// The instant that the process reads at a true time.
    func instant(at now: Int64) -> Instant {
        let passed = now - trueOrigin
        if partsPerMillion == 0 { return Instant(nanoseconds: localOrigin + passed) }
        return Instant(
            nanoseconds: localOrigin + passed + passed / 1_000_000 * partsPerMillion)
    }

    /// The first true time at which the process reads at least `instant`.
    func time(of instant: Instant) -> Int64 {
        let wanted = instant.nanoseconds - localOrigin
        if partsPerMillion == 0 { return trueOrigin + wanted }
        var time = trueOrigin + wanted / (1_000_000 + partsPerMillion) * 1_000_000
        while self.instant(at: time) < instant { time += 1_000_000 }
        return time
    }

    /// Goes on at another rate from a true time on, without a jump.
    mutating func setRate(_ partsPerMillion: Int64, at now: Int64) {
        localOrigin = instant(at: now).nanoseconds
        trueOrigin = now
        self.partsPerMillion = partsPerMillion
    }

    /// Takes back what it has gone on while its machine was suspended.
    mutating func turnBack(_ span: Int64) { localOrigin -= span }

    /// The wall clock as a process that starts now reads it.
    func wallClock(at now: Int64) -> WallClock {
        WallClock(
            instant(at: now),
            is: WallTime(nanosecondsSince1970: Self.wallOrigin + now + wallOffset))
    }
}
