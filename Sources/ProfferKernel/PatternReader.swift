/// What a pattern means, as a tree.
indirect enum PatternNode {
    case step(TextPattern.Step)
    case sequence([PatternNode])
    case alternatives([PatternNode])
    /// Without an upper end, as often as one likes.
    case repeated(PatternNode, from: Int, to: Int?)
}

/// Turns the text of a pattern into its tree.
struct PatternReader {
    private static let depthLimit = 50
    private static let countLimit = 1000

    private let scalars: [Unicode.Scalar]
    private var place = 0
    private var depth = 0

    init(_ pattern: String) { scalars = Array(pattern.unicodeScalars) }

    private var next: Unicode.Scalar? { place < scalars.count ? scalars[place] : nil }

    private mutating func skip(_ scalar: Unicode.Scalar) -> Bool {
        guard next == scalar else { return false }
        place += 1
        return true
    }

    mutating func readAll() throws(TextPatternProblem) -> PatternNode {
        let node = try alternatives()
        if next != nil { throw TextPatternProblem("')' at \(place + 1) closes no group") }
        return node
    }

    private mutating func alternatives() throws(TextPatternProblem) -> PatternNode {
        var all = [try sequence()]
        while skip("|") { all.append(try sequence()) }
        return all.count == 1 ? all[0] : .alternatives(all)
    }

    private mutating func sequence() throws(TextPatternProblem) -> PatternNode {
        var parts: [PatternNode] = []
        while let scalar = next, scalar != "|", scalar != ")" {
            parts.append(try quantified(try atom()))
        }
        return .sequence(parts)
    }

    private mutating func quantified(
        _ node: PatternNode
    ) throws(TextPatternProblem) -> PatternNode {
        let range: (from: Int, to: Int?)
        switch next {
        case "*": range = (0, nil)
        case "+": range = (1, nil)
        case "?": range = (0, 1)
        case "{":
            range = try counts()
            place -= 1
        default: return node
        }
        place += 1
        // Whether few or many are tried first makes no difference to whether the whole matches.
        _ = skip("?")
        if let scalar = next, ["*", "+", "?", "{"].contains(scalar) {
            throw TextPatternProblem(
                "'\(scalar)' at \(place + 1) follows a repetition; put that into a group")
        }
        return .repeated(node, from: range.from, to: range.to)
    }

    /// The numbers in braces; afterwards the place is behind the closing one.
    private mutating func counts() throws(TextPatternProblem) -> (from: Int, to: Int?) {
        let start = place + 1
        place += 1
        let from = number()
        var to: Int? = from
        if skip(",") { to = next == "}" ? nil : number() }
        guard skip("}"), from >= 0, max(from, to ?? from) <= Self.countLimit, to ?? from >= from
        else {
            throw TextPatternProblem(
                "'{' at \(start) begins no repetition such as {2}, {2,} or {2,5}, of "
                    + "\(Self.countLimit) at most; write \\{ for the character")
        }
        return (from, to)
    }

    /// The number at this place, or -1 when there is none.
    private mutating func number() -> Int {
        var value: Int?
        while let scalar = next, scalar >= "0", scalar <= "9" {
            // More than any limit is as good as all that is more.
            value = min((value ?? 0) * 10 + Int(scalar.value - 48), 1_000_000)
            place += 1
        }
        return value ?? -1
    }

    private mutating func atom() throws(TextPatternProblem) -> PatternNode {
        let start = place + 1
        guard let scalar = next else { return .sequence([]) }
        place += 1
        switch scalar {
        case ".": return .step(.any)
        case "^": return .step(.atStart)
        case "$": return .step(.atEnd)
        case "(": return try group(start)
        case "[": return .step(.oneOf(try scalarClass(start)))
        case "\\": return .step(try escape(start))
        case "*", "+", "?", "{":
            throw TextPatternProblem(
                "'\(scalar)' at \(start) has nothing to repeat; write \\\(scalar) for the "
                    + "character")
        case "]", "}":
            throw TextPatternProblem(
                "'\(scalar)' at \(start) closes nothing; write \\\(scalar) for the character")
        default: return .step(.scalar(scalar))
        }
    }

    private mutating func group(_ start: Int) throws(TextPatternProblem) -> PatternNode {
        if skip("?"), !skip(":") {
            throw TextPatternProblem(
                "'(?' at \(start): only groups that begin '(' or '(?:' are known")
        }
        depth += 1
        guard depth <= Self.depthLimit else {
            throw TextPatternProblem("groups are nested more than \(Self.depthLimit) deep")
        }
        let node = try alternatives()
        guard skip(")") else {
            throw TextPatternProblem("the group that begins at \(start) is not closed")
        }
        depth -= 1
        return node
    }

    private mutating func escape(
        _ start: Int
    ) throws(TextPatternProblem) -> TextPattern.Step {
        guard let letter = next else {
            throw TextPatternProblem("it ends with '\\'; write \\\\ for the character")
        }
        place += 1
        let lower = letter.properties.lowercaseMapping.unicodeScalars.first ?? letter
        if letter.isASCII, let ranges = ScalarClass.named(lower) {
            return .oneOf(ScalarClass(ranges: ranges, isNegated: letter != lower))
        }
        return .scalar(try escaped(letter, start))
    }

    private func escaped(
        _ letter: Unicode.Scalar, _ start: Int
    ) throws(TextPatternProblem) -> Unicode.Scalar {
        switch letter {
        case "n": return "\n"
        case "r": return "\r"
        case "t": return "\t"
        default:
            let isPunctuation =
                letter.isASCII && letter.value >= 0x20 && letter.value != 0x7F
                && !letter.properties.isAlphabetic && !("0"..."9").contains(letter)
            guard isPunctuation else {
                throw TextPatternProblem(
                    "'\\\(letter)' at \(start) is not known; known are \\d \\w \\s \\D \\W \\S "
                        + "\\n \\r \\t and punctuation")
            }
            return letter
        }
    }

    private mutating func scalarClass(
        _ start: Int
    ) throws(TextPatternProblem) -> ScalarClass {
        var result = ScalarClass(isNegated: skip("^"))
        // Right after the beginning, a bracket stands for itself.
        if skip("]") { result.ranges.append("]"..."]") }
        while !skip("]") {
            guard let first = next else {
                throw TextPatternProblem("the class that begins at \(start) is not closed")
            }
            if first == "[" {
                throw TextPatternProblem(
                    "'[' at \(place + 1) within a class; write \\[ for the character")
            }
            if first == "\\", place + 1 < scalars.count,
                let ranges = ScalarClass.named(scalars[place + 1])
            {
                place += 2
                result.ranges += ranges
                continue
            }
            let low = try member(start)
            var high = low
            if next == "-", place + 1 < scalars.count, scalars[place + 1] != "]" {
                place += 1
                high = try member(start)
            }
            guard low <= high else {
                throw TextPatternProblem(
                    "the range \(low)-\(high) of the class at \(start) is upside down")
            }
            result.ranges.append(low...high)
        }
        return result
    }

    private mutating func member(_ start: Int) throws(TextPatternProblem) -> Unicode.Scalar {
        guard let scalar = next else {
            throw TextPatternProblem("the class that begins at \(start) is not closed")
        }
        place += 1
        guard scalar == "\\" else { return scalar }
        guard let letter = next else {
            throw TextPatternProblem("the class that begins at \(start) is not closed")
        }
        place += 1
        if ["D", "W", "S"].contains(letter) {
            throw TextPatternProblem(
                "'\\\(letter)' at \(place - 1) within a class; negate the class instead")
        }
        return try escaped(letter, place - 1)
    }
}
