import ProfferModel
import Testing

@Suite("Identifier")
struct IdentifierTests {
    @Test(
        "a client-made id may be any short text without a path in it",
        arguments: ["a", "web.1", "...", "a b", "ü", "-", String(repeating: "x", count: 255)])
    func allowed(text: String) { #expect(TaskID(text).problem == nil) }

    @Test(
        "an id that could name another file, or that cannot be shown, is refused",
        arguments: [
            "", ".", "..", "a/b", "/", "a\\b", "a\0", "a\n", "\u{1F}", "\u{7F}",
            String(repeating: "x", count: 256), String(repeating: "ü", count: 128),
        ])
    func refused(text: String) { #expect(TaskID(text).problem != nil) }

    @Test("ids are ordered by their bytes")
    func order() {
        let sorted: [TaskID] = ["", "A", "B", "a", "aa", "b", "é"]
        #expect(sorted.reversed().sorted() == sorted)
    }

    @Test("keys are ordered by framework first")
    func keys() {
        #expect(TaskKey("a", "z") < TaskKey("b", "a"))
        #expect(TaskKey("a", "a") < TaskKey("a", "b"))
        #expect(ExecutorKey("a", "z") < ExecutorKey("b", "a"))
        #expect(!(ExecutorKey("a", "a") < ExecutorKey("a", "a")))
    }
}

@Suite("UpdateID")
struct UpdateIDTests {
    @Test("sixteen bytes come back as they went in")
    func bytes() {
        let bytes = (UInt8(0)..<16).map { $0 &* 17 }
        let id = UpdateID(bytes: bytes)
        #expect(id?.bytes == bytes)
        #expect(id?.description == "00112233445566778899aabbccddeeff")
        #expect(UpdateID(high: 1, low: 2).description == "00000000000000010000000000000002")
    }

    @Test("any other count is refused", arguments: [0, 1, 15, 17, 32])
    func count(count: Int) {
        #expect(UpdateID(bytes: [UInt8](repeating: 1, count: count)) == nil)
    }
}
