import Proffer
import Testing

@testable import ServicePolicy

@Suite("JSON")
struct JSONTests {
    @Test("text that is written reads back the same")
    func roundTrip() throws {
        let value: JSON = [
            "text": "a \"quoted\"\n\u{1}é😀", "list": [1, true, .null, .number("-1.5e3")],
            "object": ["nested": []],
        ]
        #expect(try JSON.parse(value.bytes) == value)
    }

    @Test("escapes are understood, surrogate pairs too")
    func escapes() throws {
        #expect(try JSON.parse(#""\u0041\n\ud83d\ude00\/""#) == .string("A\n😀/"))
    }

    @Test("a name that is given twice is an error with its path")
    func duplicates() {
        let problem = #expect(throws: JSONProblem.self) {
            try JSON.parse(#"{"env": {"A": "1", "A": "2"}}"#)
        }
        #expect(problem?.path == "/env/A")
        #expect(problem?.message.contains("given twice") == true)
    }

    @Test(
        "what is not JSON is refused",
        arguments: [
            "", "{", "[1,]", "{\"a\":}", "01", "1.", "nul", "\"\\ud800\"", "\"\u{1}\"", "{} x",
            "-", "[1 2]", "{a:1}", "\"\\x\"",
        ])
    func malformed(_ text: String) {
        #expect(throws: JSONProblem.self) { try JSON.parse(text) }
    }

    @Test("nesting without end is refused instead of exhausting the stack")
    func depth() {
        let text = String(repeating: "[", count: 100_000)
        #expect(throws: JSONProblem.self) { try JSON.parse(text) }
    }

    @Test(
        "decimals become exact integers",
        arguments: [
            ("0.1", 100), ("1", 1000), ("1e2", 100_000), ("12.3456", 12_346), ("0.0005", 1),
            ("0.0004", 0), ("-2.5", -2500), ("1.5E-1", 150), ("250e-2", 2500),
        ])
    func decimals(_ text: String, _ expected: Int64) {
        #expect(Decimal.scaled(text, decimals: 3) == expected)
    }

    @Test("a decimal that does not fit is none")
    func overflow() {
        #expect(Decimal.scaled("9223372036854775807", decimals: 3) == nil)
        #expect(Decimal.scaled("1e99", decimals: 3) == nil)
        #expect(Decimal.scaled("1e\(Int.max)", decimals: 3) == nil)
        #expect(Decimal.scaled("1e\(Int.min)", decimals: 3) == nil)
    }

    @Test("what does not begin with a digit is no decimal", arguments: ["", "-", ".5", "e5"])
    func noDigits(_ text: String) {
        #expect(Decimal.scaled(text, decimals: 3) == nil)
    }

    @Test(
        "a decimal is written without superfluous zeros",
        arguments: [
            (1_150_000, "1.15"), (1_000_000, "1"), (0, "0"), (-500_000, "-0.5"), (1, "0.000001"),
        ]
    )
    func decimalText(_ value: Int64, _ expected: String) {
        #expect(Decimal.text(value, decimals: 6) == expected)
    }

    @Test(
        "times are written as ISO 8601 with milliseconds",
        arguments: [
            (0, "1970-01-01T00:00:00.000Z"), (1_709_210_096_789, "2024-02-29T12:34:56.789Z"),
            (951_827_696_001, "2000-02-29T12:34:56.001Z"),
            (4_102_444_799_999, "2099-12-31T23:59:59.999Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
        ])
    func times(_ milliseconds: Int64, _ expected: String) {
        #expect(Timestamp.text(Timestamp.time(milliseconds: milliseconds)) == expected)
        #expect(Timestamp.milliseconds(of: expected) == milliseconds)
    }
}
