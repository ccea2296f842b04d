/// A JSON text as a value, for the files of container tools; no more of it than they need.
public indirect enum JSON: Hashable, Sendable {
    /// Names and values, in the order of the text.
    case object([Member])
    /// Values.
    case array([JSON])
    /// Text.
    case string(String)
    /// A whole number.
    case number(Int64)
    /// A number that is none of these, as it was written.
    case other(String)
    /// True or false.
    case bool(Bool)
    /// Nothing.
    case null

    /// A name with its value.
    public struct Member: Hashable, Sendable {
        /// The name.
        public var name: String
        /// The value.
        public var value: JSON

        /// Sets both.
        public init(_ name: String, _ value: JSON) {
            self.name = name
            self.value = value
        }
    }

    /// The value of a name, the last if there are several; `nil` when there is none.
    public subscript(name: String) -> JSON? {
        guard case .object(let members) = self else { return nil }
        return members.last { $0.name == name }?.value
    }

    /// The elements of an array; none when it is something else.
    public var elements: [JSON] { if case .array(let list) = self { list } else { [] } }

    /// The text; `nil` when it is something else.
    public var text: String? { if case .string(let text) = self { text } else { nil } }

    /// The whole number; `nil` when it is something else.
    public var integer: Int64? { if case .number(let number) = self { number } else { nil } }

    /// An array of texts.
    public static func strings(_ list: [String]) -> JSON { .array(list.map { .string($0) }) }
}

extension JSON: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByBooleanLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    /// Text.
    public init(stringLiteral value: String) { self = .string(value) }
    /// A whole number.
    public init(integerLiteral value: Int64) { self = .number(value) }
    /// True or false.
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    /// An array.
    public init(arrayLiteral elements: JSON...) { self = .array(elements) }
    /// An object, in this order.
    public init(dictionaryLiteral elements: (String, JSON)...) {
        self = .object(elements.map { Member($0.0, $0.1) })
    }
}

// MARK: Writing

extension JSON: CustomStringConvertible {
    /// The text, without white space.
    public var description: String {
        switch self {
        case .object(let members):
            "{"
                + members.map { Self.quoted($0.name) + ":" + $0.value.description }
                .joined(separator: ",") + "}"
        case .array(let list): "[" + list.map(\.description).joined(separator: ",") + "]"
        case .string(let text): Self.quoted(text)
        case .number(let number): "\(number)"
        case .other(let text): text
        case .bool(let value): value ? "true" : "false"
        case .null: "null"
        }
    }

    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}

// MARK: Reading

/// A text is no JSON.
public struct JSONProblem: Error, Hashable, CustomStringConvertible {
    /// Where, in bytes from the beginning.
    public var offset: Int
    /// The sentence about it.
    public var description: String { "this is no JSON from byte \(offset) on" }
}

extension JSON {
    /// Values may be nested this deep.
    private static let depthLimit = 64

    /// Reads a whole text.
    ///
    /// - Throws: ``JSONProblem`` with the place.
    public init(text: String) throws(JSONProblem) {
        var reader = Reader(bytes: Array(text.utf8))
        self = try reader.value(depth: 0)
        reader.skipSpace()
        guard reader.isAtEnd else { throw reader.problem }
    }

    private struct Reader {
        let bytes: [UInt8]
        var place = 0

        init(bytes: [UInt8]) { self.bytes = bytes }

        var isAtEnd: Bool { place == bytes.count }
        var problem: JSONProblem { JSONProblem(offset: place) }
        var next: UInt8? { place < bytes.count ? bytes[place] : nil }

        mutating func skipSpace() {
            while let byte = next, [0x20, 0x09, 0x0A, 0x0D].contains(byte) { place += 1 }
        }

        /// Passes over this byte if it comes next, after white space.
        mutating func take(_ byte: UInt8) -> Bool {
            skipSpace()
            guard next == byte else { return false }
            place += 1
            return true
        }

