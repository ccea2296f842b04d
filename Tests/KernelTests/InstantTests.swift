import ProfferKernel
import Testing

@Suite("Instant")
struct InstantTests {
    private let hour = Duration.seconds(3600)

    @Test("adding and subtracting a span are inverse")
    func arithmetic() {
        let start = Instant(nanoseconds: 5)
        #expect((start + .nanoseconds(7)).nanoseconds == 12)
        #expect(start + hour - hour == start)
        #expect(start + hour - start == hour)
        #expect(start - (start + hour) == .zero - hour)
    }

    @Test("a sum beyond the end of time is the end of time")
    func saturatesAbove() {
        #expect(Instant.distantFuture + .nanoseconds(1) == .distantFuture)
        #expect(Instant(nanoseconds: 1) + .seconds(Int64.max) == .distantFuture)
        #expect(Instant(nanoseconds: .max - 1) - .seconds(-10) == .distantFuture)
    }

    @Test("a sum before the beginning of time is the beginning of time")
    func saturatesBelow() {
        #expect(Instant(nanoseconds: -2) - .seconds(Int64.max) == .distantPast)
        #expect(Instant.distantPast - .nanoseconds(1) == .distantPast)
        #expect(Instant.distantPast + .seconds(-1) < .zero)
    }

    @Test("a distance that does not fit saturates in its direction")
    func distance() {
        #expect(Instant.distantFuture - .distantPast == .nanoseconds(Int64.max))
        #expect(Instant.distantPast - .distantFuture == .nanoseconds(Int64.min))
    }

    @Test("a duration that does not fit into nanoseconds saturates in its direction")
    func nanoseconds() {
        #expect(Duration.nanoseconds(42).inNanoseconds == 42)
        #expect(Duration.seconds(-3).inNanoseconds == -3_000_000_000)
        #expect(Duration.milliseconds(-1).inNanoseconds == -1_000_000)
        #expect(Duration.seconds(Int64.max).inNanoseconds > Int64.max - 2)
        #expect(Duration.seconds(Int64.min).inNanoseconds < Int64.min + 2)
        #expect(Duration.nanoseconds(Int64.max).inNanoseconds > Int64.max - 2)
        #expect(Duration.nanoseconds(Int64.min).inNanoseconds < Int64.min + 2)
    }

    @Test("the earliest of nothing is nothing, of one is that one")
    func earliestOf() {
        let one = Instant(nanoseconds: 1)
        let two = Instant(nanoseconds: 2)
        #expect(earliest(nil, nil) == nil)
        #expect(earliest(one, nil) == one)
        #expect(earliest(nil, two) == two)
        #expect(earliest(two, one) == one)
    }
}

@Suite("WallClock")
struct WallClockTests {
    @Test("wall time passes as fast as the monotonic clock")
    func offset() {
        let clock = WallClock(
            Instant(nanoseconds: 100), is: WallTime(nanosecondsSince1970: 1_000_000))
        #expect(clock.time(at: Instant(nanoseconds: 100)).nanosecondsSince1970 == 1_000_000)
        #expect(clock.time(at: Instant(nanoseconds: 150)).nanosecondsSince1970 == 1_000_050)
        #expect(clock.time(at: Instant(nanoseconds: 0)).nanosecondsSince1970 == 999_900)
    }

    @Test("the end of time has the last wall time, not one before 1970")
    func saturation() {
        let clock = WallClock(
            .zero, is: WallTime(nanosecondsSince1970: 1_700_000_000_000_000_000))
        #expect(clock.time(at: .distantFuture).nanosecondsSince1970 == .max)
        #expect(clock.time(at: .zero) < clock.time(at: .distantFuture))
    }
}
