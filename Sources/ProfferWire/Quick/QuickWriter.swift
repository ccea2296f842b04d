internal import ProfferModel

/// A message, or a part of one, that the quick way does not cover; the general way does.
struct Uncommon: Error {}

/// Writes the common messages of a busy cluster without the generated types in between.
///
/// The bytes are the very bytes of the general way: fields in the order of their numbers, lengths
/// as short as they can be.
struct QuickWriter {
    private(set) var bytes: [UInt8] = []

    init(capacity: Int) { bytes.reserveCapacity(capacity) }

    /// The bytes of one message; `nil` when it is not a common one.
    static func bytes(_ write: (inout QuickWriter) throws(Uncommon) -> Void) -> [UInt8]? {
        var writer = QuickWriter(capacity: 256)
        do throws(Uncommon) { try write(&writer) } catch { return nil }
        return writer.bytes
    }

    mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }

    private mutating func tag(_ number: UInt64, type: UInt64) { varint(number << 3 | type) }

    mutating func number(_ number: UInt64, _ value: UInt64) {
        tag(number, type: 0)
        varint(value)
    }

    mutating func number(_ number: UInt64, _ value: Int64) {
        self.number(number, UInt64(bitPattern: value))
    }

    /// A number of 32 bits with a sign; what is beyond becomes the nearest that fits.
    mutating func int32(_ number: UInt64, _ value: Int) {
        self.number(number, Int64(Int32(clamping: value)))
    }

    mutating func kind(_ number: UInt64, _ rawValue: Int) { self.number(number, Int64(rawValue)) }

    mutating func bool(_ number: UInt64, _ value: Bool) {
        self.number(number, value ? 1 : UInt64(0))
    }

    mutating func fixed(_ number: UInt64, _ value: UInt64) {
        tag(number, type: 1)
        for shift in stride(from: UInt64(0), through: 56, by: 8) {
            bytes.append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }

    mutating func double(_ number: UInt64, _ value: Double) { fixed(number, value.bitPattern) }

    mutating func text(_ number: UInt64, _ value: String) {
        tag(number, type: 2)
        varint(UInt64(value.utf8.count))
        bytes.append(contentsOf: value.utf8)
    }

    mutating func text(_ number: UInt64, _ value: String?) {
        if let value { text(number, value) }
    }

    mutating func data(_ number: UInt64, _ value: [UInt8]) {
        tag(number, type: 2)
        varint(UInt64(value.count))
        bytes.append(contentsOf: value)
    }

    mutating func update(_ number: UInt64, _ id: UpdateID?) {
        guard let id else { return }
        tag(number, type: 2)
        bytes.append(16)
        for half in [id.high, id.low] {
            for shift in stride(from: UInt64(56), through: 0, by: -8) {
                bytes.append(UInt8(truncatingIfNeeded: half >> shift))
            }
        }
    }

    /// A message whose one field, 1, is the id.
    mutating func id<Subject>(_ number: UInt64, _ id: Identifier<Subject>?) {
        guard let id else { return }
        message(number) { (part: inout QuickWriter) in part.text(1, id.value) }
    }

    mutating func message<Failure>(
        _ number: UInt64, _ write: (inout QuickWriter) throws(Failure) -> Void
    ) throws(Failure) {
        tag(number, type: 2)
        // Nearly every part is short enough for a length of one byte.
        let place = bytes.count
        bytes.append(0)
        try write(&self)
        let count = bytes.count - place - 1
        if count < 0x80 {
            bytes[place] = UInt8(count)
            return
        }
        var length = QuickWriter(capacity: 5)
        length.varint(UInt64(count))
        bytes.replaceSubrange(place...place, with: length.bytes)
    }
}
