/// Why a text is no JSON, or not JSON that can be taken at its word.
public struct JSONProblem: Error, Hashable, Sendable, CustomStringConvertible {
    /// Where: the path of the value, `/` for the whole.
    public var path: String
    /// What is wrong there.
    public var message: String

    /// One sentence.
    public var description: String { "\(message) at \(path)" }
}

extension JSON {
    /// Reads JSON text (RFC 8259).
    ///
    /// Member names must be unique: of two values for one name, one would be silently lost.
    ///
    /// O(size).
    ///
    /// - Throws: ``JSONProblem`` with the path of the first error.
    public static func parse(_ bytes: [UInt8]) throws(JSONProblem) -> JSON {
        var parser = JSONParser(bytes: bytes)
        return try parser.parseAll()
    }

    static func parse(_ text: String) throws(JSONProblem) -> JSON {
        try parse(Array(text.utf8))
    }
}

private struct JSONParser {
    /// Deeper nesting is refused: the parser is recursive.
    static let depthLimit = 64

    let bytes: [UInt8]
    var position = 0
    var path: [String] = []

    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func parseAll() throws(JSONProblem) -> JSON {
        let value = try parseValue()
        skipSpace()
        guard position == bytes.count else { throw problem("unexpected text after the value") }
        return value
    }

    private func problem(_ message: String) -> JSONProblem {
        JSONProblem(
            path: "/" + path.joined(separator: "/"),
            message: "\(message) (byte \(min(position, bytes.count)))")
    }

    private var next: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func skipSpace() {
        while let byte = next, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 {
            position += 1
        }
    }

    private mutating func parseValue() throws(JSONProblem) -> JSON {
        guard path.count <= Self.depthLimit else { throw problem("too deeply nested") }
        skipSpace()
        guard let first = next else { throw problem("the text ends where a value should be") }
        switch first {
        case 0x7B: return try parseObject()
        case 0x5B: return try parseArray()
        case 0x22: return .string(try parseString())
        case 0x2D, 0x30...0x39: return try parseNumber()
        case 0x74: return try parseWord("true", .bool(true))
        case 0x66: return try parseWord("false", .bool(false))
        case 0x6E: return try parseWord("null", .null)
        default: throw problem("a value should be here")
        }
    }

    private mutating func parseWord(
        _ word: String, _ value: JSON
    ) throws(JSONProblem) -> JSON {
        let end = position + word.utf8.count
        guard end <= bytes.count, bytes[position..<end].elementsEqual(word.utf8) else {
            throw problem("a value should be here")
        }
        position = end
        return value
    }

    private mutating func parseObject() throws(JSONProblem) -> JSON {
        position += 1
        var members: [JSON.Member] = []
        var seen: Set<String> = []
        skipSpace()
        if next == 0x7D {
            position += 1
            return .object([])
        }
        while true {
            skipSpace()
            guard next == 0x22 else { throw problem("a name in quotes should be here") }
            let name = try parseString()
            path.append(name)
            guard seen.insert(name).inserted else {
                throw problem("the field '\(name)' is given twice")
            }
            skipSpace()
            guard next == 0x3A else { throw problem("a ':' should be here") }
            position += 1
            members.append(JSON.Member(name, try parseValue()))
            path.removeLast()
            skipSpace()
            switch next {
            case 0x2C: position += 1
            case 0x7D:
                position += 1
                return .object(members)
            default: throw problem("a ',' or '}' should be here")
            }
        }
    }

    private mutating func parseArray() throws(JSONProblem) -> JSON {
        position += 1
        var elements: [JSON] = []
        skipSpace()
        if next == 0x5D {
            position += 1
            return .array([])
        }
        while true {
            path.append(String(elements.count))
            elements.append(try parseValue())
            path.removeLast()
            skipSpace()
            switch next {
            case 0x2C: position += 1
            case 0x5D:
                position += 1
                return .array(elements)
            default: throw problem("a ',' or ']' should be here")
            }
        }
    }

    private mutating func parseNumber() throws(JSONProblem) -> JSON {
        let start = position
        if next == 0x2D { position += 1 }
        let whole = takeDigits()
        guard !whole.isEmpty, whole.count == 1 || whole.first != 0x30 else {
            throw problem("this is not a number")
        }
        if next == 0x2E {
            position += 1
            guard !takeDigits().isEmpty else { throw problem("this is not a number") }
        }
        if next == 0x65 || next == 0x45 {
            position += 1
            if next == 0x2B || next == 0x2D { position += 1 }
            guard !takeDigits().isEmpty else { throw problem("this is not a number") }
        }
        return .number(String(decoding: bytes[start..<position], as: UTF8.self))
    }

    private mutating func takeDigits() -> ArraySlice<UInt8> {
        let start = position
        while let byte = next, (0x30...0x39).contains(byte) { position += 1 }
        return bytes[start..<position]
    }

    private mutating func parseString() throws(JSONProblem) -> String {
        position += 1
        var text: [UInt8] = []
        while let byte = next {
            position += 1
            switch byte {
            case 0x22:
                guard let string = String(validating: text, as: UTF8.self) else {
                    throw problem("the text is not valid UTF-8")
                }
                return string
            case 0x5C: try parseEscape(into: &text)
            case 0..<0x20: throw problem("a control character must be escaped")
            default: text.append(byte)
            }
        }
        throw problem("the text in quotes does not end")
    }

    private mutating func parseEscape(into text: inout [UInt8]) throws(JSONProblem) {
        guard let byte = next else { throw problem("the text in quotes does not end") }
        position += 1
        switch byte {
        case 0x22, 0x5C, 0x2F: text.append(byte)
        case 0x62: text.append(0x08)
        case 0x66: text.append(0x0C)
        case 0x6E: text.append(0x0A)
        case 0x72: text.append(0x0D)
        case 0x74: text.append(0x09)
        case 0x75:
            var code = try parseHex()
            if (0xD800..<0xDC00).contains(code) {
                guard next == 0x5C, position + 1 < bytes.count, bytes[position + 1] == 0x75 else {
                    throw problem("half of a surrogate pair is missing")
                }
                position += 2
                let low = try parseHex()
                guard (0xDC00..<0xE000).contains(low) else {
                    throw problem("half of a surrogate pair is missing")
                }
                code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
            }
            guard let scalar = Unicode.Scalar(code) else {
                throw problem("half of a surrogate pair is missing")
            }
            text += Array(String(Character(scalar)).utf8)
        default: throw problem("there is no such escape")
        }
    }

    private mutating func parseHex() throws(JSONProblem) -> UInt32 {
        var code: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = next, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
                throw problem("four hexadecimal digits should be here")
            }
            position += 1
            code = code << 4 | UInt32(digit)
        }
        return code
    }
}
