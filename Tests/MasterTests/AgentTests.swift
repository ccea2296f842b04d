import OrderedCollections
import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferMaster

@Suite("Agents: registration, pings, return")
struct AgentTests {
    private func running(
        _ info: FrameworkInfo = Stage.info("a")
    ) throws -> (Stage, FrameworkID, AgentID) {
        var stage = Stage()
        let id = stage.subscribe(info)
        let agent = stage.addAgent()
        try stage.launch("t", by: id)
        stage.report("t", .running, of: id, on: agent)
        stage.forget()
        return (stage, id, agent)
    }

    @Test("a new agent gets an id and the time after which it has to seek the master")
    func registration() throws {
        var stage = Stage()
        let agent = stage.addAgent()
        #expect(stage.messages(agent) == [.registered(agent, pingTimeout: .seconds(75))])
        #expect(agent.value == "\(stage.master.info.id)-S0")
        #expect(stage.ledger.agents[agent]?.info.hostname == "node")
    }

    @Test("a repeated registration over one session gets the same answer, not a second agent")
    func repetition() throws {
        var stage = Stage()
        let agent = stage.addAgent()
        let peer = try #require(stage.agentPeers[agent])
        let info = AgentInfo(hostname: "node", resources: Stage.small)
        stage.give(.agent(.register(info, version: "1", bootID: "b"), from: peer))
        #expect(stage.messages(agent).count == 2)
        #expect(stage.master.agents.count == 1)
    }

    @Test(
        "an agent that cannot be is refused with the reason",
        arguments: [
            (AgentInfo(hostname: "", resources: Stage.small), "host name"),
            (AgentInfo(hostname: "n"), "no resources"),
            (AgentInfo(hostname: "n", resources: Stage.small, id: "a/../b"), "may not contain"),
            (
                AgentInfo(
                    hostname: "n", resources: Resources([Resource("cpus", .scalar(Milli(-1)))])),
                "negative"
            ),
            (
                AgentInfo(
                    hostname: "n",
                    resources: Resources([
                        Resource("cpus", .scalar(Milli(1)), reservations: [Reservation(role: "/")])
                    ])), "empty part"
            ),
        ])
    func refusal(info: AgentInfo, word: String) {
        var stage = Stage()
        stage.give(.agent(.register(info, version: "", bootID: ""), from: PeerID(50)))
        #expect(stage.problems.first?.contains(word) == true)
        #expect(stage.closed.contains(PeerID(50)))
        #expect(stage.master.agents.isEmpty)
    }

    /// An agent with so many ranges of ports, and a host name of so many bytes.
    private static func large(ranges: Int, name: Int = 1) -> AgentInfo {
        let ports = IntervalSet((0..<UInt64(ranges)).map { ($0 * 2)...($0 * 2) })
        return AgentInfo(
            hostname: String(repeating: "n", count: name),
            resources: Resources([
                Resource("cpus", .scalar(Milli(1))), Resource("ports", .ranges(ports)),
            ]))
    }

    @Test("an agent whose record could not be read again is refused with what is too large")
    func tooLarge() {
        let small = Stage.small
        let rack = Attribute(name: "a", value: .text("b"))
        let members = (0..<4097).map { "\($0)" }.sorted()
        let cases = [
            (Self.large(ranges: 16_385), "'ports' has 16385 ranges; 16384 are allowed"),
            (Self.large(ranges: 1, name: 3 << 20), "bytes; 2097152 are allowed"),
            (
                AgentInfo(
                    hostname: "n", resources: small,
                    attributes: [Attribute](repeating: rack, count: 4097)), "4097 attributes"
            ),
            (
                AgentInfo(hostname: "n", resources: Resources([Resource("s", .set(members))])),
                "'s' has 4097 members"
            ),
        ]
        for (info, word) in cases {
            var stage = Stage()
            stage.give(.agent(.register(info, version: "", bootID: ""), from: PeerID(50)))
            #expect(stage.problems.first?.contains(word) == true)
            #expect(stage.closed.contains(PeerID(50)))
            #expect(stage.ledger.agents.isEmpty)
        }
        // What is just small enough is let in.
        var stage = Stage()
        stage.give(
            .agent(
                .register(Self.large(ranges: 16_384), version: "", bootID: ""), from: PeerID(51)))
        #expect(stage.ledger.agents.count == 1)
    }

