public import ProfferKernel
internal import ProfferTransport

/// The clocks by which the thread of a framework lives, for whoever makes a policy that has to know
/// when something happened before it began to run.
public enum SystemTime {
    /// The monotonic clock, as a policy is given it.
    public static func now() -> Instant { SystemClock.now() }

    /// The wall clock.
    public static func wallTime() -> WallTime { SystemClock.wallTime() }

    /// Turns instants into wall time, as of the present moment.
    public static func wallClock() -> WallClock { SystemClock.wallClock() }
}
