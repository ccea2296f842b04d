/// How fast this machine is at what a scheduler's decisions are made of.
///
/// That is arithmetic and following pointers. Figures of the same run can be given as ratios to it.
public struct Calibration: Codable, Sendable {
    /// Seconds for 10⁹ steps of a xorshift generator (13, 7, 17), with a running sum.
    public var xorshiftSeconds: Double
    /// Nanoseconds for a step through one random cycle of 2²³ slots of 8 bytes, over 2·10⁷ steps.
    public var chaseNanoseconds: Double

    /// Records figures that were measured before.
    public init(xorshiftSeconds: Double, chaseNanoseconds: Double) {
        self.xorshiftSeconds = xorshiftSeconds
        self.chaseNanoseconds = chaseNanoseconds
    }

    /// Measures both; takes a few seconds and 64 MiB.
    ///
    /// In CPU time, as on a shared machine the elapsed time says more about others.
    public static func measured() -> Calibration {
        var checksum: UInt64 = 0
        let begin = Usage.threadSeconds()
        checksum &+= sumOfXorshift(steps: 1_000_000_000)
        let xorshift = Usage.threadSeconds() - begin
        let cycle = randomCycle(count: 1 << 23)
        let steps = 20_000_000
        let start = Usage.threadSeconds()
        checksum &+= follow(cycle, steps: steps)
        let chase = Usage.threadSeconds() - start
        keep(checksum)
        return Calibration(
            xorshiftSeconds: xorshift, chaseNanoseconds: chase * 1e9 / Double(steps))
    }

    /// A duration as a number of seconds.
    public static func seconds(_ duration: Duration) -> Double {
        Double(duration.components.seconds) + Double(duration.components.attoseconds) / 1e18
    }

    /// Makes the compiler believe that `value` is used, so that the work for it is not left out.
    @inline(never)
    public static func keep<Value>(_ value: Value) {
        withExtendedLifetime(value) {}
    }

    @inline(never)
    private static func sumOfXorshift(steps: Int) -> UInt64 {
        var generator = Xorshift()
        var sum: UInt64 = 0
        for _ in 0..<steps { sum &+= generator.next() }
        return sum
    }

    /// Sattolo's shuffle: every slot names the next one, and all of them are on one cycle.
    private static func randomCycle(count: Int) -> [UInt64] {
        var generator = Xorshift()
        var next = [UInt64](unsafeUninitializedCapacity: count) { slots, initialized in
            for index in 0..<count { slots.initializeElement(at: index, to: UInt64(index)) }
            initialized = count
        }
        for index in stride(from: count - 1, to: 0, by: -1) {
            next.swapAt(index, Int(generator.next() % UInt64(index)))
        }
        return next
    }

    @inline(never)
    private static func follow(_ cycle: [UInt64], steps: Int) -> UInt64 {
        cycle.withUnsafeBufferPointer { slots in
            var position: UInt64 = 0
            for _ in 0..<steps { position = slots[Int(truncatingIfNeeded: position)] }
            return position
        }
    }
}

/// Marsaglia's xorshift64 with the shifts 13, 7 and 17: the same numbers on every machine.
public struct Xorshift: RandomNumberGenerator, Sendable {
    private var state: UInt64

    /// Starts at `seed`, which must not be zero (zero is taken as one).
    public init(seed: UInt64 = 88_172_645_463_325_252) { state = seed == 0 ? 1 : seed }

    /// The next number.
    @inline(__always)
    public mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state
    }
}
