import OrderedCollections
import ProfferAllocation
import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferMaster

@Suite("Preemption")
struct PreemptionTests {
    /// An agent full of tasks of a framework of low priority, and one that waits.
    private struct Scene {
        var stage: Stage
        var script: ScriptedAllocator.Script
        var low: FrameworkID
        var high: FrameworkID
        var agent: AgentID

        /// So many cores, one task on each.
        init(
            tasks: Int = 4, _ configuration: MasterConfiguration = MasterConfiguration(),
            lowRole: String = "*"
        ) throws {
            (stage, script) = Stage.scripted(configuration)
            low = stage.subscribe(Stage.info("low", roles: [lowRole]))
            high = stage.subscribe(Stage.info("high"))
            agent = stage.addAgent(Resources(cpus: Milli(tasks), mem: Milli(128 * tasks)))
            script.grant(
                low, agent, role: lowRole, Resources(cpus: Milli(tasks), mem: Milli(128 * tasks)))
            stage.pass(.seconds(1))
            let agent = agent
            stage.accept(
                try stage.offer(low),
                [.launch((0..<tasks).map { Stage.task(TaskID("t\($0)"), agent) })])
            for number in 0..<tasks {
                stage.report(TaskID("t\(number)"), .running, of: low, on: agent)
                stage.pass(.seconds(1))
            }
            stage.forget()
            script.calls = []
        }

        mutating func lack(
            _ count: Int = 1, cpus: Int = 1, priority: Int = 5, isGuaranteed: Bool = false,
            gang: Int = 1
        ) {
            let demand = Demand(
                id: "d", resources: ResourceQuantities(cpus: cpus), count: count,
                priority: priority, gang: gang)
            script.shortfalls = [
                Shortfall(
                    framework: high, demand: demand, isGuaranteed: isGuaranteed, since: stage.now)
            ]
            stage.call(.demand([demand]), by: high)
        }

        mutating func end(_ task: TaskID, _ state: TaskState = .killed) {
            let uuid = stage.report(task, state, of: low, on: agent)
            stage.acknowledge(task, uuid, of: low, on: agent)
        }
    }

    @Test("a shortfall that lasts is told to the victim's framework, with the deadline")
    func notice() throws {
        var scene = try Scene()
        let start = scene.stage.now
        scene.lack()
        scene.stage.pass(.seconds(9))
        #expect(scene.stage.inverseOffers(scene.low).isEmpty)
        scene.stage.pass(.seconds(1))
        let asked = try #require(scene.stage.inverseOffers(scene.low).first)
        #expect(scene.stage.inverseOffers(scene.low).count == 1)
        // The youngest of equals.
        #expect(asked.tasks == ["t3"])
        #expect(asked.agentID == scene.agent)
        #expect(asked.resources == Stage.small)
        let deadline = WallClock(.zero, is: Stage.epoch).time(at: start + .seconds(40))
        #expect(asked.unavailability == Unavailability(start: deadline))
        #expect(scene.stage.kills(scene.agent).isEmpty)
        #expect(scene.stage.inverseOffers(scene.high).isEmpty)
    }

    @Test("at the deadline the task is killed, and its end says for whom")
    func kill() throws {
        var scene = try Scene()
        scene.lack()
        scene.stage.pass(.seconds(39))
        #expect(scene.stage.kills(scene.agent).isEmpty)
        scene.stage.pass(.seconds(2))
        #expect(scene.stage.kills(scene.agent) == ["t3"])
        scene.stage.report("t3", .killed, of: scene.low, on: scene.agent)
        let end = try #require(scene.stage.updates(scene.low).last)
        #expect(end.state == .killed)
        #expect(end.reason == .containerPreempted)
        #expect(end.message?.contains("'high'") == true)
    }

