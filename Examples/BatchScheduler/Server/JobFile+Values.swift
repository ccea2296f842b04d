internal import BatchPolicy
internal import Proffer
internal import Yams

extension JobFile {
    /// The values of a mapping by key.
    struct Fields {
        fileprivate var values: [String: Node] = [:]

        subscript(key: String) -> Node? { values[key] }
    }

    typealias Entry = (key: String, mark: FilePosition, value: Node)

    mutating func report(
        _ node: Node, _ what: String, because: String, try advice: String
    ) {
        report(node.position, what, because: because, try: advice)
    }

    mutating func report(
        _ mark: FilePosition, _ what: String, because: String, try advice: String
    ) {
        // A file of nothing but mistakes needs no more.
        guard problems.count < 100 else { return }
        problems.append(
            JobFileProblem(
                line: mark.line, column: mark.column, what: what, because: because,
                advice: advice))
    }

    // MARK: Mappings

    /// A mapping whose keys are known.
    mutating func fields(
        _ node: Node, of what: String, keys: [String], needed: [String]
    ) -> Fields? {
        let example = "{" + needed.map { "\($0): ..." }.joined(separator: ", ") + "}"
        guard let entries = entries(node, of: what, example: example) else { return nil }
        var fields = Fields()
        for (key, mark, value) in entries {
            if keys.contains(key) {
                fields.values[key] = value
            } else {
                report(
                    mark, "unknown key '\(key)'",
                    because: "\(what) has the keys \(keys.joined(separator: ", "))",
                    try: Spelling.nearest(to: key, in: keys).map { "perhaps '\($0)' was meant" }
                        ?? "remove it")
            }
        }
        for key in needed where fields[key] == nil {
            report(
                node, "\(what) needs '\(key)'",
                because: "it cannot do without \(needed.joined(separator: " and "))",
                try: "add '\(key): ...'")
        }
        return fields
    }

    /// The entries of a mapping with free keys, in their order.
    mutating func entries(_ node: Node, of what: String, example: String) -> [Entry]? {
        guard case .mapping(let mapping) = node else {
            report(
                node, "\(what) is not a mapping", because: "keys with values are needed here",
                try: "write \(example)")
            return nil
        }
        var entries: [Entry] = []
        for (key, value) in mapping {
            let mark = key.position
            guard case .scalar(let scalar) = key else {
                report(
                    mark, "a key is not text", because: "keys are names",
                    try: "write \(example)")
                continue
            }
            entries.append((scalar.string, mark, value))
        }
        reportRepetitions(&entries)
        return entries
    }

    /// Says which keys were given twice and drops the earlier ones.
    private mutating func reportRepetitions(_ entries: inout [Entry]) {
        for entry in entries {
            guard let name = repeatedKeys[entry.key] else { continue }
            let last = entries.last { $0.key == name } ?? entry
            report(
                last.mark, "the key '\(name)' is given twice",
                because: "it was given in line \(entry.mark.line), column "
                    + "\(entry.mark.column), already",
                try: "remove one of them")
        }
        entries.removeAll { repeatedKeys[$0.key] != nil }
    }

    // MARK: Text

    mutating func text(_ node: Node, _ what: String) -> String? {
        guard case .scalar(let scalar) = node, !Self.isNull(scalar) else {
            report(
                node, "\(what) is not text", because: "one value is needed here",
                try: "write it in quotes")
            return nil
        }
        return scalar.string
    }

    mutating func texts(
        _ node: Node, _ what: String, _ kind: String
    ) -> [(text: String, mark: FilePosition)] {
        guard case .sequence(let items) = node else {
            report(
                node, "\(what) is not a list", because: "it holds \(kind)",
                try: "write [first, second]")
            return []
        }
        return items.compactMap { item in
            text(item, "an entry of \(what)").map {
                ($0, item.position)
            }
        }
    }

    mutating func name(_ node: Node, _ what: String) -> String? {
        guard let text = text(node, what) else { return nil }
        guard JobSpecification.isName(text) else {
            report(
                node, "\(what) '\(text)' is not usable",
                because: "a name has 1 to 63 letters, digits, '-' and '_' and begins with a "
                    + "letter or digit",
                try: "choose such a name")
            return nil
        }
        return text
    }

    private static func isNull(_ scalar: Node.Scalar) -> Bool {
        scalar.style == .plain && ["", "~", "null", "Null", "NULL"].contains(scalar.string)
    }

    // MARK: Numbers

    mutating func integer(_ node: Node, _ what: String, _ range: ClosedRange<Int>) -> Int? {
        guard let text = number(node, what) else { return nil }
        guard let value = Int(text), range.contains(value) else {
            report(
                node, "\(what) cannot be \(text)",
                because: "a whole number from \(range.lowerBound) to \(range.upperBound) is "
                    + "needed",
                try: "write a number in that range")
            return nil
        }
        return value
    }

    mutating func amount(
        _ node: Node, _ what: String, _ unit: String, _ least: Milli, _ most: Milli
    ) -> Milli? {
        guard let text = number(node, what) else { return nil }
        guard let value = Double(text).flatMap(Milli.init(rounding:)), value >= least,
            value <= most
        else {
            report(
                node, "\(what) cannot be \(text)",
                because: "a number of \(unit) from \(least) to \(most) is needed",
                try: "write a number in that range, without a unit")
            return nil
        }
        return value
    }

    private mutating func number(_ node: Node, _ what: String) -> String? {
        guard case .scalar(let scalar) = node, !Self.isNull(scalar) else {
            report(
                node, "\(what) is not a number", because: "one number is needed here",
                try: "write a number")
            return nil
        }
        return scalar.string
    }

    mutating func duration(_ node: Node, _ what: String, atLeast least: Duration) -> Duration? {
        guard let text = number(node, what) else { return nil }
        guard let value = DurationText.parse(text), value >= least else {
            report(
                node, "\(what) cannot be '\(text)'",
                because: "a duration is a whole number with a unit: ms, s, m or h; at most a year",
                try: Int(text).map { "write '\(abs($0))s' for seconds" } ?? "write '30s' or '5m'")
            return nil
        }
        return value
    }
}

/// Durations as people write them.
enum DurationText {
    /// `500ms`, `30s`, `5m`, `2h`; `nil` for anything else and for more than a year.
    static func parse(_ text: String) -> Duration? {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        guard let value = Int64(digits), !digits.isEmpty else { return nil }
        let factor: Int64
        switch text.dropFirst(digits.count) {
        case "ms": factor = 1
        case "s": factor = 1000
        case "m": factor = 60_000
        case "h": factor = 3_600_000
        case _: return nil
        }
        let (milliseconds, overflow) = value.multipliedReportingOverflow(by: factor)
        guard !overflow, milliseconds <= 366 * 24 * 3_600_000 else { return nil }
        return .milliseconds(milliseconds)
    }

    /// Two units at most: `850ms`, `42s`, `3m12s`, `5h20m`, `2d3h`.
    static func write(_ duration: Duration) -> String {
        let seconds = duration.components.seconds
        if seconds < 1 {
            return "\(max(0, duration.components.attoseconds / 1_000_000_000_000_000))ms"
        }
        if seconds < 60 { return "\(seconds)s" }
        if seconds < 3600 { return "\(seconds / 60)m\(two(seconds % 60))s" }
        if seconds < 86_400 { return "\(seconds / 3600)h\(two(seconds % 3600 / 60))m" }
        return "\(seconds / 86_400)d\(two(seconds % 86_400 / 3600))h"
    }

    private static func two(_ number: Int64) -> String { number < 10 ? "0\(number)" : "\(number)" }
}
