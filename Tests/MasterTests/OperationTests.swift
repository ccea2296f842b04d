import OrderedCollections
import ProfferAllocation
import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferMaster

@Suite("Reservations and volumes")
struct OperationTests {
    private static func reserved(_ roles: [String], _ amount: Int = 10) -> Resource {
        Resource(
            "disk", .scalar(Milli(amount)),
            reservations: roles.map { Reservation(role: $0) })
    }

    private static func volume(
        _ role: String, _ amount: Int = 10, isShared: Bool = false, source: DiskInfo.Source? = nil
    ) -> Resource {
        Resource(
            "disk", .scalar(Milli(amount)), reservations: [Reservation(role: role)],
            disk: DiskInfo(persistenceID: "v", containerPath: "data", source: source),
            isShared: isShared)
    }

    /// A framework with an offer of the only agent.
    private func prepared(
        role: String = "a/b", _ capabilities: AgentCapabilities = .all,
        more: [Resource] = []
    ) throws -> (Stage, FrameworkID, Offer) {
        var stage = Stage()
        var info = Stage.info("a", roles: [role])
        info.capabilities.insert(.sharedResources)
        let id = stage.subscribe(info)
        let peer = stage.makePeer()
        var resources = Resources(cpus: Milli(4), mem: Milli(4096), disk: Milli(100))
        for item in more { resources += item }
        stage.give(
            .agent(
                .register(
                    AgentInfo(hostname: "n", resources: resources, capabilities: capabilities),
                    version: "1", bootID: "b"), from: peer))
        return (stage, id, try stage.offer(id))
    }

    private func problem(
        _ stage: inout Stage, _ offer: Offer, _ actions: [ProfferModel.Operation.Action]
    ) -> String? {
        stage.forget()
        stage.accept(offer, actions, refuse: .zero)
        return stage.problems.first
    }

    @Test("a reservation within another one is for a role strictly below")
    func refinement() throws {
        var (stage, _, offer) = try prepared(
            more: [
                Resource(
                    "disk", .scalar(Milli(50)),
                    reservations: [
                        Reservation(kind: .static, role: "a")
                    ])
            ])
        func stack(_ role: String) -> Resource {
            Resource(
                "disk", .scalar(Milli(10)),
                reservations: [Reservation(kind: .static, role: "a"), Reservation(role: role)])
        }
        #expect(problem(&stage, offer, [.reserve(Resources([stack("a/b")]))]) == nil)
        let held = stage.master.agents.values.first?.info.resources.items.contains(stack("a/b"))
        #expect(held == true)
        (stage, _, offer) = try prepared(
            role: "a",
            more: [
                Resource(
                    "disk", .scalar(Milli(50)),
                    reservations: [
                        Reservation(kind: .static, role: "a")
                    ])
            ])
        let same = problem(&stage, offer, [.reserve(Resources([stack("a")]))])
        #expect(same?.contains("not below") == true)
    }

