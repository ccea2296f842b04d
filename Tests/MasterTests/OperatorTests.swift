import OrderedCollections
import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferMaster

@Suite("Operators")
struct OperatorTests {
    /// One framework with an executor and a task, one agent partly offered.
    private func cluster() throws -> (Stage, FrameworkID, AgentID) {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("a"))
        let agent = stage.addAgent()
        var task = Stage.task("t", agent)
        task.command = nil
        task.executor = ExecutorInfo(
            id: "e", command: CommandInfo(value: "run"), resources: Stage.small)
        stage.accept(try stage.offer(id), [.launch([task])], refuse: .zero)
        return (stage, id, agent)
    }

    private let held = Resources(cpus: Milli(2), mem: Milli(256))
    private let free = Resources(cpus: Milli(2), mem: Milli(3840))

    @Test("agents, frameworks and roles show what tasks and executors hold and what is offered")
    func summaries() throws {
        var (stage, id, agent) = try cluster()
        guard case .agents(let agents) = try stage.ask(.agents),
            case .frameworks(let frameworks) = try stage.ask(.frameworks),
            case .roles(let roles) = try stage.ask(.roles),
            case .summary(let summary) = try stage.ask(.summary)
        else {
            Issue.record("other answers")
            return
        }
        #expect(agents.map(\.info.id) == [agent])
        #expect(agents.map(\.allocated) == [held])
        #expect(agents.map(\.offered) == [free])
        #expect(agents.map(\.tasks) == [1])
        #expect(frameworks.map(\.info.id) == [id])
        #expect(frameworks.map(\.allocated) == [held])
        #expect(frameworks.map(\.offered) == [free])
        #expect(frameworks.map(\.shareMillionths) == [1_000_000])
        #expect(roles.map(\.name) == ["*"])
        #expect(roles.map(\.allocated) == [held + free])
        #expect(summary.allocated == held)
        #expect(summary.offered == free)
        #expect(summary.total == held + free)
        #expect(summary.tasks == [.staging])
    }

    @Test("tasks are listed by framework, ended ones after the live")
    func tasks() throws {
        var (stage, id, agent) = try cluster()
        let uuid = stage.report("t", .failed, of: id, on: agent)
        stage.acknowledge("t", uuid, of: id, on: agent)
        let offer = try #require(stage.offers[id]?.first)
        stage.accept(offer, [.launch([Stage.task("u", agent)])])
        guard case .tasks(let all) = try stage.ask(.tasks(nil)),
            case .tasks(let none) = try stage.ask(.tasks("other"))
        else { return }
        #expect(all.map(\.key.task) == ["u", "t"])
        #expect(all.map(\.state) == [.staging, .failed])
        #expect(none.isEmpty)
    }

    @Test("offers are listed with their age")
    func offers() throws {
        var (stage, id, _) = try cluster()
        let offer = try stage.offer(id)
        stage.pass(.seconds(3))
        guard case .offers(let offers) = try stage.ask(.offers) else { return }
        #expect(offers.map(\.offer) == [offer])
        #expect(offers[0].age >= .seconds(3))
    }

    @Test("an operator's kill is like a framework's")
    func kill() throws {
        var (stage, id, agent) = try cluster()
        let key = TaskKey(id, "t")
        #expect(try stage.ask(.kill(key)) == .done)
        #expect(stage.messages(agent) == [.kill(key, policy: nil)])
        guard case .notFound = try stage.ask(.kill(TaskKey(id, "x"))) else {
            Issue.record("an unknown task was killed")
            return
        }
    }

    @Test(
        "a weight must be positive and a role a role",
        arguments: [("r", 0), ("/", 1000), ("r", 1 << 21)])
    func badWeight(role: String, weight: Int64) throws {
        var stage = Stage()
        guard case .refused = try stage.ask(.setWeight(role: role, thousandths: weight)) else {
            Issue.record("accepted")
            return
        }
        #expect(stage.ledger.weights.isEmpty)
    }

    @Test("a weight takes effect at the next allocation")
    func weight() throws {
        var stage = Stage()
        #expect(try stage.ask(.setWeight(role: "heavy", thousandths: 3000)) == .done)
        let heavy = stage.subscribe(Stage.info("a", roles: ["heavy"]))
        let light = stage.subscribe(Stage.info("b", roles: ["light"]))
        var count: [FrameworkID: Int] = [:]
        for number in 0..<8 {
            stage.addAgent(host: "n\(number)")
            for id in [heavy, light] {
                while let offer = stage.offers[id]?.first {
                    count[id, default: 0] += 1
                    let task = Stage.task(TaskID("t\(number)"), offer.agentID, offer.resources)
                    stage.accept(offer, [.launch([task])])
                }
            }
        }
        #expect(count == [heavy: 6, light: 2])
    }

    @Test("what is wrong with a configuration is said in words")
    func configuration() {
        #expect(MasterConfiguration().problems.isEmpty)
        var wrong = MasterConfiguration()
        wrong.heartbeatInterval = .zero
        wrong.agentPingInterval = .zero
        wrong.agentReturnWindow = .zero
        wrong.offerTimeout = .zero
        wrong.killRepeat = .zero
        wrong.longestRefusal = .zero
        wrong.allocationWindow = .seconds(-1)
        wrong.agentPingsMissed = 0
        wrong.updateWindow = 0
        wrong.completedTasks = -1
        #expect(wrong.problems.count == 10)
    }
}
