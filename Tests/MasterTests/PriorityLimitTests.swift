import OrderedCollections
import ProfferAllocation
import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferMaster

@Suite("Priority limits of roles")
struct PriorityLimitTests {
    private func demand(_ priority: Int, role: String = "r", count: Int = 2) -> Demand {
        Demand(
            id: "d", role: role, resources: ResourceQuantities(cpus: 1, mem: 128), count: count,
            priority: priority)
    }

    private func info(
        _ priority: Int, roles: [String] = ["r"], id: FrameworkID? = nil
    ) -> FrameworkInfo {
        var info = Stage.info("a", roles: roles, id: id)
        info.priority = priority
        return info
    }

    private func limited(_ role: String = "r", _ limit: Int = 5) throws -> Stage {
        var stage = Stage()
        #expect(try stage.ask(.setPriorityLimit(role: role, limit)) == .done)
        stage.forget()
        return stage
    }

    private func limit(_ role: String, _ stage: inout Stage) throws -> Int? {
        guard case .roles(let roles) = try stage.ask(.roles) else { return nil }
        return roles.first { $0.name == role }?.priorityLimit
    }

    @Test("a limit is durable, shown with its role and can be taken away")
    func durable() throws {
        let stage = try limited()
        #expect(stage.ledger.priorityLimits == ["r": 5])
        var next = stage.restarted()
        #expect(try limit("r", &next) == 5)
        #expect(try next.ask(.setPriorityLimit(role: "r", nil)) == .done)
        #expect(next.ledger.priorityLimits.isEmpty)
        #expect(try limit("r", &next) == nil)
    }

    @Test("the limit of a role holds for those below it, and theirs may be lower")
    func below() throws {
        var stage = try limited()
        _ = try stage.ask(.setPriorityLimit(role: "r/a", 3))
        _ = try stage.ask(.setPriorityLimit(role: "r/b", 9))
        #expect(stage.master.priorityLimit(of: "r/a/x") == 3)
        #expect(stage.master.priorityLimit(of: "r/b/x") == 5)
        #expect(stage.master.priorityLimit(of: "rest") == nil)
    }

    @Test("a framework whose priority is above the limit of a role is turned away with a reason")
    func framework() throws {
        var stage = try limited()
        let peer = stage.makePeer()
        stage.give(
            .framework(
                FrameworkCall(
                    call: .subscribe(Subscription(framework: info(6, roles: ["q", "r"])))),
                from: peer))
        #expect(stage.problems == ["the priority 6 is above 5, the highest of the role 'r'"])
        #expect(stage.master.frameworks.isEmpty)
        stage.subscribe(info(5))
        #expect(stage.master.frameworks.count == 1)
    }

    @Test("an update to a higher priority is refused and changes nothing")
    func update() throws {
        var stage = try limited()
        let id = stage.subscribe(info(5))
        stage.call(.updateFramework(Subscription(framework: info(6, id: id))), by: id)
        #expect(stage.problems.count == 1)
        #expect(stage.master.frameworks[id]?.info.priority == 5)
    }

    @Test("a demand and a task above the limit are refused with a reason")
    func demandAndTask() throws {
        var stage = try limited()
        let id = stage.subscribe(info(0))
        stage.call(.demand([demand(6)]), by: id)
        let refusals = stage.events(id).compactMap { event in
            if case .demandRefused(let problem) = event { problem } else { nil }
        }
        #expect(
            refusals == ["the demand 'd': the priority 6 is above 5, the highest of the role 'r'"])
        let agent = stage.addAgent()
        var task = Stage.task("t", agent)
        task.priority = 6
        stage.forget()
        stage.accept(try stage.offer(id), [.launch([task])])
        #expect(stage.updates(id).map(\.state) == [.error])
        #expect(stage.updates(id).first?.message?.contains("above 5") == true)
    }

    @Test("a lowered limit serves what was accepted before as at the limit, and ends nobody")
    func lowered() throws {
        var (stage, script) = Stage.scripted()
        let id = stage.subscribe(info(8))
        stage.call(.demand([demand(7)]), by: id)
        script.calls = []
        #expect(try stage.ask(.setPriorityLimit(role: "r", 5)) == .done)
        #expect(script.calls.contains(.setDemands(id, [demand(5)])))
        #expect(stage.master.priority(of: info(8)) == 5)
        #expect(stage.master.frameworks[id]?.info.priority == 8)
        // It comes back as it was, with the demand that it had.
        stage.disconnect(id)
        stage.forget()
        stage.subscribe(info(8, id: id), demands: [demand(7)])
        #expect(stage.problems.isEmpty)
        #expect(
            script.calls.last { if case .setDemands = $0 { true } else { false } }
                == .setDemands(id, [demand(5)]))
        #expect(try stage.ask(.setPriorityLimit(role: "r", nil)) == .done)
        #expect(
            script.calls.last { if case .setDemands = $0 { true } else { false } }
                == .setDemands(id, [demand(7)]))
    }

    @Test("a framework comes back with the priority it had in some of its roles, in any order")
    func someRoles() throws {
        for roles in [["s", "r"], ["r"]] {
            var stage = Stage()
            let id = stage.subscribe(info(8, roles: ["r", "s"]))
            _ = try stage.ask(.setPriorityLimit(role: "r", 5))
            _ = try stage.ask(.setPriorityLimit(role: "x", 5))
            stage.disconnect(id)
            stage.subscribe(info(8, roles: roles, id: id))
            #expect(stage.problems.isEmpty)
            #expect(stage.master.frameworks[id]?.isConnected == true)
        }
    }

    @Test("what is launched already is not wanted again when a limit is lowered")
    func launched() throws {
        var (stage, script) = Stage.scripted()
        let id = stage.subscribe(info(0))
        stage.call(.demand([demand(7)]), by: id)
        let agent = stage.addAgent()
        script.grant(id, agent, role: "r", demand: "d", instances: 1)
        stage.pass(.seconds(1))
        try stage.launch("t", by: id)
        #expect(try stage.ask(.setPriorityLimit(role: "r", 5)) == .done)
        #expect(script.calls.contains(.setDemands(id, [demand(5, count: 1)])))
    }

    @Test("a restarted master bounds the frameworks it knows from its registry")
    func recovered() throws {
        var stage = Stage()
        let high = stage.subscribe(info(8))
        let other = stage.subscribe(Stage.info("b", roles: ["r"]))
        #expect(try stage.ask(.setPriorityLimit(role: "r", 0)) == .done)
        var next = stage.restarted()
        next.subscribe(info(8, id: high))
        next.subscribe(Stage.info("b", roles: ["r"], id: other))
        // With equal priority both get one of two agents.
        next.addAgent(host: "n1")
        next.addAgent(host: "n2")
        #expect(next.offers[high]?.count == 1)
        #expect(next.offers[other]?.count == 1)
    }
}