    @Test("what a victim held is back before the next allocation, which grants it")
    func handover() throws {
        var scene = try Scene()
        scene.lack()
        scene.stage.pass(.seconds(41))
        scene.script.calls = []
        scene.stage.report("t3", .killed, of: scene.low, on: scene.agent)
        let calls = scene.script.calls
        let back = calls.firstIndex(
            of: .recover(
                Allocation(
                    framework: scene.low, role: "*", agent: scene.agent, resources: Stage.small),
                wasOffered: false, refuse: nil))
        #expect(try #require(back) < #require(calls.firstIndex(of: .allocate)))
        // Nothing else ends while the shortfall is only not served yet.
        scene.stage.forget()
        scene.stage.pass(.seconds(5))
        #expect(scene.stage.inverseOffers(scene.low).isEmpty)
        #expect(scene.stage.kills(scene.agent).isEmpty)
    }

    @Test("a framework that ends the task in time is left alone", arguments: [true, false])
    func obliges(isEnd: Bool) throws {
        var scene = try Scene()
        scene.lack()
        scene.stage.pass(.seconds(11))
        let asked = try #require(scene.stage.inverseOffers(scene.low).first)
        scene.stage.forget()
        if isEnd {
            scene.end("t3", .finished)
        } else {
            scene.script.shortfalls = []
        }
        scene.stage.pass(.seconds(60))
        #expect(scene.stage.rescindedInverse(scene.low) == [asked.id])
        #expect(scene.stage.kills(scene.agent).isEmpty)
        #expect(scene.stage.master.inverseOffers.isEmpty)
        if !isEnd {
            #expect(scene.stage.master.tasks[TaskKey(scene.low, "t3")]?.preemption == nil)
            #expect(scene.stage.master.nextDeadline.map { $0 > scene.stage.now } ?? true)
        }
    }

    @Test("no more tasks end than instances are missing, however often it is looked")
    func count() throws {
        var scene = try Scene()
        scene.lack(2)
        scene.stage.pass(.seconds(39))
        #expect(scene.stage.inverseOffers(scene.low).map(\.tasks) == [["t3"], ["t2"]])
        scene.lack(1)
        scene.stage.pass(.seconds(30))
        #expect(scene.stage.rescindedInverse(scene.low).count == 1)
        #expect(Set(scene.stage.kills(scene.agent)) == ["t3"])
    }

    @Test("what is being killed counts first when fewer instances are missing")
    func killedCountsFirst() throws {
        var scene = try Scene()
        scene.lack(1)
        scene.stage.pass(.seconds(20))
        scene.lack(2)
        scene.stage.pass(.seconds(22))
        #expect(scene.stage.inverseOffers(scene.low).map(\.tasks) == [["t3"], ["t2"]])
        #expect(Set(scene.stage.kills(scene.agent)) == ["t3"])
        scene.script.shortfalls[0].demand.count = 1
        scene.stage.pass(.seconds(60))
        #expect(scene.stage.rescindedInverse(scene.low).count == 1)
        #expect(Set(scene.stage.kills(scene.agent)) == ["t3"])
    }

    @Test("tasks of the same priority or a higher one are never victims", arguments: [0, -3])
    func priorities(priority: Int) throws {
        var scene = try Scene()
        scene.lack(priority: priority)
        scene.stage.pass(.seconds(120))
        #expect(scene.stage.inverseOffers(scene.low).isEmpty)
    }

    @Test("the priority of a task without one is that of its framework")
    func frameworkPriority() throws {
        var scene = try Scene()
        var info = Stage.info("low", id: scene.low)
        info.priority = 5
        scene.stage.call(.updateFramework(Subscription(framework: info)), by: scene.low)
        scene.lack(priority: 5)
        scene.stage.pass(.seconds(60))
        #expect(scene.stage.inverseOffers(scene.low).isEmpty)
        info.priority = 4
        scene.stage.call(.updateFramework(Subscription(framework: info)), by: scene.low)
        scene.stage.pass(.seconds(30))
        #expect(scene.stage.inverseOffers(scene.low).count == 1)
    }

    @Test("for a guarantee tasks of another role end whatever their priority")
    func guarantee() throws {
        var scene = try Scene(lowRole: "q")
        scene.lack(priority: -7, isGuaranteed: true)
        scene.stage.pass(.seconds(11))
        #expect(scene.stage.inverseOffers(scene.low).map(\.tasks) == [["t3"]])
    }

