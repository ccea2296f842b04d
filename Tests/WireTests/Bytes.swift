/// Protocol buffers written by hand: field numbers and wire types, nothing else.
enum Bytes {
    static func varint(_ value: UInt64) -> [UInt8] {
        var rest = value
        var bytes: [UInt8] = []
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        return bytes + [UInt8(truncatingIfNeeded: rest)]
    }

    /// A number field.
    static func number(_ field: UInt64, _ value: UInt64) -> [UInt8] {
        varint(field << 3) + varint(value)
    }

    /// A field of bytes, text or a message.
    static func field(_ field: UInt64, _ parts: [UInt8]...) -> [UInt8] {
        let body = parts.flatMap { $0 }
        return varint(field << 3 | 2) + varint(UInt64(body.count)) + body
    }

    static func text(_ number: UInt64, _ value: String) -> [UInt8] {
        field(number, Array(value.utf8))
    }

    /// A field of a double.
    static func double(_ field: UInt64, _ value: Double) -> [UInt8] {
        varint(field << 3 | 1)
            + (0..<8).map { UInt8(truncatingIfNeeded: value.bitPattern >> (8 * $0)) }
    }

    /// A message whose field 1 is a text: every id.
    static func id(_ number: UInt64, _ value: String) -> [UInt8] { field(number, text(1, value)) }

    /// A scalar resource.
    static func scalar(_ name: String, _ value: Double, _ rest: [UInt8] = []) -> [UInt8] {
        text(1, name) + number(2, 0) + field(3, double(1, value)) + rest
    }
}
