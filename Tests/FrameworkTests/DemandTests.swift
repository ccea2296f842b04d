@_spi(Driver) import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferFramework

@Suite("Framework driver: demand")
struct DemandTests {
    private static func demand(_ id: String = "d", count: Int = 10, gang: Int = 1) -> Demand {
        Demand(
            id: id, role: "r", resources: Resources(cpus: Milli(1)).quantities, count: count,
            gang: gang)
    }

    private static func offer(_ id: OfferID, for demand: String?) -> Offer {
        Offer(
            id: id, frameworkID: "f", agentID: "n", hostname: "h", resources: Resources(),
            role: "r", demandID: demand,
            instances: demand == nil ? 0 : 4)
    }

    private static func launch(_ tasks: TaskID...) -> [Operation] {
        [
            Operation(
                action: .launch(
                    tasks.map { TaskInfo(name: $0.value, id: $0, agentID: "n") }))
        ]
    }

    /// What was said with a new subscription; nothing may be said once more after it.
    private func restated(_ bench: inout Bench) -> [Demand]? {
        bench.give(.closed(Bench.peer, reason: "x"))
        bench.forget()
        bench.connect(PeerID(2))
        #expect(!bench.calls.contains { if case .demand = $0 { true } else { false } })
        #expect(bench.subscriptions.count == 1)
        return bench.subscriptions.first?.1.demands
    }

    private func stated(_ bench: Bench) -> [[Demand]] {
        bench.calls.compactMap { if case .demand(let list) = $0 { list } else { nil } }
    }

    @Test("every new subscription carries the demand, as it was stated last")
    func restatement() {
        var bench = Bench()
        bench.connect()
        bench.give(.command(.demand([Self.demand(count: 3)])))
        bench.give(.command(.demand([Self.demand(count: 5)])))
        #expect(restated(&bench) == [Self.demand(count: 5)])
    }

    @Test("demand that is stated without a master is part of the first subscription")
    func withoutMaster() {
        var bench = Bench()
        bench.give(.command(.demand([Self.demand()])))
        #expect(bench.calls.isEmpty)
        #expect(!bench.effects.contains { if case .observe(.dropped) = $0 { true } else { false } })
        bench.connect()
        #expect(bench.subscriptions.map(\.1.demands) == [[Self.demand()]])
        #expect(stated(bench).isEmpty)
    }

    @Test("demand of the options is part of the first subscription, and of later ones what is left")
    func options() {
        var bench = Bench { $0.demands = [Self.demand(count: 5)] }
        bench.connect()
        #expect(bench.subscriptions.map(\.1.demands) == [[Self.demand(count: 5)]])
        bench.event(.offers([Self.offer("o", for: "d")]))
        bench.give(
            .command(.accept(offers: ["o"], operations: Self.launch("t", "u"), filters: nil)))
        #expect(restated(&bench) == [Self.demand(count: 3)])
    }

    @Test("a framework that is going to state demand says so until it has")
    func announced() {
        var bench = Bench { $0.demands = [] }
        bench.connect()
        #expect(bench.subscriptions.map(\.1.demands) == [[]])
        #expect(stated(bench).isEmpty)
        #expect(restated(&bench) == [])
        bench.give(.command(.demand([Self.demand()])))
        #expect(stated(bench) == [[Self.demand()]])
        bench.give(.closed(PeerID(2), reason: "x"))
        bench.forget()
        bench.connect(PeerID(3))
        #expect(bench.subscriptions.map(\.1.demands) == [[Self.demand()]])
    }

    @Test(
        "what is stated while a subscription is under way is said after it",
        arguments: [nil, [], [demand(count: 7)]] as [[Demand]?])
    func meanwhile(before: [Demand]?) {
        var bench = Bench { $0.demands = before }
        bench.give(.opened(Bench.peer))
        bench.give(.command(.demand([Self.demand(count: 3)])))
        bench.connect()
        #expect(bench.subscriptions.first?.1.demands == before)
        // The test's master answers to the newest subscription, which has it.
        #expect(bench.subscriptions.last?.1.demands == [Self.demand(count: 3)])

        var other = Bench { $0.demands = before }
        other.give(.opened(Bench.peer))
        other.give(.command(.demand([])))
        other.event(
            .subscribed(
                "f", heartbeatInterval: .seconds(15),
                master: MasterInfo(id: "m", hostname: "h", version: "1")))
        #expect(stated(other) == (before == nil ? [] : [[]]))
    }