    @Test("a role keeps what it is guaranteed itself")
    func kept() throws {
        var scene = try Scene(lowRole: "q")
        let quota = Quota(role: "q", guarantees: ResourceQuantities(cpus: 3))
        #expect(try scene.stage.ask(.setQuotas([quota], isForced: false)) == .done)
        scene.lack(2)
        scene.stage.pass(.seconds(60))
        // One of four is above the guarantee.
        #expect(scene.stage.kills(scene.agent).count >= 1)
        #expect(Set(scene.stage.kills(scene.agent)) == ["t3"])
        #expect(scene.stage.inverseOffers(scene.low).count == 1)
    }

    @Test("a gang makes room whole or not at all", arguments: [(4, 4), (5, 0)])
    func gang(size: Int, victims: Int) throws {
        var scene = try Scene()
        scene.lack(size, gang: size)
        scene.stage.pass(.seconds(12))
        #expect(scene.stage.inverseOffers(scene.low).flatMap(\.tasks).count == victims)
    }

    @Test("tasks of one group are ended together, and their executor gives way with them")
    func group() throws {
        var (stage, script) = Stage.scripted()
        let low = stage.subscribe(Stage.info("low"))
        let high = stage.subscribe(Stage.info("high"))
        let agent = stage.addAgent(Resources(cpus: Milli(3), mem: Milli(1024)))
        script.grant(low, agent, Resources(cpus: Milli(3), mem: Milli(1024)))
        stage.pass(.seconds(1))
        let executor = ExecutorInfo(id: "g", kind: .default, resources: Stage.small)
        stage.accept(
            try stage.offer(low),
            [
                .launchGroup(
                    executor: executor,
                    tasks: [Stage.task("a", agent), Stage.task("b", agent)])
            ])
        let demand = Demand(id: "d", resources: ResourceQuantities(cpus: 3), priority: 1)
        script.shortfalls = [
            Shortfall(framework: high, demand: demand, isGuaranteed: false, since: stage.now)
        ]
        stage.call(.demand([demand]), by: high)
        stage.pass(.seconds(11))
        #expect(stage.inverseOffers(low).map(\.tasks) == [["a", "b"]])
    }

    @Test(
        "what a framework says to it is noted, shown, and binds nobody", arguments: [true, false])
    func response(isAccepted: Bool) throws {
        var scene = try Scene()
        scene.lack()
        scene.stage.pass(.seconds(11))
        let asked = try #require(scene.stage.inverseOffers(scene.low).first)
        // Another one's answer is none.
        scene.stage.call(.acceptInverseOffers([asked.id], filters: nil), by: scene.high)
        guard case .inverseOffers(let open) = try scene.stage.ask(.inverseOffers) else {
            Issue.record("another answer")
            return
        }
        #expect(open.map(\.inverseOffer) == [asked])
        #expect(open.map(\.response) == [nil])
        #expect(open.first?.reason.contains("'high'") == true)
        scene.stage.call(
            isAccepted
                ? .acceptInverseOffers([asked.id, "x"], filters: nil)
                : .declineInverseOffers([asked.id], filters: nil), by: scene.low)
        guard case .inverseOffers(let list) = try scene.stage.ask(.inverseOffers) else {
            Issue.record("another answer")
            return
        }
        switch list.first?.response {
        case .accepted: #expect(isAccepted)
        case .declined: #expect(!isAccepted)
        case nil: Issue.record("not noted")
        }
        scene.stage.pass(.seconds(31))
        #expect(scene.stage.kills(scene.agent).contains("t3"))
    }

    @Test("a framework that subscribes anew is asked anew, with the same deadline")
    func repeated() throws {
        var scene = try Scene()
        scene.lack()
        scene.stage.pass(.seconds(11))
        let asked = try #require(scene.stage.inverseOffers(scene.low).first)
        scene.stage.forget()
        scene.stage.subscribe(Stage.info("low", id: scene.low))
        let again = try #require(scene.stage.inverseOffers(scene.low).first)
        #expect(again.id != asked.id)
        #expect(again.tasks == asked.tasks)
        #expect(again.unavailability == asked.unavailability)
    }

