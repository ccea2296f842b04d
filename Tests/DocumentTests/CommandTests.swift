import Foundation
import Testing

@Suite("Commands in the documents", .serialized, .timeLimit(.minutes(5)))
struct CommandTests {
    @Test("every command does what the page says, in the order of the page")
    func follow() async throws {
        for page in try DocumentPage.all() where !page.commands.isEmpty {
            let problems = try await Reader(page).follow()
            #expect(problems == [], "\(page.path)")
        }
    }

    @Test("commands are in blocks that say so")
    func hidden() throws {
        for page in try DocumentPage.all() {
            #expect(page.hiddenCommands.map(\.line) == [], "\(page.path)")
        }
    }

    @Test("a command that is not run is on a page")
    func exceptions() throws {
        let shown = Set(try DocumentPage.all().flatMap(\.commands).map(\.text))
        for (command, reason) in Reader.notRun {
            #expect(shown.contains(command), "'\(command)' is not run: \(reason)")
        }
    }

    @Test("a command may go on in the next line, and other blocks are none")
    func extraction() {
        let page = DocumentPage(
            path: "A.md",
            text: """
                ```sh
                one --a \\
                    --b
                two
                ```
                ```json
                {}
                ```
                ```
                $ make it
                ```
                """)
        #expect(page.commands.map(\.text) == ["one --a --b", "two"])
        #expect(page.commands.map(\.line) == [2, 4])
        #expect(page.hiddenCommands.map(\.line) == [10])
    }
}