    @Test("taking off a reservation takes off the innermost one, and never a static one")
    func unreserve() throws {
        var (stage, id, offer) = try prepared(
            more: [
                Resource(
                    "disk", .scalar(Milli(50)),
                    reservations: [
                        Reservation(kind: .static, role: "a")
                    ])
            ])
        let outer = Resource(
            "disk", .scalar(Milli(10)), reservations: [Reservation(kind: .static, role: "a")])
        var inner = outer
        inner.reservations.append(Reservation(role: "a/b"))
        let before = stage.master.agents.values.first?.info.resources
        #expect(
            problem(
                &stage, offer,
                [.reserve(Resources([inner])), .unreserve(Resources([inner]))]) == nil)
        #expect(stage.master.agents.values.first?.info.resources == before)
        offer = try stage.offer(id)
        let word = problem(&stage, offer, [.unreserve(Resources([outer]))])
        #expect(word?.contains("no dynamic reservation") == true)
    }

    @Test("an agent that does not know stacked reservations gets none")
    func refinementCapability() throws {
        let outer = Reservation(kind: .static, role: "a")
        var (stage, _, offer) = try prepared(
            AgentCapabilities.all.subtracting(.reservationRefinement),
            more: [Resource("disk", .scalar(Milli(50)), reservations: [outer])])
        let inner = Resource(
            "disk", .scalar(Milli(10)), reservations: [outer, Reservation(role: "a/b")])
        let word = problem(&stage, offer, [.reserve(Resources([inner]))])
        #expect(word?.contains("within reservations") == true)
    }

    @Test("only an agent that can change the size of volumes is told to", arguments: [true, false])
    func resize(isAble: Bool) throws {
        var (stage, id, offer) = try prepared(
            isAble ? .all : AgentCapabilities.all.subtracting(.resizeVolume))
        let make: [ProfferModel.Operation.Action] = [
            .reserve(Resources([Self.reserved(["a/b"], 20)])),
            .create(Resources([Self.volume("a/b")])),
        ]
        #expect(problem(&stage, offer, make) == nil)
        offer = try stage.offer(id)
        let grown = problem(
            &stage, offer,
            [.grow(volume: Self.volume("a/b"), addition: Self.reserved(["a/b"], 5))])
        #expect(grown?.contains("cannot change the size") == (isAble ? nil : true))
        offer = try stage.offer(id)
        let shrunk = problem(
            &stage, offer,
            [.shrink(volume: Self.volume("a/b", isAble ? 15 : 10), subtraction: Milli(5))])
        #expect(shrunk?.contains("cannot change the size") == (isAble ? nil : true))
    }

    @Test("a volume that is a disk of its own keeps its size")
    func mount() throws {
        let source = DiskInfo.Source.mount(root: "/disk")
        let volume = Self.volume("a/b", source: source)
        var (stage, _, offer) = try prepared(more: [volume])
        let word = problem(&stage, offer, [.shrink(volume: volume, subtraction: Milli(5))])
        #expect(word?.contains("disk of its own") == true)
    }

    // MARK: Shared volumes

    private func task(_ id: TaskID, _ agent: AgentID, _ volume: Resource) -> TaskInfo {
        var info = Stage.task(id, agent)
        info.resources += volume
        return info
    }

    @Test("several tasks hold one shared volume, and the last of them gives it back")
    func shared() throws {
        let volume = Self.volume("a/b", isShared: true)
        var (stage, id, offer) = try prepared(more: [volume])
        let agent = offer.agentID
        stage.accept(
            offer, [.launch([task("t", agent, volume), task("u", agent, volume)])],
            refuse: .zero)
        #expect(stage.runs(agent) == [["t"], ["u"]])
        #expect(stage.updates(id).isEmpty)
        func isOffered(_ stage: Stage) -> Bool {
            (stage.offers[id] ?? []).contains { $0.resources.items.contains(volume) }
        }
        // It is there for others too while it is held.
        #expect(isOffered(stage))
        stage.report("t", .finished, of: id, on: agent)
        stage.report("u", .finished, of: id, on: agent)
        #expect(isOffered(stage))
        // Nothing is lost on the way.
        let all = (stage.offers[id] ?? []).reduce(into: Resources()) { $0 += $1.resources }
        #expect(all.contains(offer.resources))
        #expect(offer.resources.nonShared.contains(all.nonShared))
    }

    @Test("a group shares its volume, and gives it back with its last task")
    func sharedGroup() throws {
        let volume = Self.volume("a/b", isShared: true)
        var (stage, id, offer) = try prepared(more: [volume])
        let agent = offer.agentID
        stage.accept(
            offer,
            [
                .launchGroup(
                    executor: ExecutorInfo(id: "g", kind: .default),
                    tasks: [task("t", agent, volume), task("u", agent, volume)])
            ], refuse: .zero)
        #expect(stage.runs(agent) == [["t", "u"]])
        for name in ["t", "u"] { stage.report(TaskID(name), .finished, of: id, on: agent) }
        stage.tell(.executorExited(ExecutorKey(id, "g"), status: 0), by: agent)
        let all = (stage.offers[id] ?? []).reduce(into: Resources()) { $0 += $1.resources }
        #expect(all.contains(offer.resources))
        #expect(offer.resources.nonShared.contains(all.nonShared))
    }

    /// The allocator is told of as many copies as there are holders, and each is given back.
    @Test("a shared volume is offered while it is in use, and every holder is counted")
    func offeredInUse() throws {
        let volume = Self.volume("*", isShared: true)
        let (stage0, script) = Stage.scripted()
        var stage = stage0
        let id = stage.subscribe(Stage.info("a"))
        var resources = Resources(cpus: Milli(4), mem: Milli(4096))
        resources += volume
        let agent = stage.addAgent(resources)
        let offered = Stage.small + Stage.small + Resources([volume])
        script.grant(id, agent, offered)
        stage.pass(.seconds(1))
        script.grant(id, agent, Resources([volume]))
        stage.pass(.seconds(1))
        let offers = stage.offers[id] ?? []
        try #require(offers.count == 2)
        script.calls = []
        stage.accept(
            offers[0], [.launch([task("t", agent, volume), task("u", agent, volume)])])
        stage.accept(offers[1], [.destroy(Resources([volume]))])
        #expect(stage.problems.first?.contains("uses the volume") == true)
        stage.report("t", .finished, of: id, on: agent)
        stage.report("u", .finished, of: id, on: agent)
        var copies = 2
        for call in script.calls {
            switch call {
            case .hold(let allocation) where allocation.resources.items.contains(volume):
                copies += 1
            case .recover(let allocation, _, _) where allocation.resources.items.contains(volume):
                copies -= 1
            default: break
            }
        }
        #expect(copies == 0)
        #expect(script.calls.count { if case .hold = $0 { true } else { false } } == 1)
    }

    @Test("a shared volume that ends is taken out of whatever else it is offered in")
    func destroyed() throws {
        let volume = Self.volume("*", isShared: true)
        let (stage0, script) = Stage.scripted()
        var stage = stage0
        let id = stage.subscribe(Stage.info("a"))
        let other = stage.subscribe(Stage.info("b"))
        var resources = Resources(cpus: Milli(4), mem: Milli(4096))
        resources += volume
        let agent = stage.addAgent(resources)
        script.grant(id, agent, Resources([volume]))
        script.grant(other, agent, Resources([volume]))
        stage.pass(.seconds(1))
        let offer = try stage.offer(other)
        stage.accept(try stage.offer(id), [.destroy(Resources([volume]))])
        #expect(stage.problems.isEmpty)
        #expect(stage.rescinded(other) == [offer.id])
    }

    @Test("an executor holds no shared volume")
    func executor() throws {
        let volume = Self.volume("a/b", isShared: true)
        var (stage, id, offer) = try prepared(more: [volume])
        var info = Stage.task("t", offer.agentID)
        info.command = nil
        info.executor = ExecutorInfo(
            id: "e", command: CommandInfo(value: "run"), resources: Resources([volume]))
        stage.accept(offer, [.launch([info])])
        #expect(stage.updates(id).first?.message?.contains("shared") == true)
    }
}

