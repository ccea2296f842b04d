import Testing

/// Each rule has to be able to fail: planted mistakes, and what looks like one.
@Suite("Rules of the source tree")
struct RuleTests {
    private func lines(_ violations: [Violation]) -> [Int] { violations.map(\.line) }

    private func pure(_ text: String) -> SourceFile {
        SourceFile("Sources/ProfferMaster/A.swift", text)
    }

    // MARK: Text

    @Test("comments and the contents of strings are not code")
    func comments() {
        let file = pure(
            #"""
            let a = "async \(await)" // await
            /* async /* await */ Mutex */ let b = 1
            let c = #"a "quoted" async"#
            """#)
        #expect(lines(WordRules.violations(in: file)) == [1])
        #expect(file.code[1].first == "let")
        #expect(file.code[2].count == 7)
    }

    @Test("a string over several lines ends where it ends")
    func longStrings() {
        let file = pure("let a = \"\"\"\n  async \"\n  \"\"\"\nawait b\n")
        #expect(lines(WordRules.violations(in: file)) == [4])
    }

    // MARK: Imports

    @Test(
        "imports against the rings are found",
        arguments: [
            ("Sources/ProfferKernel/A.swift", "internal import Foundation"),
            ("Sources/ProfferMaster/A.swift", "internal import ProfferAgent"),
            ("Sources/ProfferAgent/A.swift", "@_spi(Driver) public import ProfferFramework"),
            ("Sources/ProfferFramework/A.swift", "import struct ProfferMaster.Row"),
            ("Sources/ProfferHTTP/A.swift", "internal import ProfferRegistry"),
            ("Sources/ProfferTransport/A.swift", "internal import ProfferSchema"),
            ("Sources/ProfferZeroMQ/A.swift", "internal import ProfferKernel"),
            ("Sources/ProfferContainers/A.swift", "internal import Foundation"),
            ("Sources/Proffer/A.swift", "internal import ProfferHTTP"),
            ("Sources/Newcomer/A.swift", "let a = 1"),
            ("Examples/Batch/Server/A.swift", "import ProfferTransport"),
            ("Examples/Batch/Policy/A.swift", "import Foundation"),
            ("Tests/MasterTests/A.swift", "import ProfferSchema"),
        ])
    func crossedRings(path: String, text: String) {
        #expect(ImportRules.violations(in: SourceFile(path, text)).count == 1)
    }

    @Test(
        "imports along the rings are let through",
        arguments: [
            ("Sources/ProfferMaster/A.swift", "internal import ProfferAllocation"),
            ("Sources/ProfferMaster/A.swift", "// import Foundation"),
            ("Sources/ProfferWire/A.swift", "internal import ProfferSchema"),
            ("Examples/Batch/Server/A.swift", "import Hummingbird\nimport Proffer"),
            ("Examples/Batch/Policy/A.swift", "public import Proffer"),
            ("Tests/WireTests/A.swift", "@testable import ProfferSchema"),
        ])
    func keptRings(path: String, text: String) {
        #expect(ImportRules.violations(in: SourceFile(path, text)) == [])
    }

    // MARK: Words

    @Test(
        "what makes a decision depend on more than its inputs is found",
        arguments: [
            "let a = Date()", "let a = UUID().uuidString", "let c = ContinuousClock.now",
            "let a = Int.random(in: 0..<5)", "list.shuffled()", "Task { work() }",
            "try? Regex(text)",
            "func a() async {}", "await a()", "let m = Mutex(0)", "var share: Double = 0",
            "let a = Int.random(\n    in: 0..<5)", "print(1)",
        ])
    func impureWords(text: String) {
        #expect(lines(WordRules.violations(in: pure(text))) == [1])
        let elsewhere = SourceFile("Sources/ProfferRuntime/A.swift", text)
        #expect(WordRules.violations(in: elsewhere) == [])
    }

    @Test(
        "words that only contain such a word are let through",
        arguments: [
            "let a = TaskInfo()", "self.now = now", "let updated = wallDate(1)",
            "Int.random(in: 0..<5, using: &generator)", "var doubleValue = 1",
            "Int.random(\n    in: 0..<5,\n    using: &generator)",
        ])
    func pureWords(text: String) { #expect(WordRules.violations(in: pure(text)) == []) }

    @Test("errors are not waved through, except where a broken invariant ends the process")
    func traps() {
        for text in ["try! open()", "fatalError(\"no\")"] {
            let file = SourceFile("Sources/ProfferHTTP/A.swift", text)
            #expect(WordRules.violations(in: file).count == 1)
        }
        let invariant = SourceFile("Sources/ProfferKernel/Invariant.swift", "fatalError(\"no\")")
        #expect(WordRules.violations(in: invariant) == [])
    }

    @Test("notes to oneself are found, also in comments")
    func notes() {
        let file = SourceFile("Tests/ATests/A.swift", "// TO" + "DO: test\n// FIX" + "ME")
        #expect(lines(WordRules.violations(in: file)) == [1, 2])
    }

    @Test("floating point is let through where the wire makes it necessary, and nowhere else")
    func floatingPoint() {
        let wire = SourceFile("Sources/ProfferModel/Resource.swift", "let a: Double = 1")
        #expect(WordRules.violations(in: wire) == [])
        let other = SourceFile("Sources/ProfferModel/Other.swift", "let a: Double = 1")
        #expect(WordRules.violations(in: other).count == 1)
    }

    // MARK: Iteration

    @Test("loops over a Dictionary or a Set are found")
    func unorderedLoops() {
        let file = pure(
            """
            var rows: [TaskID: Row] = [:]
                    let names: Set<String> = []
            var list: [(a: Int, b: Int)] = []
            var ordered: OrderedDictionary<String, Int> = [:]
            for row in rows.values { use(row) }
            for name in names {
            for item in list {
            for (key, value) in ordered { use(key, value) }
            let all = self.rows.map { $0 }
            rows[task] = nil
            other.names.map { $0 }
            for name in names.sorted() {
            """)
        let other = pure("for row in rows {\nfor name in names {")
        let properties = IterationRules.unorderedProperties([file, other])
        #expect(properties == ["rows"])
        #expect(lines(IterationRules.violations(in: file, properties: properties)) == [5, 6, 9])
        #expect(lines(IterationRules.violations(in: other, properties: properties)) == [1])
    }

    // MARK: Size

    @Test("what is too long is found, and what is just short enough is not")
    func sizes() {
        let long = SourceFile("A.swift", String(repeating: "a", count: 101))
        #expect(SizeRules.violations(in: long).count == 1)
        let lines = String(repeating: "let a = 1\n", count: 700)
        #expect(SizeRules.violations(in: SourceFile("A.swift", lines)) == [])
        #expect(SizeRules.violations(in: SourceFile("A.swift", lines + "b\n")).count == 1)
        let body = String(repeating: "    a()\n", count: 68)
        let short = SourceFile("A.swift", "func a() {\n\(body)}\n")
        #expect(SizeRules.violations(in: short) == [])
        let function = SourceFile("A.swift", "func a() {\n    b()\n\(body)}\n")
        #expect(SizeRules.violations(in: function).map(\.line) == [1])
    }

    @Test("a function's length is from its first word to its closing brace")
    func functions() {
        let file = SourceFile(
            "A.swift",
            """
            protocol P {
                func requirement(a: Int)
                func other() -> Int
                init()
            }
            struct S {
                init?(a: Int) {
                    self.init()
                }
                func f(
                    body: () -> Void = { print("}") }
                ) -> Int {
                    if true { return 1 }
                    return 2
                }
            }
            """)
        #expect(
            SizeRules.functions(in: file) == [
                .init(name: "init", line: 7, length: 3), .init(name: "f", line: 10, length: 6),
            ])
    }

    @Test("a file without content is found")
    func placeholders() {
        let comment = SourceFile("Sources/A/main.swift", "// Later.\n")
        #expect(SizeRules.placeholder(comment) != nil)
        let named = SourceFile("Sources/A/Placeholder.swift", "let a = 1\n")
        #expect(SizeRules.placeholder(named) != nil)
        let file = SourceFile("Sources/A/main.swift", "run()\n")
        #expect(SizeRules.placeholder(file) == nil)
    }

    @Test("paths of one machine are found in any file")
    func machinePaths() {
        let file = SourceFile("Docs/A.md", "see /" + "work/main and /" + "root/.cache\n/workshop\n")
        #expect(lines(DocumentRules.machinePaths(in: file)) == [1])
    }
}
