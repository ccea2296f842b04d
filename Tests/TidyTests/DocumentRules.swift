/// What the documents promise: that they are found, that their links lead somewhere, and that the
/// commands they show exist.
enum DocumentRules {
    /// A piece of a page between code marks.
    struct Code {
        var line: Int
        var language: String
        var text: String
    }

    // MARK: Links

    /// The targets of a page's links to other files of the tree, with their lines.
    static func links(_ page: SourceFile) -> [(target: String, line: Int)] {
        var found: [(String, Int)] = []
        for (index, line) in proseLines(page) {
            var rest = Substring(line)
            while let open = rest.firstRange(of: "](") {
                rest = rest[open.upperBound...]
                guard let close = rest.firstIndex(of: ")") else { break }
                let target = rest[..<close]
                if !target.contains("://"), !target.hasPrefix("mailto:") {
                    found.append((String(target), index + 1))
                }
            }
        }
        return found
    }

    /// Links to files or headings that do not exist.
    static func brokenLinks(on page: SourceFile, in tree: SourceTree) -> [Violation] {
        links(page).compactMap { target, line in
            let parts = target.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false)
            let path =
                parts[0].isEmpty ? page.path : resolve(String(parts[0]), from: page.path)
            let problem = Violation(
                path: page.path, line: line, problem: "the link '\(target)' leads nowhere")
            guard let file = tree[path] else {
                let isFolder = tree.files.contains { $0.path.hasPrefix(path + "/") }
                return isFolder && parts.count == 1 ? nil : problem
            }
            if parts.count == 2, !anchors(file).contains(String(parts[1])) { return problem }
            return nil
        }
    }

    /// The path that a relative link means.
    static func resolve(_ target: String, from page: String) -> String {
        var parts = page.split(separator: "/").dropLast().map(String.init)
        for part in target.split(separator: "/") {
            switch part {
            case ".": continue
            case "..": _ = parts.popLast()
            default: parts.append(String(part))
            }
        }
        return parts.joined(separator: "/")
    }

    /// The anchors of a page's headings, made as the usual viewers make them.
    private static func anchors(_ page: SourceFile) -> Set<String> {
        Set(
            proseLines(page).compactMap { _, line in
                guard line.hasPrefix("#") else { return nil }
                let words = line.drop { $0 == "#" }.drop { $0 == " " }.lowercased()
                return String(
                    words.compactMap { character in
                        if character == " " { return "-" }
                        let isKept = character.isLetter || character.isNumber
                        return isKept || "-_".contains(character) ? character : nil
                    })
            })
    }

    /// Pages of `Docs` that no link leads to, from the README or the index.
    static func unlinkedPages(in tree: SourceTree) -> [Violation] {
        var linked: Set<String> = []
        for index in ["README.md", "Docs/README.md"] {
            guard let page = tree[index] else { continue }
            for (target, _) in links(page) { linked.insert(resolve(target, from: index)) }
        }
        return tree.files.compactMap { file in
            guard file.path.hasPrefix("Docs/"), file.path.hasSuffix(".md"),
                !linked.contains(file.path), file.path != "Docs/README.md"
            else { return nil }
            return Violation(
                path: file.path, line: 1, problem: "neither README nor Docs/README links to it")
        }
    }

    // MARK: Code

    private static func proseLines(_ page: SourceFile) -> [(index: Int, line: String)] {
        var isCode = false
        return page.lines.enumerated().compactMap { index, line in
            if line.drop(while: { $0 == " " }).hasPrefix("```") {
                isCode.toggle()
                return nil
            }
            return isCode ? nil : (index, line)
        }
    }

    /// The blocks and spans of code on a page.
    static func code(_ page: SourceFile) -> [Code] {
        var found: [Code] = []
        var open: Code?
        for (index, line) in page.lines.enumerated() {
            let mark = line.drop { $0 == " " }
            if mark.hasPrefix("```") {
                if let block = open {
                    found.append(block)
                    open = nil
                } else {
                    open = Code(line: index + 2, language: String(mark.dropFirst(3)), text: "")
                }
            } else if open != nil {
                open?.text += line + "\n"
            } else {
                let parts = line.split(separator: "`", omittingEmptySubsequences: false)
                for (place, part) in parts.enumerated() where place % 2 == 1 {
                    found.append(Code(line: index + 1, language: "", text: String(part)))
                }
            }
        }
        return found
    }

    /// One use of one of our programs in a page.
    struct Use: Equatable {
        var line: Int
        var program: String
        var words: [String]
    }

    static let programs: Set<String> = [
        "proffer", "proffer-master", "proffer-agent", "service-scheduler", "batch-scheduler",
    ]

    /// The command lines of our programs on a page; what follows a pipe is not ours.
    static func uses(_ page: SourceFile) -> [Use] {
        var found: [Use] = []
        for block in code(page) {
            let joined = block.text.replacing("\\\n", with: " ")
            for (offset, line) in joined.split(separator: "\n", omittingEmptySubsequences: false)
                .enumerated()
            {
                var words = line.split(separator: " ").map(String.init)
                if words.first == "$" { words.removeFirst() }
                while let first = words.first, isSetting(first) { words.removeFirst() }
                guard let first = words.first else { continue }
                let program = first.split(separator: "/").last.map(String.init) ?? first
                guard programs.contains(program) else { continue }
                let ours = words.dropFirst().prefix { !["|", ">", "&&", "&", "#"].contains($0) }
                found.append(Use(line: block.line + offset, program: program, words: Array(ours)))
            }
        }
        return found
    }

    /// Whether a word sets a variable for the command after it.
    private static func isSetting(_ word: String) -> Bool {
        guard let equals = word.firstIndex(of: "=") else { return false }
        return word[..<equals].allSatisfy { $0.isUppercase || $0 == "_" }
    }

    /// The commands and options that the programs have.
    struct CommandLines {
        var names: Set<String>
        var options: Set<String>

        init(_ tree: SourceTree) {
            let sources = tree.swift(below: "Sources", "Examples")
            names = commandNames(sources)
            options = optionNames(sources)
        }
    }

    /// Commands and options in the documents that no program has.
    static func unknownUses(on page: SourceFile, _ known: CommandLines) -> [Violation] {
        var found: [Violation] = []
        for use in uses(page) {
            if ["proffer", "batch-scheduler"].contains(use.program), let command = use.words.first,
                command.first?.isLetter == true, !known.names.contains(command)
            {
                found.append(
                    Violation(
                        path: page.path, line: use.line,
                        problem: "'\(use.program)' has no command '\(command)'"))
            }
            // What comes after a bare `--` belongs to somebody else's command.
            for word in use.words.prefix(while: { $0 != "--" }) where word.hasPrefix("--") {
                let option = String(word.drop { $0 == "-" }.prefix { $0 != "=" && $0 != "]" })
                if !known.options.contains(option) {
                    found.append(
                        Violation(
                            path: page.path, line: use.line,
                            problem: "'\(use.program)' has no option '--\(option)'"))
                }
            }
        }
        return found
    }

    /// The names that the command line tools give to their commands.
    static func commandNames(_ sources: [SourceFile]) -> Set<String> {
        var names: Set<String> = ["help"]
        for line in sources.lazy.flatMap(\.lines) {
            guard let label = line.firstRange(of: "commandName: \"") else { continue }
            names.insert(String(line[label.upperBound...].prefix { $0 != "\"" }))
        }
        return names
    }

    /// The options that the command line tools declare, from the names of their properties and
    /// from names that are spelt out.
    static func optionNames(_ sources: [SourceFile]) -> Set<String> {
        var names: Set<String> = ["help", "version"]
        for file in sources {
            var isDeclaration = false
            for (tokens, line) in zip(file.code, file.lines) {
                if tokens.starts(with: ["@", "Option"]) || tokens.starts(with: ["@", "Flag"]) {
                    isDeclaration = true
                }
                guard isDeclaration else { continue }
                if let label = line.firstRange(of: "ustomLong(\"") {
                    names.insert(String(line[label.upperBound...].prefix { $0 != "\"" }))
                }
                if let place = tokens.firstIndex(of: "var"), place + 1 < tokens.count {
                    names.insert(hyphenated(tokens[place + 1]))
                    isDeclaration = false
                }
            }
        }
        return names
    }

    private static func hyphenated(_ name: Token) -> String {
        name.reduce(into: "") { text, character in
            if character.isUppercase { text += "-" }
            text += character.lowercased()
        }
    }

    // MARK: Other promises

    /// Blocks of Swift on a page that no file holds, but for indentation.
    static func uncompiledCode(on page: SourceFile, in files: [SourceFile]) -> [Violation] {
        func trimmed(_ lines: some Sequence<String>) -> [Substring] {
            lines.map { $0.drop { $0 == " " } }
        }
        let compiled = files.map { trimmed($0.lines) }
        return code(page).compactMap { block in
            guard block.language == "swift" else { return nil }
            let lines = trimmed(
                block.text.split(separator: "\n", omittingEmptySubsequences: false)
                    .dropLast().map(String.init))
            if compiled.contains(where: { $0.firstRange(of: lines) != nil }) { return nil }
            return Violation(
                path: page.path, line: block.line, problem: "the code is compiled nowhere")
        }
    }

    /// Paths that exist on one machine only.
    static func machinePaths(in file: SourceFile) -> [Violation] {
        file.lines.enumerated().compactMap { index, line in
            guard let path = ["/" + "work/", "/" + "root/"].first(where: { line.contains($0) })
            else { return nil }
            return Violation(
                path: file.path, line: index + 1, problem: "'\(path)' is on one machine only")
        }
    }

    /// The exit codes of daemons in the source that a page does not name.
    static func missingExitCodes(on page: SourceFile, from source: SourceFile) -> [Violation] {
        source.lines.compactMap { line in
            let words = line.split(separator: " ")
            guard words.count == 4, words[0] == "case", words[2] == "=", let code = Int(words[3]),
                !page.lines.contains(where: { $0.contains("`\(code)`") })
            else { return nil }
            return Violation(path: page.path, line: 1, problem: "exit code \(code) is missing")
        }
    }
}
