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
        let ticket = gate.openTicket(at: .zero)
        #expect(gate.admit("a") == nil)
        #expect(gate.heldCount == 1)
        #expect(release(&gate, ticket) == ["a"])
        #expect(gate.isOpen)
        #expect(gate.admit("b") == "b")
    }

    @Test("effects leave in order, each with the commit it rests on")
    func order() {
        var gate = gate
        let first = gate.openTicket(at: .zero)
        #expect(gate.admit("a") == nil)
        #expect(gate.admit("b") == nil)
        let second = gate.openTicket(at: .zero)
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
        let first = gate.openTicket(at: .zero)
        #expect(gate.admit("a") == nil)
        let second = gate.openTicket(at: .zero)
        #expect(gate.admit("b") == nil)
        #expect(release(&gate, second) == ["a", "b"])
        #expect(release(&gate, first) == [])
        #expect(gate.isOpen)
    }

    @Test("a write that takes too long is a disk that does not work, and so is too much that waits")
    func patience() {
        var gate = CommitGate<String>(limit: 2, patience: .seconds(20))
        #expect(gate.problem(at: .zero) == nil && gate.nextDeadline == nil)
        let first = gate.openTicket(at: .zero)
        _ = gate.openTicket(at: .zero + .seconds(15))
        #expect(gate.nextDeadline == .zero + .seconds(20))
        #expect(gate.problem(at: .zero + .seconds(19)) == nil)
        // It may have been this process that was stopped.
        #expect(gate.problem(at: .zero + .seconds(20)) == nil)
        #expect(gate.nextDeadline == .zero + .seconds(25))
        #expect(
            gate.problem(at: .zero + .seconds(25)) == "a write has taken longer than 20.0 seconds")
        _ = release(&gate, first)
        #expect(gate.problem(at: .zero + .seconds(25)) == nil)
        #expect(gate.nextDeadline == .zero + .seconds(35))
        for effect in ["a", "b"] { #expect(gate.admit(effect) == nil) }
        #expect(gate.problem(at: .zero) == nil)
        #expect(gate.admit("c") == nil)
        #expect(gate.problem(at: .zero) == "3 messages wait for it; 2 may")
    }
}
