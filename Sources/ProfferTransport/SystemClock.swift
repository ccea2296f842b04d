internal import Glibc
public import ProfferKernel

/// The clocks of this machine.
public enum SystemClock {
    /// The monotonic clock.
    public static func now() -> Instant {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Instant(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }

    /// The wall clock.
    public static func wallTime() -> WallTime {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return WallTime(
            nanosecondsSince1970: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }

    /// A wall clock for machines, fixed at the present moment.
    public static func wallClock() -> WallClock { WallClock(now(), is: wallTime()) }

    /// An unpredictable seed.
    public static func seed() -> UInt64 {
        var generator = SystemRandomNumberGenerator()
        return generator.next()
    }
}
