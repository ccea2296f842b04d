/// How long lines, functions and files may be, and that they hold something.
enum SizeRules {
    static let lineLimit = 100
    static let functionLimit = 70
    static let fileLimit = 700

    /// Functions that are longer than the limit, with their present length.
    ///
    /// They may shrink only. The key is the file and the function's name.
    static let knownLongFunctions: [String: Int] = [:]

    static func violations(in file: SourceFile) -> [Violation] {
        var found: [Violation] = []
        if file.lines.count > fileLimit {
            found.append(
                Violation(
                    path: file.path, line: fileLimit + 1,
                    problem: "the file has \(file.lines.count) lines; the limit is \(fileLimit)"))
        }
        for (index, line) in file.lines.enumerated() where line.count > lineLimit {
            found.append(
                Violation(
                    path: file.path, line: index + 1,
                    problem: "the line has \(line.count) characters; the limit is \(lineLimit)"))
        }
        for function in functions(in: file) {
            let limit =
                knownLongFunctions["\(file.path) \(function.name)"] ?? functionLimit
            if function.length > limit {
                found.append(
                    Violation(
                        path: file.path, line: function.line,
                        problem: "\(function.name) has \(function.length) lines; the limit is"
                            + " \(limit)"))
            }
        }
        return found
    }

    /// Swift files in which there is no code at all, and files that only hold a place.
    static func placeholder(_ file: SourceFile) -> Violation? {
        let isNamedSo = file.path.split(separator: "/").last == "Placeholder.swift"
        guard isNamedSo || file.code.allSatisfy(\.isEmpty) else { return nil }
        return Violation(path: file.path, line: 1, problem: "the file has no content")
    }

    struct Function: Equatable {
        var name: String
        var line: Int
        var length: Int
    }

    /// The functions and initialisers that have a body.
    static func functions(in file: SourceFile) -> [Function] {
        var flat: [(token: Token, line: Int)] = []
        for (index, tokens) in file.code.enumerated() {
            flat += tokens.map { ($0, index) }
        }
        var found: [Function] = []
        for index in flat.indices {
            guard let name = functionName(flat, index),
                let end = bodyEnd(flat, from: index)
            else { continue }
            let first = flat[index].line
            found.append(
                Function(name: name, line: first + 1, length: flat[end].line - first + 1))
        }
        return found
    }

    private static func functionName(
        _ flat: [(token: Token, line: Int)], _ index: Int
    ) -> String? {
        guard index + 1 < flat.count else { return nil }
        if flat[index].token == "func" { return String(flat[index + 1].token) }
        guard flat[index].token == "init", ["(", "?", "<"].contains(flat[index + 1].token),
            index == 0 || flat[index - 1].token != "."
        else { return nil }
        return "init"
    }

    /// The closing brace of the body; `nil` for a requirement of a protocol.
    private static func bodyEnd(_ flat: [(token: Token, line: Int)], from start: Int) -> Int? {
        let declarations: Set<Token> = [
            "func", "init", "var", "let", "case", "public", "mutating", "static", "associatedtype",
            "subscript", "struct", "enum", "extension", "@",
        ]
        var parentheses = 0
        var braces = 0
        var hasParameters = false
        for index in (start + 1)..<flat.count {
            switch flat[index].token {
            case "(": parentheses += 1
            case ")":
                parentheses -= 1
                hasParameters = true
            case "{": braces += 1
            case "}":
                if braces == 0 { return nil }
                braces -= 1
                if braces == 0, parentheses == 0 { return index }
            default: break
            }
            if braces == 0, parentheses == 0, hasParameters,
                flat[index].line != flat[index - 1].line,
                declarations.contains(flat[index].token)
            {
                return nil
            }
        }
        return nil
    }
}