    @Test("a role that is suppressed stays so when demand is part of a subscription")
    func suppressedStays() {
        var bench = Bench()
        bench.give(.command(.suppress(roles: ["q"])))
        bench.give(.command(.demand([Self.demand()])))
        bench.connect()
        #expect(bench.subscriptions.map(\.1.suppressedRoles) == [["q"]])
        #expect(!bench.calls.contains { if case .revive = $0 { true } else { false } })
    }

    @Test("a demand of a role that was given up is not part of a subscription")
    func foreignRole() {
        var bench = Bench { $0.demands = [Self.demand()] }
        bench.connect()
        bench.give(
            .command(
                .updateFramework(
                    Subscription(framework: FrameworkInfo(name: "a", id: "f", roles: ["q"])))))
        bench.event(.updateFrameworkAnswer(problem: nil))
        // It has not asked to be a classic framework, so it waits for another demand.
        #expect(restated(&bench) == [])
    }

    @Test("a framework that never stated demand, or took it back, is a classic one")
    func nothing() {
        var classic = Bench()
        classic.connect()
        #expect(restated(&classic) == nil)
        var former = Bench()
        former.connect()
        former.give(.command(.demand([Self.demand()])))
        former.give(.command(.demand([])))
        #expect(restated(&former) == nil)
    }

    @Test("what was launched from offers for a demand is not wanted again")
    func deduction() {
        var bench = Bench()
        bench.connect()
        bench.give(.command(.demand([Self.demand(), Self.demand("e")])))
        bench.event(
            .offers([
                Self.offer("o", for: "d"), Self.offer("p", for: nil), Self.offer("q", for: "d"),
                Self.offer("s", for: "e"),
            ]))
        bench.give(
            .command(
                .accept(offers: ["o"], operations: Self.launch("a", "b", "c"), filters: nil)))
        bench.give(
            .command(.accept(offers: ["p"], operations: Self.launch("x"), filters: nil)))
        bench.give(
            .command(
                .acceptTogether(
                    [
                        OfferAcceptance(offers: ["q"], operations: Self.launch("g")),
                        OfferAcceptance(offers: ["s"], operations: Self.launch("h", "i")),
                    ], filters: nil)))
        #expect(restated(&bench) == [Self.demand(count: 6), Self.demand("e", count: 8)])
    }

    @Test("offers that were declined, rescinded or lost take nothing off a demand")
    func voidOffers() {
        var bench = Bench()
        bench.connect()
        bench.give(.command(.demand([Self.demand()])))
        bench.event(
            .offers([Self.offer("o", for: "d"), Self.offer("p", for: "d")]))
        bench.give(.command(.decline(offers: ["o"], filters: nil)))
        bench.event(.rescind("p"))
        for offer in ["o", "p"] as [OfferID] {
            bench.give(
                .command(
                    .accept(offers: [offer], operations: Self.launch("late"), filters: nil)))
        }
        #expect(restated(&bench) == [Self.demand()])
    }

    @Test("a demand of which nothing is left stays, so that the framework is no classic one")
    func exhausted() {
        var bench = Bench()
        bench.connect()
        bench.give(.command(.demand([Self.demand(count: 2, gang: 2)])))
        bench.event(.offers([Self.offer("o", for: "d")]))
        bench.give(
            .command(
                .accept(offers: ["o"], operations: Self.launch("a", "b", "c"), filters: nil)))
        let left = restated(&bench)
        #expect(left == [Self.demand(count: 0, gang: 1)])
        #expect(left?.first?.problem == nil)
    }

    @Test("a policy that keeps the book speaks when its wishes differ from what the master knows")
    func book() {
        var book = DemandBook()
        #expect(book.state([]) == nil)
        #expect(book.state([Self.demand()]) == .demand([Self.demand()]))
        #expect(book.state([Self.demand()]) == nil)
        book.launched(4, on: Self.offer("o", for: "d"))
        book.launched(4, on: Self.offer("p", for: nil))
        book.launched(4, on: Self.offer("q", for: "foreign"))
        #expect(book.state([Self.demand(count: 6)]) == nil)
        #expect(book.state([Self.demand(count: 7)]) == .demand([Self.demand(count: 7)]))
        #expect(book.state([]) == .demand([]))
        #expect(book.state([]) == nil)
    }
}

