import OrderedCollections
@_spi(Driver) import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferAllocation
@testable import ProfferMaster

@Suite("Offers")
struct OfferTests {
    @Test("an offer names its agent, role, attributes and the framework's executors there")
    func content() throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("a"))
        let attributes = [Attribute(name: "rack", value: .text("r1"))]
        let agent = stage.addAgent(host: "h1", attributes: attributes)
        let offer = try stage.offer(id)
        #expect(offer.agentID == agent)
        #expect(offer.hostname == "h1")
        #expect(offer.role == "*")
        #expect(offer.attributes == attributes)
        #expect(offer.resources == Resources(cpus: Milli(4), mem: Milli(4096)))
        #expect(offer.id.value == "\(stage.master.info.id)-O0")
    }

    @Test("freed resources are offered again within the allocation window")
    func eventDriven() throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("a"))
        let agent = stage.addAgent()
        try stage.launch("t", by: id)
        let start = stage.now
        stage.report("t", .finished, of: id, on: agent)
        #expect(stage.now - start == stage.master.configuration.allocationWindow)
        #expect(try stage.offer(id).resources.cpus == Milli(4))
    }

    @Test("a burst of changes leads to one round")
    func coalesced() {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("a"))
        var outbox = Outbox<MasterEffect>()
        var offers: [Int] = []
        for number in 0..<5 {
            let info = AgentInfo(hostname: "n", resources: Resources(cpus: Milli(1)))
            stage.master.handle(
                .agent(
                    .register(info, version: "", bootID: ""),
                    from: PeerID(UInt64(100 + number))), at: stage.now, into: &outbox)
        }
        stage.now = stage.now + stage.master.configuration.allocationWindow
        stage.master.wake(at: stage.now, into: &outbox)
        outbox.drain { effect in
            if case .tellFramework(.offers(let batch), _) = effect { offers.append(batch.count) }
        }
        // The first change after a quiet time at once, the others together.
        #expect(offers == [1, 4])
        #expect(stage.master.frameworks[id]?.offers.count == 5)
    }

    @Test("while tasks end quickly a round waits for more of them, five windows at most")
    func busy() throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("a"))
        let agent = stage.addAgent(Resources(cpus: Milli(20), mem: Milli(2560)))
        let peer = try #require(stage.agentPeers[agent])
        let names = (0..<20).map { TaskID("t\($0)") }
        stage.accept(
            try stage.offer(id), [.launch(names.map { Stage.task($0, agent) })])
        let window = stage.master.configuration.allocationWindow
        var outbox = Outbox<MasterEffect>()
        var next = 0
        /// Ends some tasks at once and lets the longest pause pass; returns the pause from then on.
        func end(_ count: Int) -> Duration {
            for name in names[next..<(next + count)] {
                let status = TaskStatus(
                    taskID: name, state: .finished, uuid: UpdateID(high: 1, low: 1))
                let position = UpdatePosition(latestState: .finished, latestUUID: status.uuid)
                stage.master.handle(
                    .agent(.update(id, status, position: position), from: peer), at: stage.now,
                    into: &outbox)
            }
            next += count
            stage.now = stage.now + window * 5
            stage.master.wake(at: stage.now, into: &outbox)
            return stage.master.allocationPause
        }
        #expect([2, 3, 4, 5, 5, 5].allSatisfy { end(3) == window * $0 })
        #expect(stage.master.frameworks[id]?.offers.count == 7)
        // A lone end waits no longer than ever, once there is no hurry any more.
        #expect([end(1), end(1)] == [window, window])
    }

    @Test("an offer held too long is taken back, told, and made anew")
    func timeout() throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("a"))
        stage.addAgent()
        let offer = try stage.offer(id)
        stage.forget()
        stage.pass(.seconds(61))
        #expect(stage.rescinded(id) == [offer.id])
        #expect(try stage.offer(id).id != offer.id)
    }

    @Test("without a time-out an offer is held for ever")
    func noTimeout() throws {
        var configuration = MasterConfiguration()
        configuration.offerTimeout = nil
        var stage = Stage(configuration)
        let id = stage.subscribe(Stage.info("a"))
        stage.addAgent()
        let offer = try stage.offer(id)
        stage.pass(.seconds(3600))
        #expect(try stage.offer(id) == offer)
    }

    @Test("a decline may list unknown offers and those of others; they are passed over")
    func declineOfOthers() throws {
        var stage = Stage()
        let first = stage.subscribe(Stage.info("a"))
        stage.addAgent()
        let offer = try stage.offer(first)
        let second = stage.subscribe(Stage.info("b"))
        stage.give(
            .framework(
                FrameworkCall(
                    frameworkID: second,
                    call: .decline(offers: [offer.id, "nonsense"], filters: nil)),
                from: try #require(stage.frameworkPeers[second])))
        #expect(stage.master.offers[offer.id] != nil)
    }

    @Test("an ACCEPT without operations is a decline")
    func emptyAccept() throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("a"))
        stage.addAgent()
        stage.accept(try stage.offer(id), [])
        stage.pass(.milliseconds(4900))
        #expect(stage.offers[id] == [])
        stage.pass(.milliseconds(200))
        _ = try stage.offer(id)
    }

    @Test("offers of one agent in one role can be accepted together")
    func merged() throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("a"))
        let agent = stage.addAgent()
        try stage.launch("t", by: id, refuse: .zero)
        let rest = try stage.offer(id)
        stage.report("t", .finished, of: id, on: agent)
        let both = stage.offers[id] ?? []
        #expect(both.count == 2 && both[0] == rest)
        let task = Stage.task("u", agent, Resources(cpus: Milli(4), mem: Milli(4096)))
        stage.forget()
        stage.call(
            .accept(
                offers: both.map(\.id), operations: [Operation(action: .launch([task]))],
                filters: nil), by: id)
        #expect(stage.runs(agent) == [["u"]])
    }

    @Test("a framework that returns everything without a refusal waits longer each time")
    func returns() throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("a"))
        stage.addAgent()
        var count = 0
        let end = stage.now + .seconds(60)
        while stage.now < end {
            if let offer = stage.offers[id]?.first {
                stage.decline(offer, refuse: .zero, by: id)
                count += 1
            } else {
                stage.pass(.milliseconds(10))
            }
        }
        #expect(count > 50)
        #expect(count < 80)
        // Another framework does not wait for it.
        let other = stage.subscribe(Stage.info("b"))
        if let offer = stage.offers[id]?.first { stage.decline(offer, refuse: .zero, by: id) }
        _ = try stage.offer(other)
    }

    @Test("REVIVE and SUPPRESS with a foreign role change nothing")
    func foreignRole() throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("a", roles: ["r"]), suppressed: ["r"])
        stage.addAgent()
        stage.call(.revive(roles: ["r", "q"]), by: id)
        #expect(stage.offers[id] == [])
        #expect(stage.problems.count == 1)
        stage.call(.revive(roles: []), by: id)
        _ = try stage.offer(id)
        #expect(stage.master.frameworks[id]?.suppressedRoles == [])
        stage.call(.suppress(roles: ["r"]), by: id)
        stage.call(.suppress(roles: ["r"]), by: id)
        #expect(stage.master.frameworks[id]?.suppressedRoles == ["r"])
    }

    @Test("a framework without roles is legal and gets nothing")
    func noRoles() {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("a", roles: []))
        stage.addAgent()
        #expect(stage.frameworkPeers[id] != nil)
        #expect(stage.offers[id] == [])
    }

    @Test("more offers than a message may hold are told in several")
    func manyOffers() {
        var stage = Stage()
        for number in 0..<1001 { stage.addAgent(host: "n\(number)") }
        let id = stage.subscribe(Stage.info("a"))
        let counts = stage.events(id).compactMap { event -> Int? in
            if case .offers(let offers) = event { return offers.count }
            return nil
        }
        #expect(counts == [1000, 1])
    }

    @Test("one framework does not sit on more than half of the cluster while another waits")
    func offeredLimit() throws {
        var stage = Stage()
        let first = stage.subscribe(Stage.info("a"))
        let second = stage.subscribe(Stage.info("b"))
        for number in 0..<3 { stage.addAgent(host: "n\(number)") }
        #expect(stage.offers[first]?.count == 1)
        #expect(stage.offers[second]?.count == 1)
        // The third is offered as soon as one of them has used what it was offered.
        let offer = try stage.offer(first)
        stage.accept(offer, [.launch([Stage.task("t", offer.agentID, offer.resources)])])
        #expect(stage.offers[first]!.count + stage.offers[second]!.count == 2)
        #expect(stage.master.offers.count == 2)
    }

    @Test("the last waiting framework gets what was held back")
    func heldBack() throws {
        var stage = Stage()
        let first = stage.subscribe(Stage.info("a"))
        let second = stage.subscribe(Stage.info("b"))
        for number in 0..<3 { stage.addAgent(host: "n\(number)") }
        stage.call(.suppress(roles: []), by: second)
        #expect(stage.offers[first]?.count == 2)
    }

    @Test("a custom allocator decides in the place of the built-in one")
    func custom() throws {
        var stage = Stage(allocator: FirstComeAllocator())
        let first = stage.subscribe(Stage.info("a"))
        let second = stage.subscribe(Stage.info("b"))
        let agent = stage.addAgent()
        #expect(stage.offers[second] == [])
        stage.accept(
            try stage.offer(first), [.launch([Stage.task("t", agent)])], refuse: .zero)
        #expect(stage.runs(agent) == [["t"]])
        #expect(try stage.offer(first).resources.cpus == Milli(3))
    }
}

