import ProfferKernel
import Testing

@Suite("TextPattern")
struct TextPatternTests {
    @Test(
        "the whole text matches, or it does not",
        arguments: [
            ("", ["": true, "a": false]),
            ("abc", ["abc": true, "ab": false, "abcd": false]),
            ("a.c", ["abc": true, "a\nc": false, "aéc": true, "ac": false]),
            ("[a-c]x", ["ax": true, "cx": true, "dx": false]),
            ("[^a-c]", ["d": true, "a": false, "": false, "\n": true]),
            ("[]a-]", ["]": true, "a": true, "-": true, "b": false]),
            ("[\\d_.\\]]+", ["1_2.3]": true, "a": false]),
            ("\\d\\D\\w\\W\\s\\S", ["1a_- x": true, "11_- x": false]),
            ("\\.\\\\\\n", [".\\\n": true]),
            ("a*", ["": true, "aaaa": true, "b": false]),
            ("a+b?", ["a": true, "aab": true, "b": false, "abb": false]),
            ("a{2}", ["aa": true, "a": false, "aaa": false]),
            ("a{2,}", ["a": false, "aa": true, "aaaaa": true]),
            ("a{1,3}", ["": false, "a": true, "aaa": true, "aaaa": false]),
            ("a{0}b", ["b": true, "ab": false]),
            ("a{0,2}b", ["b": true, "aab": true, "aaab": false]),
            ("a|bc|", ["a": true, "bc": true, "": true, "ab": false]),
            ("x(a|b)*y", ["xy": true, "xabbay": true, "xacy": false]),
            ("(?:ab)+", ["abab": true, "aba": false]),
            ("(a*)*", ["": true, "aaa": true, "ab": false]),
            ("(a|b?)+c", ["c": true, "abac": true]),
            ("^a$", ["a": true, "ba": false]),
            ("a^b", ["ab": false]), ("a$b", ["ab": false]), ("(^|x)a", ["a": true, "xa": true]),
            ("a.*?b", ["ab": true, "axbxb": true, "axbx": false]),
            ("ü+", ["üü": true, "u": false]),
        ] as [(String, [String: Bool])])
    func matches(pattern: String, texts: [String: Bool]) throws {
        let pattern = try TextPattern(pattern)
        for (text, isMatch) in texts { #expect(pattern.matches(text) == isMatch, "\(text)") }
    }

    @Test(
        "what is not known is refused with its place",
        arguments: [
            ("(", "the group that begins at 1 is not closed"), ("a)", "')' at 2"),
            ("[a", "class that begins at 1"), ("[a\\", "class that begins at 1"),
            ("[z-a]", "upside down"), ("[[:alpha:]]", "'[' at 2 within a class"),
            ("[\\D]", "negate"), ("*a", "'*' at 1 has nothing to repeat"), ("a**", "'*' at 3"),
            ("a*+", "'+' at 3"), ("a{2}{3}", "'{' at 5"), ("a{", "'{' at 2"),
            ("a{x}", "write \\{"), ("a{,2}", "'{' at 2"), ("a{3,2}", "'{' at 2"),
            ("a{1001}", "1000"), ("a{99999999999999999999}", "1000"), ("a]", "']' at 2"),
            ("a}", "write \\}"), ("(?=a)", "'(?' at 1"), ("(?i)a", "'(?' at 1"),
            ("(a)\\1", "'\\1' at 4"), ("\\bword", "'\\b' at 1"), ("\\p{L}", "'\\p' at 1"),
            ("a\\", "ends with"),
        ])
    func refusals(pattern: String, words: String) {
        let problem = #expect(throws: TextPatternProblem.self) { try TextPattern(pattern) }
        #expect(problem?.description.contains(words) == true, "\(problem?.description ?? "none")")
    }

    @Test(
        "patterns that keep an engine with backtracking busy for ever take a moment",
        arguments: ["(a+)+$", "(a|aa)+$", "(a*)*$", "(.*)(.*)(.*)(.*)(.*)(.*)x", "(a?){500}a{500}"])
    func hostile(pattern: String) throws {
        let pattern = try TextPattern(pattern)
        #expect(!pattern.matches(String(repeating: "a", count: 2000) + "!"))
    }

    @Test(
        "patterns that are too large are refused, however they are written",
        arguments: [
            String(repeating: "a", count: 4097), "((a{100}){100}){100}",
            "(((){1000}){1000}){1000}", "((a{0}){1000}){1000}", "(((a|){1000}){1000}){1000}",
            "[a-cx-z024]{1000}",
            String(repeating: "(", count: 51) + String(repeating: ")", count: 51),
        ])
    func tooLarge(pattern: String) {
        #expect(throws: TextPatternProblem.self) { try TextPattern(pattern) }
    }

    @Test("no text makes reading trap", arguments: 0..<50)
    func noise(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let letters = Array("ab*+?|(){}[]^$\\-,.012dDé:").map(String.init)
        for _ in 0..<500 {
            let length = Int.random(in: 0..<16, using: &generator)
            let text = (0..<length).map { _ in
                letters[Int.random(in: 0..<letters.count, using: &generator)]
            }.joined()
            if let pattern = try? TextPattern(text) {
                #expect(pattern.size <= TextPattern.sizeLimit)
                _ = pattern.matches("ab01")
            }
        }
    }
}
