import OrderedCollections
import ProfferAllocation
@_spi(Driver) import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferMaster

@Suite("Claims")
struct ClaimTests {
    private func prepared() -> (Stage, ScriptedAllocator.Script, FrameworkID, AgentID) {
        var (stage, script) = Stage.scripted()
        let id = stage.subscribe(Stage.info("a"))
        let agent = stage.addAgent()
        stage.forget()
        script.calls = []
        return (stage, script, id, agent)
    }

    private func part(_ agent: AgentID, _ tasks: [TaskInfo]) -> ClaimPart {
        ClaimPart(
            agentID: agent, role: "*", resources: Resources(cpus: Milli(2), mem: Milli(256)),
            operations: [Operation(action: .launch(tasks))])
    }

    @Test("what is committed is used as if it had been offered, the rest is given back")
    func committed() {
        var (stage, script, id, agent) = prepared()
        let claim = Claim(id: "c", parts: [part(agent, [Stage.task("t", agent)])])
        stage.call(.claim(claim), by: id)
        #expect(stage.claimAnswers(id) == [.committed])
        #expect(stage.runs(agent) == [["t"]])
        func allocation(_ resources: Resources) -> Allocation {
            Allocation(framework: id, role: "*", agent: agent, resources: resources)
        }
        #expect(
            script.calls.prefix(3) == [
                .claim([allocation(claim.parts[0].resources)]), .use(allocation(Stage.small)),
                .recover(allocation(Stage.small), wasOffered: true, refuse: nil),
            ])
    }

    @Test("who waits is served before a claim")
    func fairness() {
        var (stage, script, id, agent) = prepared()
        let other = stage.subscribe(Stage.info("b"))
        script.calls = []
        script.grant(other, agent)
        stage.call(.claim(Claim(id: "c", parts: [part(agent, [])])), by: id)
        #expect(script.calls.first == .allocate)
        #expect(stage.offers[other]?.count == 1)
        guard case .claim? = script.calls.dropFirst().first else {
            Issue.record("the claim did not follow")
            return
        }
    }

    @Test("a conflict changes nothing, and no task of the claim is passed over in silence")
    func conflict() {
        var (stage, script, id, agent) = prepared()
        let conflict = ClaimConflict(
            agentID: agent, check: .resources, message: "1 cpus are free", available: Stage.small)
        script.conflicts = [conflict]
        let tasks = [Stage.task("t", agent), Stage.task("u", agent)]
        stage.call(.claim(Claim(id: "c", parts: [part(agent, tasks)])), by: id)
        #expect(stage.claimAnswers(id) == [.conflict([conflict])])
        #expect(stage.updates(id).map(\.taskID) == ["t", "u"])
        #expect(stage.updates(id).allSatisfy { $0.state == .dropped })
        #expect(stage.updates(id).allSatisfy { $0.reason == .invalidOffers })
        #expect(stage.runs(agent).isEmpty)
        #expect(script.calls.count == 1)
    }

    @Test("a task that is wrong keeps the claim from being made")
    func badTask() {
        var (stage, script, id, agent) = prepared()
        let bad = Stage.task("bad", agent, Resources(cpus: Milli(100)))
        stage.call(
            .claim(Claim(id: "c", parts: [part(agent, [Stage.task("t", agent), bad])])), by: id)
        #expect(stage.updates(id).map(\.state) == [.dropped, .error])
        guard case .conflict(let conflicts)? = stage.claimAnswers(id).first else {
            Issue.record("another answer")
            return
        }
        #expect(conflicts.map(\.check) == [nil])
        #expect(conflicts.first?.message.contains("'bad'") == true)
        #expect(script.calls.isEmpty)
    }

    static let wrong: [(String, PlacementCheck?, @Sendable (inout Claim) -> Void)] = [
        ("no id", nil, { $0.id = "" }),
        ("no part", nil, { $0.parts = [] }),
        ("a part twice", nil, { $0.parts.append($0.parts[0]) }),
        ("an agent that is not known", .agentActive, { $0.parts[0].agentID = "x" }),
        ("a foreign role", nil, { $0.parts[0].role = "other" }),
        ("nothing", nil, { $0.parts[0].resources = Resources() }),
        (
            "a negative amount", nil,
            {
                $0.parts[0].resources = Resources([Resource("cpus", .scalar(Milli(-1)))])
            }
        ),
    ]

    @Test("a claim that makes no sense is a conflict of that part", arguments: wrong.indices)
    func malformed(index: Int) {
        let (_, check, spoil) = Self.wrong[index]
        var (stage, script, id, agent) = prepared()
        var claim = Claim(id: "c", parts: [part(agent, [])])
        spoil(&claim)
        stage.call(.claim(claim), by: id)
        guard case .conflict(let conflicts)? = stage.claimAnswers(id).first else {
            Issue.record("no conflict")
            return
        }
        #expect(conflicts.map(\.check) == [check])
        #expect(script.calls.isEmpty)
    }

    @Test("of an agent that is away nothing can be claimed")
    func away() {
        var (stage, script, id, agent) = prepared()
        stage.disconnect(agent: agent)
        script.calls = []
        stage.call(.claim(Claim(id: "c", parts: [part(agent, [])])), by: id)
        guard case .conflict(let conflicts)? = stage.claimAnswers(id).first else {
            Issue.record("another answer")
            return
        }
        #expect(conflicts.map(\.check) == [.agentActive])
        #expect(script.calls.isEmpty)
    }
}

