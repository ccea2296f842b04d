internal import ProfferAPI
internal import ProfferKernel

/// A JSON text that a client sent, read strictly: a key that occurs twice is a mistake, and so is
/// one that nobody knows.
enum RequestJSON {
    case null
    case bool(Bool)
    /// As it is written.
    case number(String)
    case text(String)
    case list([RequestJSON])
    case object([(key: String, value: RequestJSON)])

    /// Reads one value; O(bytes) besides the keys of an object, which are compared.
    ///
    /// - Throws: ``ProblemObject`` with status 400.
    static func parse(_ bytes: [UInt8]) throws -> RequestJSON {
        var parser = RequestParser(bytes)
        let value = try parser.value(depth: 0)
        try parser.end()
        return value
    }

    var kind: String {
        switch self {
        case .null: "null"
        case .bool: "true or false"
        case .number: "a number"
        case .text: "text"
        case .list: "a list"
        case .object: "an object"
        }
    }
}

func badBody(_ path: String, _ detail: String, advice: String? = nil) -> ProblemObject {
    ProblemObject(
        status: 400, title: "bad request",
        detail: path.isEmpty ? "the body \(detail)" : "'\(path)' \(detail)", advice: advice)
}

private struct RequestParser {
    private static let depthLimit = 16
    /// No body that makes sense has more keys in one object; each is compared with the others.
    private static let keyLimit = 1000

    private let bytes: [UInt8]
    private var position = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    private var next: UInt8? { position < bytes.count ? bytes[position] : nil }

    private func problem(_ what: String) -> ProblemObject {
        badBody("", "is not JSON: \(what) at byte \(position)")
    }

    private mutating func skipBlanks() {
        while let byte = next, [0x20, 0x09, 0x0A, 0x0D].contains(byte) { position += 1 }
    }

    private mutating func take(_ letter: Unicode.Scalar) -> Bool {
        guard next == UInt8(ascii: letter) else { return false }
        position += 1
        return true
    }

    private mutating func takeWord(_ word: String) -> Bool {
        guard bytes[position...].starts(with: word.utf8) else { return false }
        position += word.utf8.count
        return true
    }

    mutating func end() throws {
        skipBlanks()
        guard next == nil else { throw problem("something follows") }
    }

    mutating func value(depth: Int) throws -> RequestJSON {
        guard depth < Self.depthLimit else { throw problem("too deep") }
        skipBlanks()
        switch next {
        case UInt8(ascii: "{"): return .object(try object(depth: depth))
        case UInt8(ascii: "["): return .list(try list(depth: depth))
        case UInt8(ascii: "\""): return .text(try text())
        case UInt8(ascii: "t") where takeWord("true"): return .bool(true)
        case UInt8(ascii: "f") where takeWord("false"): return .bool(false)
        case UInt8(ascii: "n") where takeWord("null"): return .null
        case let byte? where byte == UInt8(ascii: "-") || isDigit(byte):
            return .number(number())
        case _: throw problem("no value")
        }
    }

