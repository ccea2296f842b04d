/// A small reproducible generator of random numbers (SplitMix64, Steele, Lea and Flood 2014).
///
/// Not for keys or tokens: whoever knows the seed knows every number.
public struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var state: UInt64

    /// Makes a generator whose whole sequence follows from `seed`.
    public init(seed: UInt64) { state = seed }

    /// The next number.
    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// A generator for a part of the work, independent of what this one draws later.
    public mutating func split() -> SeededGenerator { SeededGenerator(seed: next()) }

    /// A duration drawn evenly from zero to `limit`, both included.
    public mutating func duration(upTo limit: Duration) -> Duration {
        .nanoseconds(Int64.random(in: 0...max(0, limit.inNanoseconds), using: &self))
    }

    /// Sixteen bytes in the form of a version 4 UUID (RFC 9562).
    public mutating func uuidBytes() -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(16)
        for word in [next(), next()] {
            for shift in stride(from: 56, through: 0, by: -8) {
                bytes.append(UInt8(truncatingIfNeeded: word >> UInt64(shift)))
            }
        }
        bytes[6] = (bytes[6] & 0x0F) | 0x40
        bytes[8] = (bytes[8] & 0x3F) | 0x80
        return bytes
    }

    /// The text form of ``uuidBytes()``, lower case with hyphens.
    public mutating func uuidText() -> String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        for (index, byte) in uuidBytes().enumerated() {
            if index == 4 || index == 6 || index == 8 || index == 10 { text.append(0x2D) }
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }
}