@Suite("Framework driver: gangs and claims")
struct ClaimTests {
    private static func task(_ id: TaskID) -> TaskInfo {
        TaskInfo(name: id.value, id: id, agentID: "n")
    }

    private static func claim(_ id: String = "c", _ tasks: TaskID...) -> SchedulerCall {
        .claim(
            Claim(
                id: id,
                parts: tasks.map {
                    ClaimPart(
                        agentID: "n", role: "r", resources: Resources(cpus: Milli(1)),
                        operations: [Operation(action: .launch([task($0)]))])
                }))
    }

    private static let together = SchedulerCall.acceptTogether(
        ["t", "u"].map {
            OfferAcceptance(
                offers: ["o"], operations: [Operation(action: .launch([task($0)]))])
        }, filters: nil)

    private func answers(_ bench: Bench) -> [(String, ClaimOutcome)] {
        bench.driver.policy.happenings.compactMap {
            if case .claimAnswer(let id, let outcome) = $0 { (id, outcome) } else { nil }
        }
    }

    @Test("the tasks of a gang are asked about like those of any launch")
    func gangTasks() {
        var bench = Bench()
        bench.connect()
        bench.give(.command(Self.together))
        #expect(Array(bench.driver.tasks.keys) == ["t", "u"])
    }

    @Test("a gang without a master is TASK_DROPPED, every part of it", arguments: [true, false])
    func droppedGang(isAware: Bool) {
        var bench = Bench { options in
            if !isAware { options.info.capabilities = [] }
        }
        bench.give(.command(Self.together))
        #expect(bench.calls.isEmpty)
        let state: TaskState = isAware ? .dropped : .lost
        #expect(bench.driver.policy.updates.map(\.state) == [state, state])
        #expect(bench.driver.policy.updates.map(\.taskID) == ["t", "u"])
        #expect(bench.driver.tasks.isEmpty)
    }

    @Test("the tasks of a claim are asked about until an update tells of their end")
    func claimTasks() {
        var bench = Bench()
        bench.connect()
        bench.give(.command(Self.claim("c", "t", "u")))
        bench.give(.command(Self.claim("d", "v")))
        #expect(Array(bench.driver.tasks.keys) == ["t", "u", "v"])
        let conflict = ClaimOutcome.conflict([
            ClaimConflict(agentID: "n", check: .resources, message: "taken")
        ])
        bench.event(.claimAnswer(id: "c", conflict))
        bench.event(.claimAnswer(id: "d", .committed))
        #expect(answers(bench).map(\.0) == ["c", "d"])
        #expect(answers(bench).map(\.1) == [conflict, .committed])
        var lost = Bench.status(.lost)
        lost.taskID = "t"
        bench.event(.update(lost))
        #expect(Array(bench.driver.tasks.keys) == ["u", "v"])
        // The update of the other one is lost with the session.
        bench.give(.closed(Bench.peer, reason: "x"))
        bench.forget()
        bench.connect(PeerID(2))
        let asked = ["u", "v"].map { ReconcileTask(taskID: $0, agentID: "n") }
        #expect(bench.calls.contains(.reconcile(asked)))
    }

    @Test("a claim without a master is answered with a conflict, and its tasks are TASK_DROPPED")
    func droppedClaim() {
        var bench = Bench()
        bench.give(.command(Self.claim("c", "t", "u")))
        #expect(bench.calls.isEmpty)
        guard case .conflict(let conflicts) = answers(bench).first?.1 else {
            Issue.record("no conflict")
            return
        }
        #expect(conflicts.map(\.agentID) == ["n", "n"])
        #expect(conflicts.allSatisfy { $0.message.contains("no master") })
        #expect(bench.driver.policy.updates.map(\.state) == [.dropped, .dropped])
        #expect(
            bench.driver.policy.updates.map(\.reason) == [
                .masterDisconnected, .masterDisconnected,
            ])
    }

    @Test("what became of a claim that was under way is found out by reconciliation")
    func lostClaim() {
        var bench = Bench()
        bench.connect()
        bench.give(.command(Self.claim("c", "t")))
        bench.give(.closed(Bench.peer, reason: "x"))
        #expect(answers(bench).isEmpty)
        bench.forget()
        bench.connect(PeerID(2))
        #expect(
            bench.calls.contains(.reconcile([ReconcileTask(taskID: "t", agentID: "n")])))
    }
}