@Suite("Watching the cluster")
struct WatchTests {
    @Test("a watcher gets everything, then what changes, one number after the other")
    func stream() throws {
        var (stage, script) = Stage.scripted()
        let id = stage.subscribe(Stage.info("a"))
        let first = stage.addAgent(host: "n1")
        script.free[first] = Stage.small
        stage.call(.watchCluster(true), by: id)
        var steps = stage.clusterSteps(id)
        #expect(
            steps == [
                ClusterState(
                    serial: 1, isSnapshot: true,
                    agents: [AgentView(id: first, hostname: "n1", free: Stage.small)])
            ])
        stage.forget()
        let second = stage.addAgent(host: "n2")
        stage.disconnect(agent: first)
        steps = stage.clusterSteps(id)
        #expect(steps.map(\.serial) == [2, 3])
        #expect(steps.flatMap { $0.agents.map(\.id) } == [second])
        #expect(steps.flatMap(\.removed) == [first])
        #expect(steps.allSatisfy { !$0.isSnapshot && $0.isComplete })
    }

    @Test("an empty cluster is a complete snapshot too")
    func empty() {
        var (stage, _) = Stage.scripted()
        let id = stage.subscribe(Stage.info("a"))
        stage.call(.watchCluster(true), by: id)
        #expect(stage.clusterSteps(id) == [ClusterState(serial: 1, isSnapshot: true)])
    }

    @Test("a large snapshot comes in steps of which the last one completes it")
    func large() {
        var (stage, _) = Stage.scripted()
        let id = stage.subscribe(Stage.info("a"))
        for number in 0..<(Master.agentsPerStep + 1) {
            let agent = AgentID("s\(number)")
            stage.master.agents[agent] = AgentRow(
                id: agent, info: AgentInfo(hostname: "n", id: agent), state: .active)
        }
        stage.call(.watchCluster(true), by: id)
        let steps = stage.clusterSteps(id)
        #expect(steps.map(\.serial) == [1, 2])
        #expect(steps.map(\.isSnapshot) == [true, false])
        #expect(steps.map(\.isComplete) == [false, true])
        #expect(steps.map(\.agents.count) == [1000, 1])
    }

    @Test("changes within the allocation window make one step")
    func coalesced() {
        var configuration = MasterConfiguration()
        configuration.allocationWindow = .milliseconds(50)
        var (stage, script) = Stage.scripted(configuration)
        let id = stage.subscribe(Stage.info("a"))
        let agents = [stage.addAgent(host: "n1"), stage.addAgent(host: "n2")]
        stage.call(.watchCluster(true), by: id)
        stage.pass(.seconds(1))
        stage.forget()
        var outbox = Outbox<MasterEffect>()
        var steps: [ClusterState] = []
        for agent in [agents[0], agents[1], agents[0]] {
            script.changed = [agent]
            stage.master.handle(
                .agent(.pong(number: 0), from: stage.agentPeers[agent] ?? PeerID(0)),
                at: stage.now, into: &outbox)
        }
        stage.now = stage.now + .milliseconds(50)
        stage.master.wake(at: stage.now, into: &outbox)
        outbox.drain { effect in
            if case .tellFramework(.cluster(let state), _) = effect { steps.append(state) }
        }
        #expect(steps.map { $0.agents.map(\.id) } == [[agents[0]], [agents[1], agents[0]]])
    }

    @Test("a stream begins anew on request, and ends on request or with the session")
    func ends() {
        var (stage, script) = Stage.scripted()
        let id = stage.subscribe(Stage.info("a"))
        stage.call(.watchCluster(true), by: id)
        stage.addAgent(host: "n1")
        stage.forget()
        stage.call(.watchCluster(true), by: id)
        #expect(stage.clusterSteps(id).map(\.serial) == [1])
        #expect(stage.clusterSteps(id).map(\.isSnapshot) == [true])
        stage.forget()
        stage.call(.watchCluster(false), by: id)
        stage.addAgent(host: "n2")
        #expect(stage.clusterSteps(id).isEmpty)
        stage.call(.watchCluster(true), by: id)
        stage.subscribe(Stage.info("a", id: id))
        stage.forget()
        script.changed = []
        stage.addAgent(host: "n3")
        #expect(stage.clusterSteps(id).isEmpty)
        // Nobody watches, so nothing is asked and nothing is kept.
        #expect(!script.changed.isEmpty)
        #expect(stage.master.unseenAgents.isEmpty)
    }

    @Test("one who begins to watch does not disturb another one's stream")
    func two() {
        var (stage, _) = Stage.scripted()
        let first = stage.subscribe(Stage.info("a"))
        let second = stage.subscribe(Stage.info("b"))
        stage.call(.watchCluster(true), by: first)
        stage.addAgent(host: "n1")
        stage.call(.watchCluster(true), by: second)
        let agent = stage.addAgent(host: "n2")
        #expect(stage.clusterSteps(first).map(\.serial) == [1, 2, 3])
        #expect(stage.clusterSteps(second).map(\.serial) == [1, 2])
        #expect(stage.clusterSteps(second).last?.agents.map(\.id) == [agent])
    }

    @Test("with other roles the stream begins anew")
    func newRoles() {
        var (stage, _) = Stage.scripted()
        let id = stage.subscribe(Stage.info("a", roles: ["r"]))
        stage.call(.watchCluster(true), by: id)
        stage.call(
            .updateFramework(Subscription(framework: Stage.info("a", roles: ["q"], id: id))),
            by: id)
        #expect(stage.clusterSteps(id).map(\.isSnapshot) == [true, true])
    }
}
