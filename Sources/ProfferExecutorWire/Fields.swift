internal import ProfferSession

/// What is read from the fields of a message.
protocol FieldReadable {
    init(_ fields: Fields) throws(WireError)
}

/// The fields of one message, by number.
///
/// It is a view of the message's bytes and keeps nothing else: each question looks through the
/// fields once.
///
/// A field that is there more than once follows the rules of protocol buffers: the last value
/// counts, messages are merged, lists grow. A field of another wire type than asked for counts as
/// one that is not known, and so does an unknown value of an enumeration.
struct Fields {
    private let bytes: ArraySlice<UInt8>
    private let name: String

    /// The message in `bytes`, called `name` in errors.
    ///
    /// - Throws: ``WireError/malformed(_:)`` when they are not a sequence of whole fields.
    init(_ bytes: ArraySlice<UInt8>, _ name: String) throws(WireError) {
        self.bytes = bytes
        self.name = name
        var scanner = FieldScanner(bytes, name)
        while try scanner.next() != nil {}
    }

    /// A whole message of at most `limit` bytes.
    init(_ bytes: [UInt8], limit: Int, _ name: String) throws(WireError) {
        guard bytes.count <= limit else { throw .tooLarge(size: bytes.count, limit: limit) }
        try self.init(bytes[...], name)
    }

    /// A value that the message cannot do without.
    func required<Value>(_ value: Value?) throws(WireError) -> Value {
        guard let value else { throw .missing("a required field of \(name)") }
        return value
    }

    // MARK: Numbers

    func uint64(_ number: UInt32) throws(WireError) -> UInt64? { try varints(number).last }

    func int64(_ number: UInt32) throws(WireError) -> Int64? {
        try uint64(number).map { Int64(bitPattern: $0) }
    }

    func uint32(_ number: UInt32) throws(WireError) -> UInt32? {
        try uint64(number).map { UInt32(truncatingIfNeeded: $0) }
    }

    func int32(_ number: UInt32) throws(WireError) -> Int32? {
        try uint64(number).map { Int32(truncatingIfNeeded: $0) }
    }

    /// A number within 32 bits, of which more are refused instead of cut off.
    func small(_ number: UInt32, _ field: String) throws(WireError) -> Int? {
        guard let value = try int64(number) else { return nil }
        guard let small = Int32(exactly: value) else { throw .outOfRange(field) }
        return Int(small)
    }

    func bool(_ number: UInt32) throws(WireError) -> Bool? { try uint64(number).map { $0 != 0 } }

    func kind<Kind: RawRepresentable>(
        _ number: UInt32
    ) throws(WireError) -> Kind? where Kind.RawValue == Int32 {
        try varints(number).compactMap { Kind(rawValue: Int32(truncatingIfNeeded: $0)) }.last
    }

    func fixed64(_ number: UInt32) throws(WireError) -> UInt64? {
        var last: UInt64?
        var scanner = FieldScanner(bytes, name)
        while let field = try scanner.next() {
            if field.number == number, case .fixed64(let value) = field.value { last = value }
        }
        return last
    }

    func double(_ number: UInt32) throws(WireError) -> Double? {
        try fixed64(number).map { Double(bitPattern: $0) }
    }

    private func varints(_ number: UInt32) throws(WireError) -> [UInt64] {
        var values: [UInt64] = []
        var scanner = FieldScanner(bytes, name)
        while let field = try scanner.next() {
            if field.number == number, case .varint(let value) = field.value {
                values.append(value)
            }
        }
        return values
    }

    /// The values of a list, whether each stands for itself or several are packed together.
    func numbers(_ number: UInt32) throws(WireError) -> [UInt64] {
        var values: [UInt64] = []
        var scanner = FieldScanner(bytes, name)
        while let field = try scanner.next() {
            guard field.number == number else { continue }
            switch field.value {
            case .varint(let value): values.append(value)
            case .bytes(let packed): values += try FieldScanner.varints(packed, name)
            default: break
            }
        }
        return values
    }

