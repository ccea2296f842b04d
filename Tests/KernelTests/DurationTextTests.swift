import ProfferKernel
import Testing

@Suite("Duration text")
struct DurationTextTests {
    @Test(
        "a whole number and a unit are a duration",
        arguments: [
            ("500ms", 500), ("30s", 30_000), ("5m", 300_000), ("2h", 7_200_000),
            ("1d", 86_400_000), ("0s", 0),
        ] as [(String, Int64)])
    func good(text: String, milliseconds: Int64) {
        #expect(Duration(text: text) == .milliseconds(milliseconds))
    }

    @Test(
        "anything else is none",
        arguments: ["", "5", "s", "-5s", "1.5s", "5 s", "5sec", "5S", "9999999999999s", "5s5s"])
    func bad(text: String) { #expect(Duration(text: text) == nil) }
}