    private func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }

    private mutating func number() -> String {
        let start = position
        while let byte = next, isDigit(byte) || "+-.eE".utf8.contains(byte) { position += 1 }
        return String(decoding: bytes[start..<position], as: UTF8.self)
    }

    private mutating func object(depth: Int) throws -> [(key: String, value: RequestJSON)] {
        position += 1
        var entries: [(key: String, value: RequestJSON)] = []
        var keys = Set<String>()
        skipBlanks()
        if take("}") { return entries }
        while true {
            skipBlanks()
            guard next == UInt8(ascii: "\"") else { throw problem("no key") }
            let key = try text()
            guard keys.insert(key).inserted else {
                throw badBody(key, "is there twice", advice: "leave one of them out")
            }
            guard keys.count <= Self.keyLimit else { throw problem("too many keys") }
            skipBlanks()
            guard take(":") else { throw problem("no ':'") }
            entries.append((key, try value(depth: depth + 1)))
            skipBlanks()
            if take("}") { return entries }
            guard take(",") else { throw problem("no ',' or '}'") }
        }
    }

    private mutating func list(depth: Int) throws -> [RequestJSON] {
        position += 1
        var values: [RequestJSON] = []
        skipBlanks()
        if take("]") { return values }
        while true {
            values.append(try value(depth: depth + 1))
            skipBlanks()
            if take("]") { return values }
            guard take(",") else { throw problem("no ',' or ']'") }
        }
    }

    private mutating func text() throws -> String {
        position += 1
        var result: [UInt8] = []
        while let byte = next {
            position += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard let text = String(validating: result, as: UTF8.self) else {
                    throw problem("text that is not UTF-8")
                }
                return text
            case UInt8(ascii: "\\"): try escape(into: &result)
            case 0..<0x20: throw problem("a control character")
            case _: result.append(byte)
            }
        }
        throw problem("text without an end")
    }

    private mutating func escape(into result: inout [UInt8]) throws {
        let letter = next
        position += 1
        switch letter {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"):
            if let letter { result.append(letter) }
        case UInt8(ascii: "b"): result.append(0x08)
        case UInt8(ascii: "f"): result.append(0x0C)
        case UInt8(ascii: "n"): result.append(0x0A)
        case UInt8(ascii: "r"): result.append(0x0D)
        case UInt8(ascii: "t"): result.append(0x09)
        case UInt8(ascii: "u"):
            var unit = try hexadecimal()
            if (0xD800...0xDBFF).contains(unit) {
                guard takeWord("\\u") else { throw problem("half a character") }
                let low = try hexadecimal()
                guard (0xDC00...0xDFFF).contains(low) else { throw problem("half a character") }
                unit = 0x10000 + (unit - 0xD800) << 10 + (low - 0xDC00)
            }
            guard let scalar = Unicode.Scalar(unit) else { throw problem("half a character") }
            result += Array(String(Character(scalar)).utf8)
        case _: throw problem("no such escape")
        }
    }

    private mutating func hexadecimal() throws -> UInt32 {
        let end = position + 4
        guard end <= bytes.count else { throw problem("text without an end") }
        var number: UInt32 = 0
        for byte in bytes[position..<end] {
            guard let digit = Character(UnicodeScalar(byte)).hexDigitValue else {
                throw problem("no hexadecimal digit")
            }
            number = number << 4 | UInt32(digit)
        }
        position = end
        return number
    }
}

/// The fields of an object in a request.
///
/// What is asked for is noted, so that ``finish()`` can tell what is not known.
struct RequestFields {
    private let path: String
    private let entries: [(key: String, value: RequestJSON)]
    private let known: [String]

    /// - Throws: ``ProblemObject`` when `value` is no object or has a key that is not `known`.
    init(_ value: RequestJSON, at path: String, known: [String]) throws {
        guard case .object(let entries) = value else {
            throw badBody(path, "is \(value.kind) and has to be an object")
        }
        self.path = path
        self.entries = entries
        self.known = known
        for entry in entries where !known.contains(entry.key) {
            throw badBody(
                name(entry.key), "is not known",
                advice: Spelling.nearest(to: entry.key, in: known).map { "did you mean '\($0)'?" }
                    ?? "there are \(known.joined(separator: ", "))")
        }
    }

    func name(_ key: String) -> String {
        let shown = key.utf8.count <= 64 ? key : key.prefix(32) + "..."
        return path.isEmpty ? shown : "\(path).\(shown)"
    }

    /// The value of a key; `null` counts as absent.
    subscript(key: String) -> RequestJSON? {
        guard let value = entries.first(where: { $0.key == key })?.value else { return nil }
        if case .null = value { return nil }
        return value
    }

    func text(_ key: String) throws -> String? {
        guard let value = self[key] else { return nil }
        guard case .text(let text) = value else {
            throw badBody(name(key), "is \(value.kind) and has to be text")
        }
        return text
    }

    func bool(_ key: String) throws -> Bool? {
        guard let value = self[key] else { return nil }
        guard case .bool(let bool) = value else {
            throw badBody(name(key), "is \(value.kind) and has to be true or false")
        }
        return bool
    }

    /// A whole number within 32 bits.
    func whole(_ key: String) throws -> Int? {
        guard let value = self[key] else { return nil }
        guard case .number(let text) = value, let number = Int32(text) else {
            throw badBody(name(key), "has to be a whole number")
        }
        return Int(number)
    }

    func list(_ key: String) throws -> [RequestJSON] {
        guard let value = self[key] else { return [] }
        guard case .list(let list) = value else {
            throw badBody(name(key), "is \(value.kind) and has to be a list")
        }
        return list
    }

    /// Amounts by name.
    func object(_ key: String) throws -> [(key: String, value: RequestJSON)] {
        guard let value = self[key] else { return [] }
        guard case .object(let entries) = value else {
            throw badBody(name(key), "is \(value.kind) and has to be an object")
        }
        return entries
    }
}
