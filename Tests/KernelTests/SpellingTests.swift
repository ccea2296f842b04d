import Testing

@testable import ProfferKernel

@Suite("Spelling")
struct SpellingTests {
    private func distance(_ left: String, _ right: String) -> Int {
        Spelling.distance(Array(left.utf8), Array(right.utf8))
    }

    @Test("an insertion, a deletion and a replacement are one edit each")
    func edits() {
        #expect(distance("", "") == 0)
        #expect(distance("", "abc") == 3)
        #expect(distance("abc", "") == 3)
        #expect(distance("kitten", "sitting") == 3)
        #expect(distance("cpu", "cpus") == 1)
        #expect(distance("ab", "ba") == 2)
    }

    @Test("the nearest is meant, the first of equals, whatever the case")
    func nearest() {
        #expect(Spelling.nearest(to: "Comand", in: ["count", "command"]) == "command")
        #expect(Spelling.nearest(to: "cpu", in: ["mem", "cpus", "gpu"]) == "cpus")
        #expect(Spelling.nearest(to: "htp-port", in: ["host", "http-port"]) == "http-port")
    }

    @Test("what is too far away, or has nothing in common, is no slip")
    func tooFar() {
        #expect(Spelling.nearest(to: "banana", in: ["cpus", "mem"]) == nil)
        #expect(Spelling.nearest(to: "xy", in: ["ab"]) == nil)
        #expect(Spelling.nearest(to: String(repeating: "a", count: 65), in: ["a"]) == nil)
        #expect(Spelling.nearest(to: "a", in: []) == nil)
    }
}
