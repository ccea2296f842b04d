internal import ProfferKernel
internal import ProfferModel

/// What happened in a run, as one number and, when that is wanted, in lines to read.
public struct Transcript: Sendable {
    /// Follows from everything that happened, when and in which order.
    public private(set) var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    /// The lines, when they are kept.
    public private(set) var lines: [String] = []
    let keepsLines: Bool

    init(keepsLines: Bool) { self.keepsLines = keepsLines }

    private mutating func mix(_ value: UInt64) {
        hash = (hash ^ value) &* 0x0000_0100_0000_01B3
        hash ^= hash >> 29
    }

    private mutating func mix(_ text: String) {
        var value: UInt64 = 0
        for byte in text.utf8 { value = (value ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        mix(value)
    }

    mutating func append(_ kind: FaultKind, at now: Int64) {
        mix(UInt64(bitPattern: now))
        mix(UInt64(kind.rawValue) | 1 << 32)
        if keepsLines { lines.append("\(Self.time(now)) fault: \(kind.name)") }
    }

    mutating func append(_ note: String, at now: Int64) {
        mix(UInt64(bitPattern: now))
        mix(note)
        if keepsLines { lines.append("\(Self.time(now)) \(note)") }
    }

    mutating func append(_ occurrence: Occurrence, at now: Int64) {
        mix(UInt64(bitPattern: now))
        let digest = occurrence.digest
        mix(digest.kind)
        mix(digest.value)
        if let text = digest.text { mix(text) }
        if keepsLines, let line = occurrence.line { lines.append("\(Self.time(now)) \(line)") }
    }

    /// Seconds with six decimals.
    static func time(_ now: Int64) -> String {
        let micros = now / 1000
        let fraction = String(micros % 1_000_000)
        return "\(micros / 1_000_000)." + String(repeating: "0", count: 6 - fraction.count)
            + fraction
    }
}
