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
        self.init()
        for part in text.split(separator: ";") {
            let (head, value) = try Self.split(part)
            var name = head
            var reservations: [Reservation] = []
            if let open = head.firstIndex(of: "("), head.last == ")" {
                let role = String(head[head.index(after: open)...].dropLast())
                name = String(head[..<open])
                if role.isEmpty { throw Self.problem(part, "the role is missing") }
                if role != "*" { reservations = [Reservation(kind: .static, role: role)] }
            }
            guard !name.isEmpty else { throw Self.problem(part, "the name is missing") }
            let amount = try Self.value(value, part)
            if case .scalar(let milli) = amount, milli < .zero {
                throw Self.problem(part, "an amount cannot be negative")
            }
            self += Resource(name, amount, reservations: reservations)
        }
    }

    fileprivate static func split(
        _ part: Substring
    ) throws(ResourceTextProblem) -> (String, String) {
        guard let colon = part.firstIndex(of: ":") else {
            throw problem(part, "it must have the form name:value")
        }
        return (
            trimmed(part[..<colon]), trimmed(part[part.index(after: colon)...])
        )
    }

    private static func value(
        _ text: String, _ part: Substring
    ) throws(ResourceTextProblem) -> ResourceValue {
        if text.first == "[" {
            guard let ranges = intervals(text) else {
                throw problem(part, "ranges have the form [31000-31999,33000-33000]")
            }
            return .ranges(ranges)
        }
        if text.first == "{" {
            guard text.last == "}" else { throw problem(part, "a set has the form {a,b}") }
            let names = text.dropFirst().dropLast().split(separator: ",").map(trimmed)
            return .set(unique(names))
        }
        guard let amount = Milli(text: text) else {
            throw problem(part, "an amount is a number with at most three decimals, such as 1.5")
        }
        return .scalar(amount)
    }

    fileprivate static func intervals(_ text: String) -> IntervalSet? {
        guard text.first == "[", text.last == "]" else { return nil }
        var list: [ClosedRange<UInt64>] = []
        for range in text.dropFirst().dropLast().split(separator: ",") {
            let ends = range.split(separator: "-", omittingEmptySubsequences: false).map(trimmed)
            guard ends.count == 2, let low = UInt64(ends[0]), let high = UInt64(ends[1]),
                low <= high
            else { return nil }
            list.append(low...high)
        }
        return IntervalSet(list)
    }

    private static func unique(_ names: [String]) -> [String] {
        names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }.reduce(into: []) { kept, name in
            if kept.last != name { kept.append(name) }
        }
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
            let (name, value) = try Resources.split(part)
            guard !name.isEmpty, !value.isEmpty else {
                throw Resources.problem(part, "name and value must not be empty")
            }
            if let ranges = Resources.intervals(value) {
                attributes.append(Attribute(name: name, value: .ranges(ranges)))
            } else if let number = Milli(text: value) {
                attributes.append(Attribute(name: name, value: .scalar(number)))
            } else {
                attributes.append(Attribute(name: name, value: .text(value)))
            }
        }
        return attributes
    }
}

extension Milli {
    /// Reads a decimal number with at most three decimals, such as `0.5`; `nil` when it is none or
    /// too large.
    public init?(text: String) {
        let isNegative = text.hasPrefix("-")
        let parts = text.dropFirst(isNegative ? 1 : 0).split(
            separator: ".", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), !parts[0].isEmpty, parts[0].utf8.count <= 12,
            parts.allSatisfy({ $0.utf8.allSatisfy { (0x30...0x39).contains($0) } }),
            let whole = Int64(parts[0])
        else { return nil }
        var fraction: Int64 = 0
        if parts.count == 2 {
            guard (1...3).contains(parts[1].utf8.count), let digits = Int64(parts[1]) else {
                return nil
            }
            fraction = digits
            for _ in parts[1].utf8.count..<3 { fraction *= 10 }
        }
        let magnitude = whole * 1000 + fraction
        guard magnitude <= Self.wireLimit else { return nil }
        self.init(thousandths: isNegative ? -magnitude : magnitude)
    }
}

private func trimmed(_ text: Substring) -> String {
    var rest = text
    while rest.first == " " { rest = rest.dropFirst() }
    while rest.last == " " { rest = rest.dropLast() }
    return String(rest)
}
