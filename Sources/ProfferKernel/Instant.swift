/// A point on a monotonic clock, in nanoseconds.
///
/// It has no origin and is never wall-clock time.
public struct Instant: Hashable, Comparable, Sendable {
    /// Nanoseconds since the unspecified origin of the clock that made it.
    public var nanoseconds: Int64

    /// Makes an instant from nanoseconds since the clock's origin.
    @inlinable
    public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    /// The origin; simulated time starts here.
    public static let zero = Instant(nanoseconds: 0)

    /// The end of time: no deadline lies behind it.
    public static let distantFuture = Instant(nanoseconds: .max)

    /// The beginning of time: everything has happened since.
    public static let distantPast = Instant(nanoseconds: .min)

    /// Whether `left` is earlier.
    @inlinable
    public static func < (left: Instant, right: Instant) -> Bool {
        left.nanoseconds < right.nanoseconds
    }

    /// The instant `span` later; saturates instead of overflowing.
    @inlinable
    public static func + (left: Instant, span: Duration) -> Instant {
        let (sum, overflow) = left.nanoseconds.addingReportingOverflow(span.inNanoseconds)
        if overflow { return span.inNanoseconds > 0 ? .distantFuture : .distantPast }
        return Instant(nanoseconds: sum)
    }

    /// The instant `span` earlier; saturates instead of overflowing.
    @inlinable
    public static func - (left: Instant, span: Duration) -> Instant {
        left + .nanoseconds(-span.inNanoseconds)
    }

    /// The time from `earlier` to `later`; negative when `earlier` lies behind, and saturated to
    /// about 292 years either way.
    @inlinable
    public static func - (later: Instant, earlier: Instant) -> Duration {
        let (difference, overflow) = later.nanoseconds.subtractingReportingOverflow(
            earlier.nanoseconds)
        guard overflow else { return .nanoseconds(difference) }
        return .nanoseconds(later > earlier ? Int64.max : Int64.min)
    }
}

extension Duration {
    /// The whole nanoseconds of this duration, saturated to `Int64` (about 292 years).
    @inlinable
    public var inNanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (scaled, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        if overflow { return seconds > 0 ? .max - 1 : .min + 1 }
        let (sum, tooFar) = scaled.addingReportingOverflow(attoseconds / 1_000_000_000)
        if tooFar { return seconds > 0 ? .max - 1 : .min + 1 }
        // Always with a counterpart of the other sign, so that callers may negate it.
        return max(sum, .min + 1)
    }
}

/// Returns the earlier of two optional instants; `nil` means never.
@inlinable
public func earliest(_ first: Instant?, _ second: Instant?) -> Instant? {
    guard let first else { return second }
    guard let second else { return first }
    return min(first, second)
}

/// Wall-clock time as data: for display, audit and messages; never for ordering or time-outs.
public struct WallTime: Hashable, Comparable, Sendable {
    /// Nanoseconds since 1970-01-01 00:00 UTC.
    public var nanosecondsSince1970: Int64

    /// Makes a wall time from nanoseconds since 1970-01-01 00:00 UTC.
    @inlinable
    public init(nanosecondsSince1970: Int64) {
        self.nanosecondsSince1970 = nanosecondsSince1970
    }

    /// Whether `left` is earlier.
    @inlinable
    public static func < (left: WallTime, right: WallTime) -> Bool {
        left.nanosecondsSince1970 < right.nanosecondsSince1970
    }
}

/// Turns instants into wall time by one fixed pair of both, so that machines can stamp messages
/// without reading a clock.
public struct WallClock: Sendable {
    private let instant: Instant
    private let wallTime: WallTime

    /// Makes a clock for which `instant` is `wallTime`.
    public init(_ instant: Instant, is wallTime: WallTime) {
        self.instant = instant
        self.wallTime = wallTime
    }

    /// The wall time at `instant`; saturates instead of overflowing.
    public func time(at instant: Instant) -> WallTime {
        let passed = (instant - self.instant).inNanoseconds
        let (sum, overflow) = wallTime.nanosecondsSince1970.addingReportingOverflow(passed)
        guard overflow else { return WallTime(nanosecondsSince1970: sum) }
        return WallTime(nanosecondsSince1970: passed > 0 ? .max : .min)
    }
}