    @Test("an operation that would make an agent's record too large is refused, not carried out")
    func growth() throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("f", roles: ["r"]))
        let agent = stage.addAgent(Resources(cpus: Milli(8)))
        var cpu = Resource("cpus", .scalar(Milli(1)), reservations: [Reservation(role: "r")])
        cpu.reservations[0].labels = [Label("k", String(repeating: "v", count: 1_100_000))]
        stage.accept(try stage.offer(id), [.reserve(Resources([cpu]))], refuse: .zero)
        #expect(stage.problems == [])
        cpu.reservations[0].labels = [Label("k", String(repeating: "w", count: 1_100_000))]
        let before = stage.ledger.agents[agent]
        stage.accept(try stage.offer(id), [.reserve(Resources([cpu]))], refuse: .zero)
        #expect(stage.problems.first?.contains("bytes; 2097152 are allowed") == true)
        #expect(stage.ledger.agents[agent] == before)
        #expect(try stage.offer(id).resources.cpus == Milli(8))
    }

    @Test("a message of an agent that is not registered ends its session")
    func stranger() {
        var stage = Stage()
        stage.give(.agent(.pong(number: 1), from: PeerID(50)))
        #expect(stage.closed.contains(PeerID(50)))
    }

    @Test("75 seconds without a word make an agent unreachable, its resources are gone")
    func unreachable() throws {
        var (stage, id, agent) = try running()
        stage.silent = [agent]
        stage.pass(.seconds(74))
        #expect(stage.updates(id).isEmpty)
        stage.pass(.seconds(1))
        let status = try #require(stage.updates(id).first)
        #expect(status.state == .unreachable)
        #expect(status.reason == .agentRemoved)
        #expect(status.uuid == nil)
        #expect(status.unreachableTime != nil)
        #expect(stage.events(id).contains(.failure(agent: agent, executor: nil, status: nil)))
        #expect(
            stage.ledger.agents[agent]?.admission == .unreachable(since: status.unreachableTime!))
    }

    @Test("any word of an agent counts as an answer")
    func anyWord() throws {
        var (stage, id, agent) = try running()
        stage.silent = [agent]
        for _ in 0..<20 {
            stage.pass(.seconds(14))
            stage.tell(.usage(AgentUsage()), by: agent)
        }
        #expect(stage.updates(id).isEmpty)
        #expect(stage.master.agents[agent]?.state == .active)
    }

    @Test(
        "an unreachable agent comes back with its task, which is reported again",
        arguments: [true, false])
    func comesBack(isAware: Bool) throws {
        var (stage, id, agent) = try running(Stage.info("a", isAware: isAware))
        stage.silent = [agent]
        stage.pass(.seconds(76))
        #expect(stage.updates(id).map(\.state) == [isAware ? .unreachable : .lost])
        stage.forget()
        stage.silent = []
        stage.comeBack(agent, tasks: [Stage.agentTask("t", id, on: agent, .running)])
        let status = try #require(stage.updates(id).first)
        #expect(status.state == .running)
        #expect(status.reason == .agentReregistered)
        #expect(status.source == .master)
        #expect(!stage.messages(agent).contains(.kill(TaskKey(id, "t"), policy: nil)))
        #expect(stage.ledger.agents[agent]?.admission == .admitted)
    }

    @Test("a task the agent forgot is asked about, and GONE when it had run")
    func forgotten() throws {
        var (stage, id, agent) = try running()
        stage.disconnect(agent: agent)
        stage.comeBack(agent)
        let key = TaskKey(id, "t")
        #expect(
            stage.messages(agent) == [
                .reregistered(agent, pingTimeout: .seconds(75), reconcile: [key])
            ])
        // The agent answers with an update of its own.
        let uuid = UpdateID(high: 1, low: 1)
        stage.tell(
            .update(
                id,
                TaskStatus(
                    taskID: "t", state: .dropped, source: .agent, reason: .reconciliation,
                    uuid: uuid),
                position: UpdatePosition(latestState: .dropped, latestUUID: uuid)), by: agent)
        #expect(stage.updates(id).map(\.state) == [.gone])
        stage.acknowledge("t", uuid, of: id, on: agent)
        #expect(stage.master.tasks.isEmpty)
        #expect(stage.master.agents[agent]?.tasks.isEmpty == true)
    }

    @Test("a task that ended while the agent was away frees its resources at once")
    func endedAway() throws {
        var (stage, id, agent) = try running()
        stage.disconnect(agent: agent)
        let uuid = UpdateID(high: 1, low: 1)
        let last = TaskStatus(taskID: "t", state: .finished, uuid: uuid)
        stage.comeBack(agent, tasks: [Stage.agentTask("t", id, on: agent, .finished, last: last)])
        #expect(try stage.offer(id).resources.cpus == Milli(4))
        stage.acknowledge("t", uuid, of: id, on: agent)
        #expect(stage.master.tasks.isEmpty)
    }

    @Test("an executor that ended while the agent was away gives its resources back")
    func deadExecutor() throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("a"))
        let agent = stage.addAgent()
        var task = Stage.task("t", agent)
        task.command = nil
        task.executor = ExecutorInfo(
            id: "e", command: CommandInfo(value: "run"), resources: Stage.small)
        stage.accept(try stage.offer(id), [.launch([task])], refuse: .seconds(10_000))
        #expect(stage.master.agents[agent]?.executors.count == 1)
        stage.disconnect(agent: agent)
        stage.comeBack(agent)
        #expect(stage.master.agents[agent]?.executors.isEmpty == true)
        #expect(stage.master.frameworks[id]?.executors.isEmpty == true)
    }

    @Test("a repeated return over one session does not take a new task for a lost one")
    func repeatedReturn() throws {
        var (stage, id, agent) = try running()
        stage.disconnect(agent: agent)
        let task = Stage.agentTask("t", id, on: agent, .running)
        stage.comeBack(agent, tasks: [task])
        stage.call(.revive(roles: []), by: id)
        let offer = try stage.offer(id)
        stage.accept(offer, [.launch([Stage.task("new", agent)])])
        let peer = try #require(stage.agentPeers[agent])
        stage.forget()
        var info = AgentInfo(
            hostname: "node", resources: Resources(cpus: Milli(4), mem: Milli(4096)))
        info.id = agent
        stage.give(
            .agent(
                .reregister(
                    Reregistration(info: info, tasks: [task]), version: "1", bootID: "b"),
                from: peer))
        #expect(
            stage.messages(agent) == [
                .reregistered(agent, pingTimeout: .seconds(75), reconcile: [])
            ])
        #expect(stage.updates(id).isEmpty)
    }

    @Test("an agent that comes back over a new session ends the old one")
    func newSession() throws {
        var (stage, id, agent) = try running()
        let old = try #require(stage.agentPeers[agent])
        stage.comeBack(agent, tasks: [Stage.agentTask("t", id, on: agent, .running)])
        #expect(stage.closed.contains(old))
        // Whatever still arrives from the old one changes nothing.
        stage.give(.peerClosed(old, reason: "late"))
        #expect(stage.master.agents[agent]?.state == .active)
        #expect(stage.updates(id).isEmpty)
    }

    @Test("an end that an agent takes along untold does not leave its task running for ever")
    func untoldEnd() throws {
        var (stage, id, agent) = try running()
        stage.disconnect(agent: agent)
        stage.comeBack(
            agent,
            tasks: [
                Stage.agentTask(
                    "t", id, on: agent, .finished, last: TaskStatus(taskID: "t", state: .running))
            ])
        stage.disconnect(agent: agent)
        stage.forget()
        stage.pass(.seconds(3600))
        #expect(stage.updates(id).map(\.state).last == .unreachable)
    }

    @Test("what an agent said over an earlier session is not believed after a later one")
    func earlierSession() throws {
        var (stage, id, agent) = try running()
        let late = stage.makePeer()
        // The task ended between the two sessions, and its resources are free by now.
        stage.comeBack(agent, tasks: [Stage.agentTask("t", id, on: agent, .finished)])
        let current = try #require(stage.agentPeers[agent])
        var info = try #require(stage.master.agents[agent]?.info)
        info.id = agent
        stage.give(
            .agent(
                .reregister(
                    Reregistration(
                        info: info, tasks: [Stage.agentTask("t", id, on: agent, .running)]),
                    version: "1", bootID: "b"), from: late))
        #expect(stage.closed.contains(late))
        #expect(!stage.closed.contains(current))
        #expect(stage.master.agents[agent]?.peer == current)
        #expect(stage.master.tasks.values.allSatisfy { $0.state != .running })
    }

    @Test("a known agent on another host is refused")
    func otherHost() throws {
        var (stage, _, agent) = try running()
        stage.disconnect(agent: agent)
        stage.comeBack(agent, AgentInfo(hostname: "moved", resources: Stage.small))
        #expect(stage.messages(agent).contains { if case .refused = $0 { true } else { false } })
        #expect(stage.master.agents[agent]?.state == .disconnected)
    }

    @Test("an agent that leaves loses its tasks for good, whoever they belong to")
    func unregistration() throws {
        var (stage, id, agent) = try running()
        stage.tell(.unregister, by: agent)
        #expect(stage.updates(id).map(\.state) == [.lost])
        #expect(stage.updates(id).map(\.reason) == [.agentRemoved])
        #expect(stage.master.agents.isEmpty)
        #expect(stage.master.tasks.isEmpty)
        #expect(stage.ledger.agents.isEmpty)
    }

    @Test("an agent that leaves takes ends along that nobody has acknowledged")
    func unregistrationAfterEnd() throws {
        var (stage, id, agent) = try running()
        stage.report("t", .finished, of: id, on: agent)
        stage.tell(.unregister, by: agent)
        #expect(stage.master.tasks.isEmpty)
        #expect(stage.master.frameworks[id]?.completed.map(\.state) == [.finished])
    }

    @Test("new resources of an agent void its offers")
    func newResources() throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("a"))
        let agent = stage.addAgent()
        let offer = try stage.offer(id)
        stage.forget()
        stage.tell(
            .updateAgent(
                AgentInfo(hostname: "node", resources: Resources(cpus: Milli(8), mem: Milli(64)))),
            by: agent)
        #expect(stage.rescinded(id) == [offer.id])
        #expect(try stage.offer(id).resources.cpus == Milli(8))
    }

    @Test("tasks and executors of ended or unknown frameworks are ended on a returning agent")
    func endedFrameworks() throws {
        var (stage, id, agent) = try running()
        stage.disconnect(agent: agent)
        stage.call(.teardown, by: id)
        stage.comeBack(
            agent,
            tasks: [
                Stage.agentTask("t", id, on: agent, .running),
                Stage.agentTask("u", "nobody", on: agent, .running),
            ], frameworks: [Stage.info("a", id: id)])
        #expect(stage.messages(agent).contains(.shutdownFramework(id)))
        #expect(stage.messages(agent).contains(.shutdownFramework("nobody")))
        #expect(stage.master.tasks.isEmpty)
    }

    @Test("an agent that missed an operation is told what it has")
    func missedOperation() throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("a", roles: ["r"]))
        let agent = stage.addAgent()
        let before = try #require(stage.master.agents[agent]?.info)
        stage.accept(
            try stage.offer(id),
            [
                .reserve(
                    Resources([
                        Resource("cpus", .scalar(Milli(2)), reservations: [Reservation(role: "r")])
                    ]))
            ])
        let after = try #require(stage.master.agents[agent]?.info.resources)
        stage.disconnect(agent: agent)
        stage.forget()
        stage.comeBack(agent, before)
        #expect(stage.messages(agent).contains(.updateResources(after)))
        #expect(stage.master.agents[agent]?.info.resources == after)
    }
}
