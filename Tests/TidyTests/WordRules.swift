/// Words that may not be used, and where.
enum WordRules {
    /// A sequence of words and marks, and what to do instead.
    struct Ban {
        var words: [Token]
        var remedy: String

        init(_ words: Token..., remedy: String) {
            self.words = words
            self.remedy = remedy
        }
    }

    /// What would make a decision depend on more than its inputs.
    static let pureBans = [
        Ban("Date", "(", remedy: "take the time from WallClock"),
        Ban("UUID", "(", remedy: "take ids from a SeededGenerator"),
        Ban("ContinuousClock", remedy: "take the instant as a parameter"),
        Ban("SuspendingClock", remedy: "take the instant as a parameter"),
        Ban("SystemRandomNumberGenerator", remedy: "use a SeededGenerator"),
        Ban("shuffled", "(", ")", remedy: "use a SeededGenerator"),
        Ban("shuffle", "(", ")", remedy: "use a SeededGenerator"),
        Ban("randomElement", "(", ")", remedy: "use a SeededGenerator"),
        Ban("Task", "{", remedy: "return an effect"),
        Ban("Task", ".", "detached", remedy: "return an effect"),
        Ban("async", remedy: "return an effect"),
        Ban("await", remedy: "return an effect"),
        Ban("Mutex", remedy: "one thread owns a machine"),
        Ban("Double", remedy: "use Milli or Int64"),
        Ban("Float", remedy: "use Milli or Int64"),
        Ban("Regex", "(", remedy: "use a TextPattern, which takes linear time"),
        Ban("print", "(", remedy: "append an observation"),
    ]

    static let sourceBans = [
        Ban("try", "!", remedy: "handle the error"),
        Ban("fatalError", "(", remedy: "throw, or use invariant"),
    ]

    /// Where floating point comes from or goes to the wire, which Mesos' messages make necessary.
    static let doubleFiles: Set<String> = ["Sources/ProfferModel/Resource.swift"]
    static let trapFiles: Set<String> = ["Sources/ProfferKernel/Invariant.swift"]

    static func violations(in file: SourceFile) -> [Violation] {
        var found: [Violation] = []
        if file.path.hasPrefix("Sources/"), !trapFiles.contains(file.path) {
            found += matches(sourceBans, in: file)
        }
        if ImportRules.isPure(file) {
            let bans = pureBans.filter {
                $0.words != ["Double"] || !doubleFiles.contains(file.path)
            }
            found += matches(bans, in: file)
            found += unseededRandom(in: file)
        }
        return found + unfinished(in: file)
    }

    private static func matches(_ bans: [Ban], in file: SourceFile) -> [Violation] {
        var found: [Violation] = []
        for (index, tokens) in file.code.enumerated() {
            for ban in bans where contains(ban.words, in: tokens) {
                let word = ban.words.joined()
                found.append(
                    Violation(
                        path: file.path, line: index + 1,
                        problem: "'\(word)' is not used here: \(ban.remedy)"))
            }
        }
        return found
    }

    private static func contains(_ words: [Token], in tokens: [Token]) -> Bool {
        guard tokens.count >= words.count else { return false }
        return (0...(tokens.count - words.count)).contains { start in
            tokens[start..<(start + words.count)].elementsEqual(words)
        }
    }

    /// `random(in:)` without a generator, also when the call goes over several lines.
    private static func unseededRandom(in file: SourceFile) -> [Violation] {
        var found: [Violation] = []
        for (index, tokens) in file.code.enumerated() {
            guard let start = tokens.firstIndex(of: "random"),
                tokens[start...].starts(with: ["random", "("])
            else { continue }
            let call = tokens[start...] + file.code[(index + 1)...].prefix(5).joined()
            var depth = 0
            let arguments = call.dropFirst().prefix { token in
                if token == "(" { depth += 1 }
                if token == ")" { depth -= 1 }
                return depth > 0
            }
            if !arguments.contains("using") {
                found.append(
                    Violation(
                        path: file.path, line: index + 1,
                        problem: "'random(in:)' is not used here: name a generator with 'using:'"))
            }
        }
        return found
    }

    /// Notes to oneself belong into issues.
    private static func unfinished(in file: SourceFile) -> [Violation] {
        guard file.isSwift else { return [] }
        return file.lines.enumerated().compactMap { index, line in
            guard let word = ["TO" + "DO", "FIX" + "ME"].first(where: { line.contains($0) }) else {
                return nil
            }
            return Violation(
                path: file.path, line: index + 1, problem: "\(word): do it, or open an issue")
        }
    }
}

/// Nothing in the pure ring iterates a Dictionary or a Set: their order differs between runs.
enum IterationRules {
    /// The properties that a module's files declare as a Dictionary or a Set.
    ///
    /// They are told from local names by how far they are indented.
    static func unorderedProperties(_ files: [SourceFile]) -> Set<Token> {
        files.reduce(into: []) { names, file in
            let lines = zip(file.lines, file.code).filter { line, _ in
                line.prefix { $0 == " " }.count <= 4
            }
            names.formUnion(unorderedNames(lines.map(\.1)))
        }
    }

    private static func unorderedNames(_ code: [[Token]]) -> Set<Token> {
        var names: Set<Token> = []
        for tokens in code {
            for (index, token) in tokens.enumerated() where token == "var" || token == "let" {
                let rest = Array(tokens[(index + 1)...])
                guard rest.count > 3, rest[1] == ":" || rest[1] == "=" else { continue }
                if rest[2] == "Set" || rest[2] == "Dictionary" || isDictionary(rest[2...]) {
                    names.insert(rest[0])
                }
            }
        }
        return names
    }

    /// Whether a type begins like `[Key: Value]`.
    private static func isDictionary(_ tokens: ArraySlice<Token>) -> Bool {
        guard tokens.first == "[" else { return false }
        var depth = 0
        for token in tokens {
            switch token {
            case "[", "(", "<": depth += 1
            case "]", ")", ">": depth -= 1
            case ":": if depth == 1 { return true }
            default: break
            }
            if depth == 0 { return false }
        }
        return false
    }

    /// Loops over one of a module's properties, or a name of the file, or over its keys or values.
    ///
    /// Sorting is let through: it is the way to make an order.
    static func violations(in file: SourceFile, properties: Set<Token>) -> [Violation] {
        let unordered = properties.union(unorderedNames(file.code))
        let walks: Set<Token> = [
            "keys", "values", "map", "compactMap", "flatMap", "filter", "forEach", "reduce",
            "first", "enumerated",
        ]
        var found: [Violation] = []
        for (index, tokens) in file.code.enumerated() {
            for (place, token) in tokens.enumerated() where unordered.contains(token) {
                let after = tokens[(place + 1)...]
                let before = tokens[..<place].suffix(3)
                let isLoop =
                    (before.last == "in" || before.suffix(3).elementsEqual(["in", "self", "."]))
                    && tokens.contains("for") && (after.first == nil || after.first == "{")
                let isWalk =
                    after.first == "." && after.dropFirst().first.map(walks.contains) == true
                    && (before.last != "." || before.suffix(2).first == "self")
                if isLoop || isWalk {
                    found.append(
                        Violation(
                            path: file.path, line: index + 1,
                            problem: "'\(token)' has no order to go through; use an ordered one"))
                }
            }
        }
        return found
    }
}
