/// A text that describes resources or attributes is not valid, and why.
public struct ResourceTextProblem: Error, Hashable, CustomStringConvertible {
    /// The part that is wrong.
    public let part: String
    /// What is wrong with it.
    public let because: String

    /// One sentence.
    public var description: String { "'\(part)': \(because)" }
}

extension Resources {
    /// Reads Mesos' text form: `cpus:1.5;mem(web):512;ports:[31000-31999];models:{a,b}`.
    ///
    /// A name in parentheses reserves the resource for that role, statically; `(*)` does not.
    /// - Throws: ``ResourceTextProblem`` that names the part that is wrong.
    public init(text: String) throws(ResourceTextProblem) {
        var list: [Resource] = []
        for part in text.utf8.split(separator: UInt8(ascii: ";")) {
            list.append(try Self.resource(Substring(part)))
        }
        self.init(list)
    }

    private static func resource(_ part: Substring) throws(ResourceTextProblem) -> Resource {
        let (head, value) = try split(part)
        var name = head
        var reservations: [Reservation] = []
        if let open = head.utf8.firstIndex(of: UInt8(ascii: "(")),
            head.utf8.last == UInt8(ascii: ")")
        {
            let role = Substring(head[head.utf8.index(after: open)...].utf8.dropLast())
            name = head[..<open]
            if role.isEmpty { throw problem(part, "the role is missing") }
            if role != "*" { reservations = [Reservation(kind: .static, role: String(role))] }
        }
        guard !name.isEmpty else { throw problem(part, "the name is missing") }
        let amount = try Self.value(value, part)
        if case .scalar(let milli) = amount, milli < .zero {
            throw problem(part, "an amount cannot be negative")
        }
        return Resource(String(name), amount, reservations: reservations)
    }

    fileprivate static func split(
        _ part: Substring
    ) throws(ResourceTextProblem) -> (Substring, Substring) {
        guard let colon = part.utf8.firstIndex(of: UInt8(ascii: ":")) else {
            throw problem(part, "it must have the form name:value")
        }
        return (
            trimmed(part[..<colon]), trimmed(part[part.utf8.index(after: colon)...])
        )
    }

    private static func value(
        _ text: Substring, _ part: Substring
    ) throws(ResourceTextProblem) -> ResourceValue {
        if text.utf8.first == UInt8(ascii: "[") {
            guard let ranges = intervals(text) else {
                throw problem(part, "ranges have the form [31000-31999,33000-33000]")
            }
            return .ranges(ranges)
        }
        if text.utf8.first == UInt8(ascii: "{") {
            guard text.utf8.last == UInt8(ascii: "}") else {
                throw problem(part, "a set has the form {a,b}")
            }
            let names = inner(text).split(separator: UInt8(ascii: ","))
            return .set(NameList.normalized(names.map { String(trimmed(Substring($0))) }))
        }
        guard let amount = Milli(digits: text.utf8) else {
            throw problem(part, "an amount is a number with at most three decimals, such as 1.5")
        }
        return .scalar(amount)
    }

    fileprivate static func intervals(_ text: Substring) -> IntervalSet? {
        guard text.utf8.first == UInt8(ascii: "["), text.utf8.last == UInt8(ascii: "]") else {
            return nil
        }
        var list: [ClosedRange<UInt64>] = []
        for range in inner(text).split(separator: UInt8(ascii: ",")) {
            guard let dash = range.firstIndex(of: UInt8(ascii: "-")),
                let low = UInt64(trimmed(Substring(range[..<dash]))),
                let high = UInt64(trimmed(Substring(range[range.index(after: dash)...]))),
                low <= high
            else { return nil }
            list.append(low...high)
        }
        return IntervalSet(list)
    }

    /// The text between two brackets of one byte each.
    private static func inner(_ text: Substring) -> Substring.UTF8View {
        text.utf8.dropFirst().dropLast()
    }

    fileprivate static func problem(
        _ part: Substring, _ because: String
    ) -> ResourceTextProblem {
        ResourceTextProblem(part: String(part), because: because)
    }
}

extension Attribute {
    /// Reads Mesos' text form: `rack:r1;slots:[1-4];weight:2.5`.
    ///
    /// - Throws: ``ResourceTextProblem`` that names the part that is wrong.
    public static func list(text: String) throws(ResourceTextProblem) -> [Attribute] {
        var attributes: [Attribute] = []
        for part in text.split(separator: ";") {
            let (head, value) = try Resources.split(part)
            let name = String(head)
            guard !name.isEmpty, !value.isEmpty else {
                throw Resources.problem(part, "name and value must not be empty")
            }
            if let ranges = Resources.intervals(value) {
                attributes.append(Attribute(name: name, value: .ranges(ranges)))
            } else if let number = Milli(digits: value.utf8) {
                attributes.append(Attribute(name: name, value: .scalar(number)))
            } else {
                attributes.append(Attribute(name: name, value: .text(String(value))))
            }
        }
        return attributes
    }
}

extension Milli {
    /// Reads a decimal number with at most three decimals, such as `0.5`; `nil` when it is none or
    /// too large.
    public init?(text: String) {
        self.init(digits: text.utf8[...])
    }

    /// Reads a decimal number of at most twelve digits before and three after the point.
    fileprivate init?(digits text: Substring.UTF8View) {
        var rest = text
        let isNegative = rest.first == UInt8(ascii: "-")
        if isNegative { rest = rest.dropFirst() }
        var magnitude: Int64 = 0
        var digitCount = 0
        var decimalCount: Int?
        for byte in rest {
            if byte == UInt8(ascii: "."), decimalCount == nil, digitCount > 0 {
                decimalCount = 0
                continue
            }
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
            magnitude = magnitude * 10 + Int64(byte - UInt8(ascii: "0"))
            if let count = decimalCount {
                guard count < 3 else { return nil }
                decimalCount = count + 1
            } else {
                guard digitCount < 12 else { return nil }
                digitCount += 1
            }
        }
        guard digitCount > 0, decimalCount != 0 else { return nil }
        for _ in (decimalCount ?? 0)..<3 { magnitude *= 10 }
        guard magnitude <= Self.wireLimit else { return nil }
        self.init(thousandths: isNegative ? -magnitude : magnitude)
    }
}

private func trimmed(_ text: Substring) -> Substring {
    var rest = text.utf8
    while rest.first == UInt8(ascii: " ") { rest = rest.dropFirst() }
    while rest.last == UInt8(ascii: " ") { rest = rest.dropLast() }
    return Substring(rest)
}