        mutating func value(depth: Int) throws(JSONProblem) -> JSON {
            skipSpace()
            guard let byte = next, depth < JSON.depthLimit else { throw problem }
            switch byte {
            case UInt8(ascii: "{"): return .object(try members(depth: depth))
            case UInt8(ascii: "["): return .array(try list(depth: depth))
            case UInt8(ascii: "\""): return .string(try string())
            default: return try word()
            }
        }

        private mutating func members(depth: Int) throws(JSONProblem) -> [Member] {
            place += 1
            var members: [Member] = []
            if take(UInt8(ascii: "}")) { return [] }
            repeat {
                skipSpace()
                let name = try string()
                guard take(UInt8(ascii: ":")) else { throw problem }
                members.append(Member(name, try value(depth: depth + 1)))
            } while take(UInt8(ascii: ","))
            guard take(UInt8(ascii: "}")) else { throw problem }
            return members
        }

        private mutating func list(depth: Int) throws(JSONProblem) -> [JSON] {
            place += 1
            var list: [JSON] = []
            if take(UInt8(ascii: "]")) { return [] }
            repeat { list.append(try value(depth: depth + 1)) } while take(UInt8(ascii: ","))
            guard take(UInt8(ascii: "]")) else { throw problem }
            return list
        }

        private mutating func word() throws(JSONProblem) -> JSON {
            let start = place
            while let byte = next, !",]}:\"[{ \t\n\r".utf8.contains(byte) { place += 1 }
            let word = String(decoding: bytes[start..<place], as: UTF8.self)
            switch word {
            case "true": return .bool(true)
            case "false": return .bool(false)
            case "null": return .null
            default:
                if let number = Int64(word), !word.hasPrefix("+") { return .number(number) }
                let isNumber =
                    !word.isEmpty && word.utf8.allSatisfy { "0123456789+-.eE".utf8.contains($0) }
                    && word.utf8.first != UInt8(ascii: "+")
                if isNumber { return .other(word) }
                place = start
                throw problem
            }
        }

        private mutating func string() throws(JSONProblem) -> String {
            guard next == UInt8(ascii: "\"") else { throw problem }
            place += 1
            var result: [UInt8] = []
            while let byte = next, byte != UInt8(ascii: "\"") {
                guard byte >= 0x20 else { throw problem }
                place += 1
                if byte == UInt8(ascii: "\\") {
                    result += try escape()
                } else {
                    result.append(byte)
                }
            }
            guard next != nil, let text = String(validating: result, as: UTF8.self) else {
                throw problem
            }
            place += 1
            return text
        }

        private mutating func escape() throws(JSONProblem) -> [UInt8] {
            guard let byte = next else { throw problem }
            place += 1
            switch byte {
            case UInt8(ascii: "n"): return [0x0A]
            case UInt8(ascii: "t"): return [0x09]
            case UInt8(ascii: "r"): return [0x0D]
            case UInt8(ascii: "b"): return [0x08]
            case UInt8(ascii: "f"): return [0x0C]
            case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [byte]
            case UInt8(ascii: "u"):
                var code = try unit()
                if (0xD800..<0xDC00).contains(code) {
                    guard next == UInt8(ascii: "\\") else { throw problem }
                    place += 1
                    guard next == UInt8(ascii: "u") else { throw problem }
                    place += 1
                    let low = try unit()
                    guard (0xDC00..<0xE000).contains(low) else { throw problem }
                    code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
                }
                guard let scalar = Unicode.Scalar(code) else { throw problem }
                return Array(String(scalar).utf8)
            default: throw problem
            }
        }

        private mutating func unit() throws(JSONProblem) -> UInt32 {
            let digits = bytes[place...].prefix(4)
            guard digits.count == 4,
                let code = UInt32(String(decoding: digits, as: UTF8.self), radix: 16)
            else { throw problem }
            place += 4
            return code
        }
    }
}
