internal import Foundation
internal import Proffer

/// The clocks of this machine, to well under a millisecond.
enum SystemTime {
    /// The monotonic clock: on Linux the one by which the framework's thread lives.
    static func now() -> Instant {
        Instant(nanoseconds: Int64(ProcessInfo.processInfo.systemUptime * 1e9))
    }

    static func wallClock() -> WallClock {
        let time = WallTime(nanosecondsSince1970: Int64(Date().timeIntervalSince1970 * 1e9))
        return WallClock(now(), is: time)
    }
}