    @Test("a lost agent, and a demand that ends, end what was to make room")
    func lost() throws {
        var scene = try Scene()
        scene.lack()
        scene.stage.pass(.seconds(11))
        scene.stage.silent.insert(scene.agent)
        scene.stage.pass(.seconds(80))
        #expect(scene.stage.master.inverseOffers.isEmpty)
        scene.script.shortfalls = []
        scene.stage.call(.teardown, by: scene.high)
        scene.stage.pass(.seconds(60))
        #expect(scene.stage.master.preemptions.isEmpty)
        #expect(scene.stage.master.timers.deadline(of: .shortfalls) == nil)
    }

    @Test("without a delay nothing is ever preempted")
    func off() throws {
        var configuration = MasterConfiguration()
        configuration.preemptionDelay = nil
        var scene = try Scene(configuration)
        scene.lack()
        scene.stage.pass(.seconds(600))
        #expect(scene.stage.inverseOffers(scene.low).isEmpty)
        #expect(scene.stage.kills(scene.agent).isEmpty)
    }

    @Test("while nobody demands or is guaranteed anything, nothing is looked for")
    func idle() throws {
        let scene = try Scene()
        #expect(scene.stage.master.timers.deadline(of: .shortfalls) == nil)
    }

    @Test("a demand that was served by its time causes nothing")
    func inTime() throws {
        var scene = try Scene()
        scene.lack()
        scene.stage.pass(.seconds(5))
        scene.script.shortfalls = []
        scene.stage.pass(.seconds(60))
        #expect(scene.stage.inverseOffers(scene.low).isEmpty)
        #expect(scene.stage.master.timers.deadline(of: .shortfalls) == nil)
    }

    /// Whether a task of low priority, which fills an agent, is asked to make room.
    private func isAsked(
        _ stage: inout Stage, _ high: FrameworkID, domain: FaultDomain? = nil
    ) throws -> Bool {
        var info = Stage.info("low")
        info.capabilities.insert(.regionAware)
        let low = stage.subscribe(info)
        let agent = stage.addAgent(Stage.small, domain: domain)
        if let offer = stage.offers[high]?.first {
            stage.decline(offer, refuse: .seconds(1000), by: high)
        }
        let offer = try stage.offer(low)
        stage.accept(offer, [.launch([Stage.task("t", agent)])])
        stage.report("t", .running, of: low, on: agent)
        stage.forget()
        let demand = Demand(id: "d", resources: ResourceQuantities(cpus: 1), priority: 5)
        stage.call(.demand([demand]), by: high)
        stage.pass(.seconds(30))
        return !stage.inverseOffers(low).isEmpty
    }

    @Test(
        "on an agent of another region tasks end only for those who are aware of regions",
        arguments: [(false, "us"), (true, "us"), (false, "eu")])
    func region(isAware: Bool, region: String) throws {
        var configuration = MasterConfiguration()
        configuration.domain = FaultDomain(region: "eu", zone: "a")
        var options = HierarchicalAllocator.Options()
        options.region = "eu"
        var stage = Stage(configuration, allocator: HierarchicalAllocator(options: options))
        var info = Stage.info("high")
        if isAware { info.capabilities.insert(.regionAware) }
        let high = stage.subscribe(info, suppressed: ["*"])
        let isAsked = try isAsked(
            &stage, high, domain: FaultDomain(region: region, zone: "z"))
        // It is suppressed, so it waits for nothing yet.
        #expect(!isAsked)
        stage.call(.revive(roles: []), by: high)
        stage.pass(.seconds(30))
        #expect(!stage.master.inverseOffers.isEmpty == (isAware || region == "eu"))
    }

    @Test("on an agent that who waits has refused nothing ends until the refusal does")
    func refused() throws {
        var stage = Stage()
        let high = stage.subscribe(Stage.info("high"))
        #expect(try !isAsked(&stage, high))
        stage.call(.revive(roles: []), by: high)
        stage.pass(.seconds(30))
        #expect(stage.master.inverseOffers.count == 1)
    }
}