@Suite("Framework driver: cluster state")
struct WatchTests {
    private func steps(_ bench: Bench) -> [UInt64] {
        bench.driver.policy.happenings.compactMap {
            if case .cluster(let step) = $0 { step.serial } else { nil }
        }
    }

    private func watches(_ bench: Bench) -> Int {
        bench.calls.count { $0 == .watchCluster(true) }
    }

    private static func step(_ serial: UInt64, isSnapshot: Bool = false) -> SchedulerEvent {
        .cluster(ClusterState(serial: serial, isSnapshot: isSnapshot))
    }

    @Test("the stream begins again with every new subscription, until it is not wanted")
    func resubscription() {
        var bench = Bench()
        bench.give(.command(.watchCluster(true)))
        bench.connect()
        #expect(watches(bench) == 1)
        bench.give(.closed(Bench.peer, reason: "x"))
        bench.connect(PeerID(2))
        #expect(watches(bench) == 2)
        bench.give(.command(.watchCluster(false)))
        bench.give(.closed(PeerID(2), reason: "x"))
        bench.connect(PeerID(3))
        #expect(watches(bench) == 2)
    }

    @Test("after a gap the stream begins anew, and what comes before its snapshot is passed over")
    func gap() {
        var bench = Bench()
        bench.connect()
        bench.give(.command(.watchCluster(true)))
        bench.event(Self.step(7, isSnapshot: true))
        bench.event(Self.step(8))
        bench.event(Self.step(10))
        #expect(watches(bench) == 2)
        bench.event(Self.step(11))
        #expect(watches(bench) == 2)
        bench.event(Self.step(1, isSnapshot: true))
        bench.event(Self.step(2))
        #expect(steps(bench) == [7, 8, 1, 2])
    }

    @Test("no step overflows the count of steps")
    func lastSerial() {
        var bench = Bench()
        bench.connect()
        bench.give(.command(.watchCluster(true)))
        bench.event(Self.step(.max, isSnapshot: true))
        bench.event(Self.step(0))
        #expect(steps(bench) == [.max])
        #expect(watches(bench) == 2)
    }

    @Test("steps are not shown to a policy that does not watch")
    func notWatching() {
        var bench = Bench()
        bench.connect()
        bench.event(Self.step(1, isSnapshot: true))
        bench.give(.command(.watchCluster(true)))
        bench.give(.command(.watchCluster(false)))
        bench.event(Self.step(1, isSnapshot: true))
        #expect(steps(bench).isEmpty)
    }

    @Test("the view is what the steps make together")
    func view() {
        var view = WatchedCluster()
        #expect(!view.isComplete)
        view.take(
            ClusterState(
                serial: 1, isSnapshot: true, isComplete: false,
                agents: [AgentView(id: "a", hostname: "a"), AgentView(id: "b", hostname: "b")]))
        #expect(!view.isComplete)
        view.take(
            ClusterState(
                serial: 2, isSnapshot: false,
                agents: [
                    AgentView(id: "c", hostname: "c"),
                    AgentView(id: "a", hostname: "a", free: Resources(cpus: Milli(1))),
                ], removed: ["b", "unheard-of"]))
        #expect(view.isComplete)
        #expect(Array(view.agents.keys) == ["a", "c"])
        #expect(view.agents["a"]?.free.cpus == Milli(1))
        view.take(
            ClusterState(
                serial: 3, isSnapshot: true, agents: [AgentView(id: "d", hostname: "d")]))
        #expect(Array(view.agents.keys) == ["d"])
    }

    @Test("that the master backs off is told")
    func backOff() {
        var bench = Bench()
        bench.connect()
        bench.event(.backedOff(role: "r", declines: 12, pause: .seconds(8)))
        #expect(
            bench.driver.policy.happenings.contains {
                if case .backedOff("r", 12, .seconds(8)) = $0 { true } else { false }
            })
        #expect(
            bench.effects.contains {
                if case .observe(.backedOff("r", 12, .seconds(8))) = $0 { true } else { false }
            })
    }
}
