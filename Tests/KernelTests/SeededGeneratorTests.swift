import ProfferKernel
import Testing

@Suite("SeededGenerator")
struct SeededGeneratorTests {
    @Test("it draws the published numbers of SplitMix64")
    func knownVectors() {
        let vectors: [(seed: UInt64, numbers: [UInt64])] = [
            (
                0,
                [
                    0xE220_A839_7B1D_CDAF, 0x6E78_9E6A_A1B9_65F4, 0x06C4_5D18_8009_454F,
                    0xF88B_B8A8_724C_81EC, 0x1B39_896A_51A8_749B,
                ]
            ),
            (
                1_234_567,
                [
                    6_457_827_717_110_365_317, 3_203_168_211_198_807_973,
                    9_817_491_932_198_370_423, 4_593_380_528_125_082_431,
                    16_408_922_859_458_223_821,
                ]
            ),
        ]
        for vector in vectors {
            var generator = SeededGenerator(seed: vector.seed)
            #expect(vector.numbers.map { _ in generator.next() } == vector.numbers)
        }
    }

    @Test("a part drawn off does not depend on what the whole draws later")
    func split() {
        var first = SeededGenerator(seed: 7)
        var second = SeededGenerator(seed: 7)
        var partOfFirst = first.split()
        var partOfSecond = second.split()
        for _ in 0..<10 { _ = second.next() }
        #expect(
            (0..<10).map { _ in partOfFirst.next() } == (0..<10).map { _ in partOfSecond.next() })
    }

    @Test("a duration lies between zero and its limit")
    func duration() {
        var generator = SeededGenerator(seed: 1)
        for _ in 0..<1000 {
            let drawn = generator.duration(upTo: .nanoseconds(3))
            #expect(drawn >= .zero && drawn <= .nanoseconds(3))
        }
        #expect(generator.duration(upTo: .zero) == .zero)
        #expect(generator.duration(upTo: .seconds(-5)) == .zero)
    }

    @Test("a UUID has the version and variant bits of RFC 9562, and its text the usual form")
    func uuid() {
        var generator = SeededGenerator(seed: 3)
        for _ in 0..<100 {
            let bytes = generator.uuidBytes()
            #expect(bytes.count == 16)
            #expect(bytes[6] >> 4 == 4)
            #expect(bytes[8] >> 6 == 2)
            let parts = generator.uuidText().split(separator: "-")
            #expect(parts.map(\.count) == [8, 4, 4, 4, 12])
            #expect(parts.joined().allSatisfy { "0123456789abcdef".contains($0) })
        }
    }

    @Test("bytes and text of a UUID say the same")
    func uuidForms() {
        var first = SeededGenerator(seed: 11)
        var second = SeededGenerator(seed: 11)
        let digits = first.uuidBytes().map { byte in
            (byte < 16 ? "0" : "") + String(byte, radix: 16)
        }
        #expect(digits.joined() == second.uuidText().filter { $0 != "-" })
    }
}
