internal import ProfferModel

/// Reads the common messages of a busy cluster without the generated types in between.
///
/// It takes only what the general way reads in the same way and leaves everything else to it:
/// fields that are not known or come twice, another wire type than the schema's, text that is not
/// UTF-8, lengths that lie. So what is refused, and why, is decided in one place. Whatever the
/// bytes are, it ends, and looks at nothing outside of them.
struct QuickReader {
    private let bytes: [UInt8]
    private var position: Int
    private let end: Int
    private var seen: UInt64 = 0
    private var type: UInt64 = 0

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        position = 0
        end = bytes.count
    }

    private init(_ bytes: [UInt8], _ range: Range<Int>) {
        self.bytes = bytes
        position = range.lowerBound
        end = range.upperBound
    }

    /// What `read` makes of the whole message; `nil` when it is not a common one.
    static func value<Value>(
        of bytes: [UInt8], limit: Int,
        _ read: (consuming QuickReader) throws(Uncommon) -> Value
    ) -> Value? {
        guard bytes.count <= limit else { return nil }
        do throws(Uncommon) { return try read(QuickReader(bytes)) } catch { return nil }
    }

    /// Steps to the next field, whose value is to be taken then.
    ///
    /// - Parameter lists: The numbers of fields that may come more than once.
    /// - Returns: The number of the field; `nil` at the end.
    /// - Throws: ``Uncommon`` for a field that comes again, and for what is none.
    mutating func next(lists: Set = []) throws(Uncommon) -> UInt64? {
        guard position < end else { return nil }
        let tag = try varint()
        type = tag & 7
        let number = tag >> 3
        guard number > 0, tag <= UInt64(UInt32.max) else { throw Uncommon() }
        let bit = Set.bit(number)
        guard seen & bit == 0 || lists.bits & bit != 0 else { throw Uncommon() }
        seen |= bit
        return number
    }

    /// A set of the numbers of fields; those above 62 are not told apart.
    struct Set: ExpressibleByArrayLiteral {
        let bits: UInt64

        init(arrayLiteral numbers: UInt64...) {
            var bits: UInt64 = 0
            for number in numbers { bits |= Self.bit(number) }
            self.bits = bits
        }

        static func bit(_ number: UInt64) -> UInt64 { 1 << min(number, 63) }
    }

    private mutating func varint() throws(Uncommon) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while position < end, shift < 64 {
            let byte = bytes[position]
            position += 1
            if shift == 63, byte > 1 { throw Uncommon() }
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
            shift += 7
        }
        throw Uncommon()
    }

    mutating func number() throws(Uncommon) -> UInt64 {
        guard type == 0 else { throw Uncommon() }
        return try varint()
    }

    mutating func int64() throws(Uncommon) -> Int64 { Int64(bitPattern: try number()) }

    mutating func int32() throws(Uncommon) -> Int32 {
        guard let value = Int32(exactly: try int64()) else { throw Uncommon() }
        return value
    }

    mutating func uint32() throws(Uncommon) -> UInt32 {
        guard let value = UInt32(exactly: try number()) else { throw Uncommon() }
        return value
    }

    mutating func bool() throws(Uncommon) -> Bool {
        switch try number() {
        case 0: false
        case 1: true
        default: throw Uncommon()
        }
    }

    mutating func fixed() throws(Uncommon) -> UInt64 {
        guard type == 1, end - position >= 8 else { throw Uncommon() }
        var value: UInt64 = 0
        for offset in 0..<8 { value |= UInt64(bytes[position + offset]) << UInt64(offset * 8) }
        position += 8
        return value
    }

    mutating func double() throws(Uncommon) -> Double { Double(bitPattern: try fixed()) }

    private mutating func range() throws(Uncommon) -> Range<Int> {
        guard type == 2 else { throw Uncommon() }
        let count = try varint()
        guard count <= UInt64(end - position) else { throw Uncommon() }
        let start = position
        position += Int(count)
        return start..<position
    }

    mutating func message() throws(Uncommon) -> QuickReader { QuickReader(bytes, try range()) }

    mutating func data() throws(Uncommon) -> [UInt8] { Array(bytes[try range()]) }

    mutating func text() throws(Uncommon) -> String {
        let range = try range()
        // Nearly every text is ASCII, which needs no validation that costs more than the text.
        if let text = ascii(range) { return text }
        guard let text = String(validating: bytes[range], as: UTF8.self) else {
            throw Uncommon()
        }
        return text
    }

    private func ascii(_ range: Range<Int>) -> String? {
        bytes.withUnsafeBytes { all in
            let part = UnsafeRawBufferPointer(rebasing: all[range])
            // Eight at a time: texts are most of what a message consists of.
            var seen: UInt64 = 0
            var place = 0
            while place + 8 <= part.count {
                seen |= part.loadUnaligned(fromByteOffset: place, as: UInt64.self)
                place += 8
            }
            while place < part.count {
                seen |= UInt64(part[place])
                place += 1
            }
            guard seen & 0x8080_8080_8080_8080 == 0 else { return nil }
            return String(unsafeUninitializedCapacity: part.count) { buffer in
                UnsafeMutableRawBufferPointer(buffer).copyMemory(from: part)
                return part.count
            }
        }
    }

    mutating func update() throws(Uncommon) -> UpdateID {
        guard let id = UpdateID(bytes: bytes[try range()]) else { throw Uncommon() }
        return id
    }

    /// A message whose one field, 1, is an id.
    mutating func id<Subject>() throws(Uncommon) -> Identifier<Subject> {
        var part = try message()
        guard try part.next() == 1 else { throw Uncommon() }
        let text = try part.text()
        guard try part.next() == nil else { throw Uncommon() }
        return Identifier(text)
    }
}

/// What a message cannot do without.
func needed<Value>(_ value: Value?) throws(Uncommon) -> Value {
    guard let value else { throw Uncommon() }
    return value
}
