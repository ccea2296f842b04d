public import ProfferKernel
internal import ProfferZeroMQ
internal import Synchronization

/// A clock that a test can stop and set on.
///
/// The machine of a reactor that has this clock sees a minute pass in no time. Sessions and sockets
/// keep the real clock, because their peers do.
public final class ShiftedClock: Sendable {
    private struct Sleeper {
        weak var wakeUp: WakeUp?
    }

    private struct State {
        /// How much more time has passed than on the clock of this machine.
        var shift = Duration.zero
        /// Where the clock stands, if it does.
        var stoppedAt: Instant?
        var sleepers: [Sleeper] = []

        var now: Instant { stoppedAt ?? SystemClock.now() + shift }
    }

    private let state = Mutex(State())

    /// Makes a clock that shows the real time.
    public init() {}

    /// The monotonic clock.
    public func now() -> Instant { state.withLock { $0.now } }

    /// A wall clock for machines that take their instants from this one.
    public func wallClock() -> WallClock {
        let now = now()
        let ahead = (now - SystemClock.now()).inNanoseconds
        let wall = SystemClock.wallTime().nanosecondsSince1970
        return WallClock(now, is: WallTime(nanosecondsSince1970: wall + ahead))
    }

    /// From now on time passes by ``advance(by:)`` only.
    public func stop() { state.withLock { $0.stoppedAt = $0.now } }

    /// Lets time pass; whoever waits for an instant that has come now is woken.
    ///
    /// A machine sees the whole span as one step: what was due twice meanwhile happens once. Time
    /// never goes back; a negative span is none.
    public func advance(by span: Duration) {
        let sleepers = state.withLock { state in
            let step = max(.zero, span)
            state.shift += step
            state.stoppedAt = state.stoppedAt.map { $0 + step }
            return state.sleepers
        }
        for sleeper in sleepers { sleeper.wakeUp?.signal() }
    }

    func wake(_ wakeUp: WakeUp) {
        state.withLock { state in
            state.sleepers.removeAll { $0.wakeUp == nil }
            state.sleepers.append(Sleeper(wakeUp: wakeUp))
        }
    }
}
