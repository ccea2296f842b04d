import Testing

@Suite("Source tree")
struct TreeTests {
    let tree = SourceTree.current

    private func expectNone(_ violations: [Violation]) {
        let list = violations.map { "\n\($0)" }.joined()
        #expect(violations.isEmpty, "\(violations.count) violations:\(list)")
    }

    private var written: [SourceFile] {
        tree.swift(below: "Sources", "Tests", "Examples", "Benchmarks")
            + tree.files.filter { $0.path == "Package.swift" }
    }

    @Test("the tree is found and has sources, tests, examples and documents")
    func treeIsFound() {
        for folder in ["Sources", "Tests", "Examples", "Docs"] {
            #expect(tree.files.contains { $0.path.hasPrefix(folder + "/") })
        }
        for target in ImportRules.pure.keys {
            #expect(tree.files.contains { $0.path.hasPrefix("Sources/\(target)/") })
        }
    }

    @Test("imports point inwards, and no edge module imports another")
    func imports() {
        expectNone(
            tree.swift(below: "Sources", "Tests", "Examples")
                .flatMap { ImportRules.violations(in: $0) })
    }

    @Test("decisions use no clock, chance, task, lock or floating point")
    func words() {
        expectNone(written.flatMap { WordRules.violations(in: $0) })
    }

    @Test("decisions never go through a Dictionary or a Set")
    func iteration() {
        let pure = written.filter { ImportRules.isPure($0) }
        for (_, files) in Dictionary(grouping: pure, by: \.target) {
            let names = IterationRules.unorderedProperties(files)
            expectNone(
                files.flatMap { IterationRules.violations(in: $0, properties: names) })
        }
    }

    @Test("lines, functions and files stay short")
    func sizes() {
        expectNone(written.flatMap { SizeRules.violations(in: $0) })
    }

    @Test("long functions that were let in have not been forgotten")
    func ratchet() {
        let present = Set(
            written.flatMap { file in
                SizeRules.functions(in: file)
                    .filter { $0.length > SizeRules.functionLimit }
                    .map { "\(file.path) \($0.name)" }
            })
        for known in SizeRules.knownLongFunctions.keys {
            #expect(present.contains(known), "\(known) is short now; take it off the list")
        }
    }

    @Test("every source file has content")
    func placeholders() {
        expectNone(
            tree.swift(below: "Sources", "Examples").compactMap { SizeRules.placeholder($0) })
    }

    @Test("no file names a path of one machine")
    func machinePaths() {
        expectNone(tree.files.flatMap { DocumentRules.machinePaths(in: $0) })
    }

    @Test("README and the index of the documents link to every page")
    func linkedPages() {
        expectNone(DocumentRules.unlinkedPages(in: tree))
    }

    @Test("links lead to files and headings that exist")
    func links() {
        expectNone(pages.flatMap { DocumentRules.brokenLinks(on: $0, in: tree) })
    }

    @Test("commands and options in the documents exist")
    func commands() {
        #expect(pages.contains { !DocumentRules.uses($0).isEmpty })
        let known = DocumentRules.CommandLines(tree)
        expectNone(pages.flatMap { DocumentRules.unknownUses(on: $0, known) })
    }

    @Test("the framework in README is the example, letter by letter")
    func readmeExample() throws {
        let example = try #require(tree["Examples/HelloFramework/HelloFramework.swift"])
        let text = example.lines.joined(separator: "\n") + "\n"
        let readme = try #require(tree["README.md"])
        #expect(DocumentRules.code(readme).contains { $0.language == "swift" && $0.text == text })
    }

    @Test("the code in the documents is compiled")
    func compiledCode() {
        let compiled = tree.swift(below: "Examples", "Tests/DocumentTests")
        let read = pages.filter { !$0.path.contains(".docc/") }
        expectNone(read.flatMap { DocumentRules.uncompiledCode(on: $0, in: compiled) })
    }

    @Test("the exit codes of the daemons are in the operator's page")
    func exitCodes() throws {
        let page = try #require(tree["Docs/Operate.md"])
        let source = try #require(tree["Sources/ProfferRuntime/DataDirectory.swift"])
        expectNone(DocumentRules.missingExitCodes(on: page, from: source))
    }

    private var pages: [SourceFile] { tree.files.filter { $0.path.hasSuffix(".md") } }
}
