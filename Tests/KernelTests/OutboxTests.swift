@_spi(Driver) import ProfferKernel
import Testing

@Suite("Outbox")
struct OutboxTests {
    private struct Refusal: Error {}

    // The macro cannot look into what cannot be copied.
    private func expectEmpty<Effect>(
        _ outbox: borrowing Outbox<Effect>, _ isExpected: Bool = true,
        at location: SourceLocation = #_sourceLocation
    ) {
        let isEmpty = outbox.isEmpty
        #expect(isEmpty == isExpected, sourceLocation: location)
    }

    @Test("effects are drained in the order in which they were appended")
    func order() {
        var outbox = Outbox<Int>()
        expectEmpty(outbox)
        for number in 0..<5 { outbox.append(number) }
        expectEmpty(outbox, false)
        var seen: [Int] = []
        outbox.drain { seen.append($0) }
        #expect(seen == [0, 1, 2, 3, 4])
        expectEmpty(outbox)
    }

    @Test("an effect is drained once, even after a failure")
    func failure() {
        var outbox = Outbox<Int>()
        for number in 0..<4 { outbox.append(number) }
        var seen: [Int] = []
        #expect(throws: Refusal.self) {
            try outbox.drain { effect in
                seen.append(effect)
                if effect == 1 { throw Refusal() }
            }
        }
        expectEmpty(outbox, false)
        outbox.drain { seen.append($0) }
        #expect(seen == [0, 1, 2, 3])
        expectEmpty(outbox)
    }

    @Test("taking all leaves nothing behind")
    func takeAll() {
        var outbox = Outbox<String>()
        outbox.append("a")
        outbox.append("b")
        let all = Array(outbox.takeAll())
        #expect(all == ["a", "b"])
        expectEmpty(outbox)
        let rest = outbox.takeAll()
        #expect(rest.isEmpty)
    }
}
