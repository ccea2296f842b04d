import Testing

@Suite("Rules of the documents")
struct DocumentRuleTests {
    @Test("links to missing files and headings are found")
    func links() {
        let page = SourceFile(
            "Docs/Start.md",
            """
            # First steps: now
            [up](../README.md) [folder](Decisions) [here](#first-steps-now)
            [web](https://example.org/a) [there](Operate.md#ports)
            [gone](Gone.md) [wrong](#second)
            [far](Operate.md#nothing)
            ```
            [not a link](Nowhere.md)
            ```
            """)
        let tree = SourceTree(files: [
            page, SourceFile("README.md", "# A"), SourceFile("Docs/Operate.md", "## Ports\n"),
            SourceFile("Docs/Decisions/0001.md", "# B"),
        ])
        let found = DocumentRules.brokenLinks(on: page, in: tree)
        #expect(found.map(\.line) == [4, 4, 5])
    }

    @Test("a page that nothing links to is found")
    func unlinkedPages() {
        let tree = SourceTree(files: [
            SourceFile("README.md", "[a](Docs/A.md)"),
            SourceFile("Docs/README.md", "[b](Decisions/B.md)"),
            SourceFile("Docs/A.md", "# A"), SourceFile("Docs/Decisions/B.md", "# B"),
            SourceFile("Docs/C.md", "[a](A.md)"),
        ])
        #expect(DocumentRules.unlinkedPages(in: tree).map(\.path) == ["Docs/C.md"])
    }

    @Test("command lines are found in blocks and spans, with what belongs to them")
    func uses() {
        let page = SourceFile(
            "A.md",
            """
            Use `proffer ps --all` or `ps`.
            ```
            $ KEY=1 .build/release/proffer-agent --a 1 \\
                --b | grep --c
            other --d
            ```
            """)
        #expect(
            DocumentRules.uses(page) == [
                .init(line: 1, program: "proffer", words: ["ps", "--all"]),
                .init(line: 3, program: "proffer-agent", words: ["--a", "1", "--b"]),
            ])
    }

    @Test("commands and options that do not exist are found")
    func unknownUses() {
        let source = SourceFile(
            "Sources/ProfferCommands/A.swift",
            """
            static let configuration = CommandConfiguration(commandName: "ps")
            @Flag var showAll = false
            var slow = 1
            @Option(
                name: [.customLong("far"), .customShort("f")],
                help: "How far.")
            var distance = 1
            @Option(name: .customLong("no-color")) var plain = false
            """)
        let page = SourceFile(
            "A.md",
            """
            `proffer ps --show-all --no-color --far 3`
            `proffer fly`
            `proffer ps --slow`
            `proffer ps -- --anything`
            """)
        let known = DocumentRules.CommandLines(SourceTree(files: [source]))
        #expect(DocumentRules.unknownUses(on: page, known).map(\.line) == [2, 3])
    }

    @Test("an exit code that the page does not name is found")
    func exitCodes() {
        let source = SourceFile("A.swift", "enum Code {\n    case a = 1\n    case b = 2\n}")
        let page = SourceFile("A.md", "| `1` | failed |")
        #expect(
            DocumentRules.missingExitCodes(on: page, from: source).map(\.problem)
                == ["exit code 2 is missing"])
    }

    @Test("code that no file holds is found; indentation does not count")
    func uncompiledCode() {
        let file = SourceFile("Tests/A.swift", "struct A {\n    func a() {\n        b()\n    }\n}")
        let page = SourceFile(
            "A.md",
            "```swift\nfunc a() {\n    b()\n}\n```\n```swift\nfunc a() {\n}\n```\n```\nx\n```")
        #expect(
            DocumentRules.uncompiledCode(on: page, in: [file]).map(\.line) == [7])
    }

    @Test("a block of code is compared as it stands")
    func blocks() {
        let page = SourceFile("A.md", "text\n```swift\nlet a = 1\n\nlet b = 2\n```\n")
        let block = DocumentRules.code(page)
        #expect(block.map(\.text) == ["let a = 1\n\nlet b = 2\n"])
        #expect(block.map(\.language) == ["swift"])
    }
}
