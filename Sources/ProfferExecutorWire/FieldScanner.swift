internal import ProfferSession

/// One field as it stands in a message.
struct Field {
    /// What follows the field's number, by wire type.
    enum Value {
        case varint(UInt64)
        case fixed64(UInt64)
        case bytes(ArraySlice<UInt8>)
        /// Something that no message here has: 32 fixed bits, or a group.
        case other
    }

    var number: UInt32
    var value: Value
}

/// Takes the fields of a message out of its bytes, one after the other.
///
/// Whatever the bytes are, it ends, and does not trap: it looks at nothing that it has not found to
/// be there, and every step takes at least one byte.
struct FieldScanner {
    private var rest: ArraySlice<UInt8>
    private let name: String

    /// Groups may be nested this deep.
    private static let depthLimit = 32

    /// Reads `bytes`, which belong to a message that errors call `name`.
    init(_ bytes: ArraySlice<UInt8>, _ name: String) {
        rest = bytes
        self.name = name
    }

    /// The next field; `nil` at the end of the message.
    mutating func next() throws(WireError) -> Field? {
        if rest.isEmpty { return nil }
        let (number, type) = try tag()
        switch type {
        case 0: return Field(number: number, value: .varint(try varint()))
        case 1: return Field(number: number, value: .fixed64(try fixed64()))
        case 2: return Field(number: number, value: .bytes(try take(try varint())))
        case 3: try skipGroup(number)
        case 5: _ = try take(4)
        default: throw .malformed(name)
        }
        return Field(number: number, value: .other)
    }

    private mutating func tag() throws(WireError) -> (number: UInt32, type: UInt32) {
        guard let tag = UInt32(exactly: try varint()), tag >= 8, tag != .max else {
            throw .malformed(name)
        }
        return (tag >> 3, tag & 7)
    }

    /// Seven bits a byte, the lowest first; what goes beyond 64 bits is cut off.
    private mutating func varint() throws(WireError) -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), through: 63, by: 7) {
            guard let byte = rest.popFirst() else { throw .malformed(name) }
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
        }
        throw .malformed(name)
    }

    /// The numbers that are packed into one field.
    static func varints(
        _ bytes: ArraySlice<UInt8>, _ name: String
    ) throws(WireError) -> [UInt64] {
        var scanner = FieldScanner(bytes, name)
        var values: [UInt64] = []
        while !scanner.rest.isEmpty { values.append(try scanner.varint()) }
        return values
    }

    private mutating func fixed64() throws(WireError) -> UInt64 {
        try take(8).reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    private mutating func take(_ count: UInt64) throws(WireError) -> ArraySlice<UInt8> {
        guard count <= UInt64(rest.count) else { throw .malformed(name) }
        let taken = rest.prefix(Int(count))
        rest = rest.dropFirst(Int(count))
        return taken
    }

    /// Passes over a group of a field that is not known: none of ours is one.
    private mutating func skipGroup(_ number: UInt32) throws(WireError) {
        var open = [number]
        while let innermost = open.last {
            let (number, type) = try tag()
            switch type {
            case 0: _ = try varint()
            case 1: _ = try take(8)
            case 2: _ = try take(try varint())
            case 3:
                guard open.count < Self.depthLimit else { throw .malformed(name) }
                open.append(number)
            case 4:
                guard number == innermost else { throw .malformed(name) }
                open.removeLast()
            case 5: _ = try take(4)
            default: throw .malformed(name)
            }
        }
    }
}
