import Logging
import Proffer
@_spi(Driver) import ProfferKernel
import Testing

/// The code that Docs/Frameworks.md shows, so that it compiles and does what the page says.
@Suite("Code in the documents")
struct RunnerTests {
    @Test("a command is launched on the first offer that has room")
    func launches() {
        var policy = Runner()
        var actions = Outbox<FrameworkAction<String>>()
        policy.handle(.command("true"), at: .zero, into: &actions)
        policy.handle(.offers([offer(cpus: Milli(1), mem: Milli(128))]), at: .zero, into: &actions)
        let calls = actions.takeAll()
        #expect(calls.contains { if case .call(.accept) = $0 { true } else { false } })
    }

    @Test("what does not fit waits for the next offer, and an idle framework wants none")
    func waits() {
        var policy = Runner()
        var actions = Outbox<FrameworkAction<String>>()
        policy.handle(.command("first"), at: .zero, into: &actions)
        policy.handle(.command("second"), at: .zero, into: &actions)
        policy.handle(.offers([offer(cpus: Milli(1), mem: Milli(40))]), at: .zero, into: &actions)
        #expect(!isSuppressed(actions.takeAll()))
        policy.handle(.offers([offer(cpus: Milli(1), mem: Milli(40))]), at: .zero, into: &actions)
        #expect(isSuppressed(actions.takeAll()))
    }

    private func isSuppressed(_ actions: some Sequence<FrameworkAction<String>>) -> Bool {
        actions.contains { if case .call(.suppress) = $0 { true } else { false } }
    }

    private func offer(cpus: Milli, mem: Milli) -> Offer {
        Offer(
            id: OfferID("o1"), frameworkID: FrameworkID("f1"), agentID: AgentID("a1"),
            hostname: "node", resources: Resources(cpus: cpus, mem: mem), role: "*")
    }

    /// Compiled only: it needs a cluster.
    private func run(keep: @escaping @Sendable (FrameworkID) throws -> Void) throws {
        let runner = try FrameworkRunner(
            policy: Runner(), options: FrameworkOptions(info: FrameworkInfo(name: "runner")),
            connection: .fromEnvironment(), logger: Logger(label: "runner"),
            registered: { id in try keep(id) },
            outputs: { lines in for line in lines { print(line) } })
        try runner.start()
        runner.post("sleep 10; hostname")
    }
}
