import OrderedCollections
import ProfferAllocation
import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferMaster

@Suite("Whitelist")
struct WhitelistTests {
    private func hosts(_ stage: Stage, _ id: FrameworkID) -> [String] {
        (stage.offers[id] ?? []).map(\.hostname).sorted()
    }

    @Test("without a whitelist, and with one that was taken away, every agent is offered")
    func everybody() throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("a"))
        stage.addAgent(host: "n1")
        stage.addAgent(host: "n2")
        #expect(hosts(stage, id) == ["n1", "n2"])
        #expect(try stage.ask(.whitelist) == .whitelist(nil))
        #expect(try stage.ask(.setWhitelist([])) == .done)
        #expect(hosts(stage, id) == [])
        #expect(try stage.ask(.setWhitelist(nil)) == .done)
        #expect(hosts(stage, id) == ["n1", "n2"])
        #expect(stage.ledger.whitelist == nil)
    }

    @Test("agents of other hosts are not offered, whenever they come, and what was is taken back")
    func listed() throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("a"))
        stage.addAgent(host: "n1")
        stage.addAgent(host: "n2")
        #expect(try stage.ask(.setWhitelist(["n3", "n1"])) == .done)
        #expect(stage.rescinded(id).count == 1)
        stage.addAgent(host: "n3")
        stage.addAgent(host: "n4")
        #expect(hosts(stage, id) == ["n1", "n3"])
        #expect(try stage.ask(.whitelist) == .whitelist(["n1", "n3"]))
    }

    @Test("tasks on an agent that is not listed any more go on")
    func tasksStay() throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("a"))
        let agent = stage.addAgent(host: "n1")
        try stage.launch("t", by: id)
        stage.report("t", .running, of: id, on: agent)
        #expect(try stage.ask(.setWhitelist([])) == .done)
        #expect(stage.messages(agent).isEmpty)
        #expect(stage.master.tasks[TaskKey(id, "t")]?.state == .running)
        // Its end frees what is still not offered.
        stage.report("t", .finished, of: id, on: agent)
        stage.call(.revive(roles: []), by: id)
        #expect(hosts(stage, id) == [])
    }

    @Test("a whitelist outlives its master; agents that come back are not offered by mistake")
    func durable() throws {
        var stage = Stage()
        let agent = stage.addAgent(host: "n1")
        stage.addAgent(host: "n2")
        #expect(try stage.ask(.setWhitelist(["n2"])) == .done)
        #expect(stage.ledger.whitelist == ["n2"])
        var next = stage.restarted()
        #expect(try next.ask(.whitelist) == .whitelist(["n2"]))
        let id = next.subscribe(Stage.info("a"))
        next.comeBack(agent)
        #expect(hosts(next, id) == [])
        #expect(try next.ask(.setWhitelist(nil)) == .done)
        #expect(hosts(next, id) == ["n1"])
        #expect(next.restarted(seed: 3).master.whitelist == nil)
    }

    @Test("an explanation names the whitelist, and so does a claim that meets it")
    func explained() throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("a"))
        let first = stage.addAgent(host: "n1")
        let second = stage.addAgent(host: "n2")
        stage.disconnect(agent: second)
        #expect(try stage.ask(.setWhitelist([])) == .done)
        let question = PlacementQuestion(
            framework: nil, demand: Demand(id: "d", resources: ResourceQuantities(cpus: 1)))
        guard case .why(let answer) = try stage.ask(.why(question)) else {
            Issue.record("another answer")
            return
        }
        #expect(
            answer.steps == [
                .init(check: .agentActive, removed: 1, alone: 1, examples: [second]),
                .init(check: .whitelist, removed: 1, alone: 1, examples: [first]),
            ])
        #expect(answer.suggestions.contains("put the host n1 on the whitelist"))
        stage.forget()
        stage.call(
            .claim(
                Claim(
                    id: "c",
                    parts: [
                        ClaimPart(agentID: first, role: "*", resources: Stage.small)
                    ])), by: id)
        guard case .conflict(let conflicts)? = stage.claimAnswers(id).first else {
            Issue.record("claimed")
            return
        }
        #expect(conflicts.map(\.check) == [.whitelist])
    }

    @Test("a file's whitelist holds from the start, follows the file and no operator's call")
    func file() throws {
        var configuration = MasterConfiguration()
        configuration.whitelistFile = "/etc/hosts.offered"
        configuration.whitelist = ["n1"]
        var stage = Stage(configuration, replaying: [.whitelist(["n2"])])
        let id = stage.subscribe(Stage.info("a"))
        stage.addAgent(host: "n1")
        stage.addAgent(host: "n2")
        #expect(hosts(stage, id) == ["n1"])
        guard case .refused(let why) = try stage.ask(.setWhitelist(nil)) else {
            Issue.record("set")
            return
        }
        #expect(why.contains("/etc/hosts.offered"))
        stage.give(.whitelistRead(["n2"]))
        #expect(hosts(stage, id) == ["n2"])
        stage.give(.whitelistRead(nil))
        #expect(hosts(stage, id) == ["n1", "n2"])
    }

    @Test("what is guaranteed rests on agents that may be offered")
    func guarantees() throws {
        var stage = Stage()
        stage.addAgent(host: "n1")
        #expect(try stage.ask(.setWhitelist([])) == .done)
        let quota = Quota(role: "r", guarantees: ResourceQuantities(cpus: 1))
        guard case .refused = try stage.ask(.setQuotas([quota], isForced: false)) else {
            Issue.record("promised what is not offered")
            return
        }
    }
}
