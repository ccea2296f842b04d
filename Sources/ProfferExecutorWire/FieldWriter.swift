/// What is written as the fields of a message.
protocol FieldWritable {
    func write(to fields: inout FieldWriter)
}

/// Puts the bytes of a message together, field by field.
///
/// A value that is `nil` is a field that is absent. Fields are written in the order of their
/// numbers, so that equal messages are equal bytes.
struct FieldWriter {
    private(set) var bytes: [UInt8] = []

    /// The bytes of one message.
    static func bytes(_ write: (inout FieldWriter) -> Void) -> [UInt8] {
        var writer = FieldWriter()
        write(&writer)
        return writer.bytes
    }

    // MARK: Numbers

    mutating func uint64(_ number: UInt32, _ value: UInt64?) {
        guard let value else { return }
        tag(number, type: 0)
        varint(value)
    }

    mutating func int64(_ number: UInt32, _ value: Int64?) {
        uint64(number, value.map { UInt64(bitPattern: $0) })
    }

    /// A number of 32 bits with a sign; what is beyond becomes the nearest that fits.
    mutating func int32(_ number: UInt32, _ value: Int?) {
        int64(number, value.map { Int64(Int32(clamping: $0)) })
    }

    /// A number of 32 bits without a sign; what is beyond becomes the nearest that fits.
    mutating func uint32(_ number: UInt32, _ value: Int?) {
        uint64(number, value.map { UInt64(UInt32(clamping: $0)) })
    }

    mutating func bool(_ number: UInt32, _ value: Bool?) {
        uint64(number, value.map { $0 ? 1 : 0 })
    }

    mutating func kind<Kind: RawRepresentable>(
        _ number: UInt32, _ kind: Kind?
    ) where Kind.RawValue: BinaryInteger {
        uint64(number, kind.map { UInt64(truncatingIfNeeded: $0.rawValue) })
    }

    mutating func fixed64(_ number: UInt32, _ value: UInt64?) {
        guard let value else { return }
        tag(number, type: 1)
        for shift in stride(from: UInt64(0), through: 56, by: 8) {
            bytes.append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }

    mutating func double(_ number: UInt32, _ value: Double?) {
        fixed64(number, value?.bitPattern)
    }

    // MARK: Bytes, texts and messages

    mutating func data(_ number: UInt32, _ value: (some Collection<UInt8>)?) {
        guard let value else { return }
        tag(number, type: 2)
        varint(UInt64(value.count))
        bytes.append(contentsOf: value)
    }

    mutating func text(_ number: UInt32, _ value: String?) { data(number, value?.utf8) }

    mutating func texts(_ number: UInt32, _ values: [String]) {
        for value in values { text(number, value) }
    }

    /// A message, which is there even when nothing is written into it.
    mutating func message(_ number: UInt32, _ write: (inout FieldWriter) -> Void) {
        data(number, Self.bytes(write))
    }

    mutating func one(_ number: UInt32, _ value: (some FieldWritable)?) {
        guard let value else { return }
        message(number) { value.write(to: &$0) }
    }

    mutating func list(_ number: UInt32, _ values: [some FieldWritable]) {
        for value in values { one(number, value) }
    }

    private mutating func tag(_ number: UInt32, type: UInt64) {
        varint(UInt64(number) << 3 | type)
    }

    private mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }
}
