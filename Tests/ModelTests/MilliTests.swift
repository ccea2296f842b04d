import ProfferKernel
import ProfferModel
import Testing

@Suite("Milli")
struct MilliTests {
    @Test("ten tenths are one, exactly")
    func exact() throws {
        let tenth = try #require(Milli(rounding: 0.1))
        var sum = Milli.zero
        for _ in 0..<10 { sum += tenth }
        #expect(sum == Milli(1))
        for _ in 0..<10 { sum -= tenth }
        #expect(sum == .zero)
    }

    @Test(
        "a number of the wire is rounded to three decimals, halves away from zero",
        arguments: [
            (0.0, 0), (-0.0, 0), (1.0, 1000), (0.0004, 0), (0.0005, 1), (-0.0005, -1),
            (0.0625, 63), (0.3125, 313), (-0.0625, -63), (1.9999, 2000), (0.1 + 0.2, 300),
            (1e-300, 0), (9e9, 9_000_000_000_000), (-9e9, -9_000_000_000_000),
        ] as [(Double, Int64)])
    func rounding(value: Double, thousandths: Int64) {
        #expect(Milli(rounding: value)?.thousandths == thousandths)
    }

    @Test(
        "what is not finite or beyond the limit is refused",
        arguments: [
            .nan, .signalingNaN, .infinity, -.infinity, 1e300, -1e300, 9e9 + 0.002,
            .greatestFiniteMagnitude, 9.3e15,
        ] as [Double])
    func refusal(value: Double) {
        #expect(Milli(rounding: value) == nil)
    }

    @Test("every amount survives the way over the wire and through text", arguments: UInt64(0)..<5)
    func roundTrip(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        for shift in Int64(0)..<43 {
            for _ in 0..<20 {
                let most = min(Milli.wireLimit, 1 << shift)
                let amount = Milli(thousandths: Int64.random(in: -most...most, using: &random))
                #expect(Milli(rounding: amount.doubleValue) == amount)
                #expect(Milli(text: amount.description) == amount)
            }
        }
    }

    @Test(
        "text has at most three decimals and no trailing zeros",
        arguments: [
            (0, "0"), (1, "0.001"), (10, "0.01"), (100, "0.1"), (1000, "1"), (1500, "1.5"),
            (-1, "-0.001"), (-1500, "-1.5"), (12_000, "12"), (1_234_567, "1234.567"),
            (Int64.min, "-9223372036854775.808"),
        ] as [(Int64, String)])
    func text(thousandths: Int64, text: String) {
        #expect(Milli(thousandths: thousandths).description == text)
    }

    @Test(
        "what is no amount is refused as text",
        arguments: [
            "", "-", ".", "1.", ".5", "1.2345", "1e3", "nan", "inf", "+1", "--1", "1,5", " 1",
            "0x10", "9999999999999", "9000000001", "١",
        ])
    func badText(text: String) { #expect(Milli(text: text) == nil) }
}