    // MARK: Bytes and texts

    func data(_ number: UInt32) throws(WireError) -> [UInt8]? {
        try bodies(number).last.map { Array($0) }
    }

    func text(_ number: UInt32) throws(WireError) -> String? { try texts(number).last }

    func texts(_ number: UInt32) throws(WireError) -> [String] {
        var texts: [String] = []
        for body in try bodies(number) {
            guard let text = String(validating: body, as: UTF8.self) else {
                throw .malformed(name)
            }
            texts.append(text)
        }
        return texts
    }

    private func bodies(_ number: UInt32) throws(WireError) -> [ArraySlice<UInt8>] {
        var bodies: [ArraySlice<UInt8>] = []
        var scanner = FieldScanner(bytes, name)
        while let field = try scanner.next() {
            if field.number == number, case .bytes(let body) = field.value { bodies.append(body) }
        }
        return bodies
    }

    // MARK: Messages

    /// The message in a field, merged from all its parts; `nil` when there is none.
    func fields(_ number: UInt32) throws(WireError) -> Fields? {
        try merged(try bodies(number))
    }

    func one<Value: FieldReadable>(_ number: UInt32) throws(WireError) -> Value? {
        guard let fields = try fields(number) else { return nil }
        return try Value(fields)
    }

    func list<Value: FieldReadable>(_ number: UInt32) throws(WireError) -> [Value] {
        var list: [Value] = []
        for body in try bodies(number) { list.append(try Value(try Fields(body, name))) }
        return list
    }

    /// How many entries a list of messages or texts has.
    func count(_ number: UInt32) throws(WireError) -> Int { try bodies(number).count }

    /// The entries of a map in the order of their keys; of several with one key, the last.
    func map(_ number: UInt32) throws(WireError) -> [(key: String, value: Fields?)] {
        var entries: [(key: String, value: Fields?)] = []
        for body in try bodies(number) {
            let entry = try Fields(body, name)
            entries.append((try entry.text(1) ?? "", try entry.fields(2)))
        }
        return lastOfEachKey(entries) { $0.key }.map { ($0.key, $0.element.value) }
    }

    /// The field that counts among those of which a message has one only: the last.
    ///
    /// - Returns: Its number, and its parts since another one of `numbers` was seen.
    func choice(
        among numbers: ClosedRange<UInt32>
    ) throws(WireError) -> (number: UInt32, parts: [ArraySlice<UInt8>])? {
        var choice: (number: UInt32, parts: [ArraySlice<UInt8>])?
        var scanner = FieldScanner(bytes, name)
        while let field = try scanner.next() {
            guard numbers.contains(field.number), case .bytes(let body) = field.value else {
                continue
            }
            if choice?.number == field.number {
                choice?.parts.append(body)
            } else {
                choice = (field.number, [body])
            }
        }
        return choice
    }

    /// The message that these parts make together.
    ///
    /// Merging two messages is the same as joining their bytes, once each is known to be whole.
    func merged(_ parts: [ArraySlice<UInt8>]) throws(WireError) -> Fields? {
        guard let only = parts.first else { return nil }
        if parts.count == 1 { return try Fields(only, name) }
        for part in parts { _ = try Fields(part, name) }
        return try Fields(ArraySlice(parts.joined()), name)
    }
}

/// `list` in the order of its keys; of several elements with one key, the last.
///
/// Keys are compared as texts, so one that is composed differently is the same. Then the way in
/// which it was written first stays, as in a dictionary whose value is replaced.
func lastOfEachKey<Element>(
    _ list: [Element], _ key: (Element) -> String
) -> [(key: String, element: Element)] {
    // Sorting is stable: of equal keys the last one in the list comes last.
    list.map { (key: key($0), element: $0) }.sorted { $0.key < $1.key }
        .reduce(into: []) { result, entry in
            if let last = result.last, last.key == entry.key {
                result[result.count - 1].element = entry.element
            } else {
                result.append(entry)
            }
        }
}