/// Gives everything to whoever came first: an allocator as somebody else would write it.
struct FirstComeAllocator: Allocator {
    private var frameworks: OrderedDictionary<FrameworkID, AllocatorFramework> = [:]
    private var free: OrderedDictionary<AgentID, Resources> = [:]
    private(set) var needsAllocation = false
    var nextDeadline: Instant? { nil }

    mutating func setFramework(_ framework: AllocatorFramework, isActive: Bool) {
        frameworks[framework.id] = isActive ? framework : nil
        needsAllocation = true
    }
    mutating func removeFramework(_ id: FrameworkID) { frameworks[id] = nil }
    mutating func setActive(framework id: FrameworkID, _ isActive: Bool) {
        if !isActive { frameworks[id] = nil }
    }
    mutating func setAgent(_ info: AgentInfo, isActive: Bool) {
        if let id = info.id { free[id] = info.resources }
        needsAllocation = true
    }
    mutating func removeAgent(_ id: AgentID) { free[id] = nil }
    mutating func setActive(agent id: AgentID, _ isActive: Bool) {}
    mutating func hold(_ allocation: Allocation) {
        free[allocation.agent]? -= allocation.resources
    }
    mutating func use(_ allocation: Allocation) {}
    mutating func convert(_ allocation: Allocation, into resources: Resources) {}
    mutating func recover(
        _ allocation: Allocation, wasOffered: Bool, refuse: Duration?, at now: Instant
    ) {
        free[allocation.agent]? += allocation.resources
        needsAllocation = true
    }
    mutating func revive(_ id: FrameworkID, roles: [String]) {}
    mutating func suppress(_ id: FrameworkID, roles: [String]) {}
    mutating func setWeight(role: String, thousandths: Int64) {}
    mutating func allocate(at now: Instant, into grants: inout [Grant]) {
        needsAllocation = false
        guard let first = frameworks.values.first else { return }
        for (agent, resources) in free where !resources.isEmpty {
            grants.append(
                Grant(
                    allocation: Allocation(
                        framework: first.id, role: first.roles.first ?? "*", agent: agent,
                        resources: resources)))
            free[agent] = Resources()
        }
    }
    func shareMillionths(framework id: FrameworkID) -> Int64 { 0 }
    func shareMillionths(role: String) -> Int64 { 0 }
}