@Suite("Roles of a framework")
struct FrameworkRoleTests {
    @Test(
        "REVIVE and SUPPRESS with one role that is not the framework's change nothing",
        arguments: [true, false])
    func unknownRole(isRevive: Bool) {
        var stage = Stage()
        let id = stage.subscribe(
            Stage.info("a", roles: ["r", "q"]), suppressed: isRevive ? ["r", "q"] : [])
        stage.addAgent()
        let before = stage.offers[id]
        stage.call(isRevive ? .revive(roles: ["r", "x"]) : .suppress(roles: ["r", "x"]), by: id)
        #expect(stage.master.frameworks[id]?.suppressedRoles == (isRevive ? ["r", "q"] : []))
        #expect(stage.offers[id] == before)
        #expect(stage.problems.count == 1)
        stage.addAgent(host: "n2")
        #expect((stage.offers[id] ?? []).isEmpty == isRevive)
    }

    private let onB = [
        OfferConstraint(
            role: "r",
            groups: [[AttributeConstraint(selector: .hostname, predicate: .textEquals("b"))]])
    ]

    @Test("UPDATE_FRAMEWORK replaces constraints; without any every agent will do again")
    func constraints() {
        var stage = Stage()
        let info = Stage.info("a", roles: ["r"])
        let id = stage.subscribe(info, constraints: onB)
        stage.addAgent(host: "a")
        #expect(stage.offers[id] == [])
        stage.call(.updateFramework(Subscription(framework: info)), by: id)
        #expect(stage.offers[id]?.map(\.hostname) == ["a"])
    }

    @Test("UPDATE_FRAMEWORK with a constraint or suppression of a foreign role changes nothing")
    func foreign() {
        var stage = Stage()
        let info = Stage.info("a", roles: ["q"])
        let id = stage.subscribe(info)
        stage.addAgent(host: "a")
        stage.call(
            .updateFramework(Subscription(framework: info, constraints: onB)), by: id)
        stage.call(
            .updateFramework(Subscription(framework: info, suppressedRoles: ["r"])), by: id)
        #expect(stage.problems.count == 2)
        #expect(stage.master.frameworks[id]?.constraints == [])
        #expect(stage.offers[id]?.count == 1)
    }

    @Test("a priority that is out of all reason is refused, of a framework and of a task")
    func priority() throws {
        var stage = Stage()
        var info = Stage.info("a")
        info.priority = .min
        stage.subscribe(info)
        #expect(stage.master.frameworks.isEmpty)
        let id = stage.subscribe(Stage.info("b"))
        let agent = stage.addAgent()
        var task = Stage.task("t", agent)
        task.priority = 1_000_001
        stage.accept(try stage.offer(id), [.launch([task])])
        #expect(stage.updates(id).first?.message?.contains("priority") == true)
    }

    @Test("a task that nobody knows is expected back only while an agent is")
    func recovering() throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("a"))
        let agents = [stage.addAgent(host: "n1"), stage.addAgent(host: "n2")]
        var next = stage.restarted()
        next.subscribe(Stage.info("a", id: id))
        func state(_ next: inout Stage) -> TaskState? {
            next.forget()
            next.call(.reconcile([ReconcileTask(taskID: "x")]), by: id)
            return next.updates(id).last?.state
        }
        #expect(state(&next) == .staging)
        next.comeBack(agents[0])
        #expect(state(&next) == .staging)
        next.pass(.seconds(601))
        #expect(state(&next) == .unknown)
        #expect(next.master.recovering.isEmpty)
    }
}
