import ProfferKernel
import Testing

@Suite("Commit gate")
struct CommitGateTests {
    private var gate = CommitGate<String>()

    private func release(_ gate: inout CommitGate<String>, _ ticket: UInt64) -> [String] {
        var freed: [String] = []
        gate.release(ticket) { freed.append($0) }
        return freed
    }

    @Test("without a commit under way an effect leaves at once")
    func open() {
        var gate = gate
        #expect(gate.isOpen)
        #expect(gate.admit("a") == "a")
        #expect(gate.heldCount == 0)
    }

    @Test("an effect after a commit waits until it is durable")
    func waits() {
        var gate = gate
        let ticket = gate.openTicket()
        #expect(gate.admit("a") == nil)
        #expect(gate.heldCount == 1)
        #expect(release(&gate, ticket) == ["a"])
        #expect(gate.isOpen)
        #expect(gate.admit("b") == "b")
    }

    @Test("effects leave in order, each with the commit it rests on")
    func order() {
        var gate = gate
        let first = gate.openTicket()
        #expect(gate.admit("a") == nil)
        #expect(gate.admit("b") == nil)
        let second = gate.openTicket()
        #expect(gate.admit("c") == nil)
        #expect(release(&gate, first) == ["a", "b"])
        #expect(!gate.isOpen)
        #expect(gate.admit("d") == nil)
        #expect(release(&gate, second) == ["c", "d"])
        #expect(gate.isOpen)
    }

    @Test("a later ticket stands for all before it, an older one changes nothing")
    func later() {
        var gate = gate
        let first = gate.openTicket()
        #expect(gate.admit("a") == nil)
        let second = gate.openTicket()
        #expect(gate.admit("b") == nil)
        #expect(release(&gate, second) == ["a", "b"])
        #expect(release(&gate, first) == [])
        #expect(gate.isOpen)
    }
}
