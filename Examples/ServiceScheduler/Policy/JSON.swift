/// A JSON value that keeps the order of its members and the digits of its numbers.
///
/// The policy speaks JSON itself, so that a request and its answer can be tested, and simulated,
/// without a server. Numbers stay text until a field says how many decimals it has: no quantity
/// ever passes through floating point.
public enum JSON: Hashable, Sendable {
    /// `null`, which means "not given" wherever a field is read.
    case null
    /// `true` or `false`.
    case bool(Bool)
    /// A number as it is written.
    case number(String)
    /// Text.
    case string(String)
    /// A list.
    case array([JSON])
    /// An object; names are unique.
    case object([Member])

    /// A member of an object.
    public struct Member: Hashable, Sendable {
        /// Its name.
        public var name: String
        /// Its value.
        public var value: JSON

        /// Makes a member.
        public init(_ name: String, _ value: JSON) {
            self.name = name
            self.value = value
        }
    }

    /// The member called `name`; `nil` when there is none or this is no object.
    ///
    /// O(members).
    public subscript(name: String) -> JSON? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.name == name }?.value
    }

    /// The text, when this is text.
    public var text: String? {
        if case .string(let text) = self { return text }
        return nil
    }

    /// The members of an object; empty for everything else.
    public var members: [Member] {
        if case .object(let members) = self { return members }
        return []
    }

    /// The elements of a list; empty for everything else.
    public var elements: [JSON] {
        if case .array(let elements) = self { return elements }
        return []
    }

    /// Whether this is `null`.
    public var isNull: Bool { self == .null }
}

extension JSON: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByBooleanLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    /// Text.
    public init(stringLiteral value: String) { self = .string(value) }
    /// A whole number.
    public init(integerLiteral value: Int) { self = .number(String(value)) }
    /// `true` or `false`.
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    /// A list.
    public init(arrayLiteral elements: JSON...) { self = .array(elements) }
    /// An object; the names must be unique.
    public init(dictionaryLiteral elements: (String, JSON)...) {
        self = .object(elements.map { Member($0.0, $0.1) })
    }
}

extension JSON {
    static func int(_ value: Int) -> JSON { .number(String(value)) }

    static func texts(_ values: [String]) -> JSON { .array(values.map { .string($0) }) }

    /// An object without the members that are `nil`.
    static func compact(_ members: [(String, JSON?)]) -> JSON {
        .object(members.compactMap { name, value in value.map { Member(name, $0) } })
    }

    /// This object with more members behind its own.
    func appending(_ more: [(String, JSON?)]) -> JSON {
        .object(members + JSON.compact(more).members)
    }

    /// This object with the members of `other` in place of its own of the same name.
    func overlaid(with other: JSON) -> JSON {
        var result = members
        for member in other.members {
            if let index = result.firstIndex(where: { $0.name == member.name }) {
                result[index].value = member.value
            } else {
                result.append(member)
            }
        }
        return .object(result)
    }

    /// This object without some members.
    func removing(_ names: [String]) -> JSON {
        .object(members.filter { !names.contains($0.name) })
    }
}

/// Makes an object member by member; what is set to `nil` is left out.
struct ObjectBuilder {
    private var members: [JSON.Member] = []

    var json: JSON { .object(members) }

    subscript(name: String) -> JSON? {
        get { members.first { $0.name == name }?.value }
        set { if let newValue { members.append(JSON.Member(name, newValue)) } }
    }
}

extension JSON: CustomStringConvertible {
    /// The value as compact JSON text.
    ///
    /// O(size).
    public var description: String {
        var bytes: [UInt8] = []
        write(to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The value as compact JSON text in UTF-8.
    ///
    /// O(size).
    public var bytes: [UInt8] {
        var bytes: [UInt8] = []
        write(to: &bytes)
        return bytes
    }

    private func write(to out: inout [UInt8]) {
        switch self {
        case .null: out += Array("null".utf8)
        case .bool(let value): out += Array((value ? "true" : "false").utf8)
        case .number(let digits): out += Array(digits.utf8)
        case .string(let text): Self.write(text, to: &out)
        case .array(let elements):
            out.append(0x5B)
            for (index, element) in elements.enumerated() {
                if index > 0 { out.append(0x2C) }
                element.write(to: &out)
            }
            out.append(0x5D)
        case .object(let members):
            out.append(0x7B)
            for (index, member) in members.enumerated() {
                if index > 0 { out.append(0x2C) }
                Self.write(member.name, to: &out)
                out.append(0x3A)
                member.value.write(to: &out)
            }
            out.append(0x7D)
        }
    }

    private static func write(_ text: String, to out: inout [UInt8]) {
        out.append(0x22)
        for byte in text.utf8 {
            switch byte {
            case 0x22: out += [0x5C, 0x22]
            case 0x5C: out += [0x5C, 0x5C]
            case 0x0A: out += [0x5C, 0x6E]
            case 0x0D: out += [0x5C, 0x72]
            case 0x09: out += [0x5C, 0x74]
            case 0..<0x20:
                let digits = String(byte, radix: 16)
                out += Array(("\\u00" + (digits.utf8.count < 2 ? "0" : "") + digits).utf8)
            default: out.append(byte)
            }
        }
        out.append(0x22)
    }
}
