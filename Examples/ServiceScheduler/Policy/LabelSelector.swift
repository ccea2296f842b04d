internal import Proffer

/// Chooses apps by their labels: `tier`, `tier==web`, `tier!=web`, `tier in (web, db)`,
/// `tier notin (web)`; several, separated by commas, must all hold.
struct LabelSelector {
    private enum Rule {
        case exists
        case among([String])
        case notAmong([String])
    }

    private var rules: [(key: String, rule: Rule)] = []

    /// - Throws: The answer to a selector that cannot be understood.
    init(_ text: String?) throws(ServiceAnswer) {
        for part in Self.parts(of: text ?? "") {
            guard let rule = Self.rule(from: part) else {
                throw .message(400, "'\(part)' is no label selector; try key==value")
            }
            rules.append(rule)
        }
    }

    func matches(_ labels: [Label]) -> Bool {
        rules.allSatisfy { key, rule in
            let value = labels.first { $0.key == key }?.value
            switch rule {
            case .exists: return value != nil
            case .among(let values): return value.map(values.contains) ?? false
            case .notAmong(let values): return value.map { !values.contains($0) } ?? false
            }
        }
    }

    /// Commas within parentheses do not separate.
    private static func parts(of text: String) -> [String] {
        var parts: [String] = [""]
        var depth = 0
        for character in text {
            if character == "(" { depth += 1 }
            if character == ")" { depth -= 1 }
            if character == ",", depth == 0 {
                parts.append("")
            } else {
                parts[parts.count - 1].append(character)
            }
        }
        return parts.map(trimmed).filter { !$0.isEmpty }
    }

    private static func rule(from part: String) -> (String, Rule)? {
        for (sign, isWanted) in [("==", true), ("!=", false)] {
            guard let range = part.firstRange(of: sign) else { continue }
            let key = trimmed(part[..<range.lowerBound])
            let values = [trimmed(part[range.upperBound...])]
            return key.isEmpty ? nil : (key, isWanted ? .among(values) : .notAmong(values))
        }
        let words = part.split(separator: " ", maxSplits: 1)
        if words.count == 1 { return (part, .exists) }
        let rest = trimmed(words[1])
        for (word, isWanted) in [("notin", false), ("in", true)] where rest.hasPrefix(word) {
            let list = trimmed(rest.dropFirst(word.count))
            guard list.first == "(", list.last == ")" else { return nil }
            let values = list.dropFirst().dropLast().split(separator: ",").map(trimmed)
            return (String(words[0]), isWanted ? .among(values) : .notAmong(values))
        }
        return nil
    }

    private static func trimmed(_ text: some StringProtocol) -> String {
        var rest = Substring(text)
        while rest.first == " " { rest = rest.dropFirst() }
        while rest.last == " " { rest = rest.dropLast() }
        return String(rest)
    }
}
