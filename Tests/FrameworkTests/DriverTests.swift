@_spi(Driver) import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferFramework

/// A policy that notes everything and says what it is commanded to say.
struct Recorder: FrameworkPolicy {
    var happenings: [Happening<SchedulerCall>] = []

    mutating func handle(
        _ happening: Happening<SchedulerCall>, at now: Instant,
        into actions: inout Outbox<FrameworkAction<Never>>
    ) {
        happenings.append(happening)
        if case .command(let call) = happening { actions.append(.call(call)) }
    }

    var updates: [TaskStatus] {
        happenings.compactMap { if case .update(let status) = $0 { status } else { nil } }
    }
}

/// A driver with a master that the test plays.
struct Bench {
    typealias Driver = FrameworkDriver<Recorder>
    var driver: Driver
    var now = Instant.zero
    var effects: [Driver.Effect] = []

    static let peer = PeerID(1)

    init(
        id: FrameworkID? = nil, seed: UInt64 = 1,
        _ change: (inout FrameworkOptions) -> Void = { _ in }
    ) {
        var options = FrameworkOptions(info: FrameworkInfo(name: "a", id: id, roles: ["r", "q"]))
        change(&options)
        driver = Driver(policy: Recorder(), options: options, seed: seed)
    }

    mutating func give(_ input: Driver.Input) {
        var outbox = Outbox<Driver.Effect>()
        driver.handle(input, at: now, into: &outbox)
        effects += outbox.takeAll()
    }

    mutating func pass(_ span: Duration) {
        let end = now + span
        while let deadline = driver.nextDeadline, deadline <= end {
            now = max(now, deadline)
            var outbox = Outbox<Driver.Effect>()
            driver.wake(at: now, into: &outbox)
            effects += outbox.takeAll()
            #expect(driver.nextDeadline.map { $0 > now } ?? true)
        }
        now = end
    }

    mutating func event(_ event: SchedulerEvent, from peer: PeerID = Bench.peer) {
        give(.event(event, from: peer))
    }

    mutating func connect(_ peer: PeerID = Bench.peer, id: FrameworkID = "f") {
        give(.opened(peer))
        event(
            .subscribed(
                id, heartbeatInterval: .seconds(15),
                master: MasterInfo(id: "m", hostname: "h", version: "1")), from: peer)
    }

    mutating func forget() {
        effects = []
        driver.policy.happenings = []
    }

    var calls: [SchedulerCall] {
        effects.compactMap { if case .send(let call, _) = $0 { call.call } else { nil } }
    }

    var subscriptions: [(FrameworkID?, Subscription)] {
        effects.compactMap { effect in
            guard case .send(let call, _) = effect, case .subscribe(let body) = call.call else {
                return nil
            }
            return (call.frameworkID, body)
        }
    }

    static func status(
        _ state: TaskState, uuid: UInt64? = nil, task: TaskID = "t"
    ) -> TaskStatus {
        TaskStatus(
            taskID: task, state: state, agentID: "n",
            uuid: uuid.map { UpdateID(high: 0, low: $0) })
    }

    static let task = TaskInfo(name: "t", id: "t", agentID: "n")
    static let launch = SchedulerCall.accept(
        offers: ["o"], operations: [Operation(action: .launch([task]))], filters: nil)
}

@Suite("Framework driver")
struct DriverTests {
    @Test("a driver keeps the id it got and comes back with it")
    func sameID() {
        var bench = Bench()
        bench.connect()
        #expect(bench.subscriptions[0].0 == nil)
        #expect(bench.effects.contains { if case .registered("f") = $0 { true } else { false } })
        bench.give(.closed(Bench.peer, reason: "x"))
        bench.forget()
        bench.connect(PeerID(2))
        #expect(bench.subscriptions[0].0 == "f")
        #expect(bench.subscriptions[0].1.framework.id == "f")
        #expect(!bench.effects.contains { if case .registered = $0 { true } else { false } })
    }

    @Test(
        "an unanswered subscription is repeated with doubling, jittered pauses", arguments: 0..<20)
    func backoff(seed: Int) {
        var bench = Bench(seed: UInt64(seed))
        bench.give(.opened(Bench.peer))
        var pause = Duration.milliseconds(500)
        for _ in 0..<8 {
            guard let due = bench.driver.nextDeadline else { return }
            #expect(due - bench.now >= pause && due - bench.now <= pause * 2)
            bench.pass(due - bench.now)
            pause = min(pause * 2, .seconds(15))
        }
        #expect(bench.subscriptions.count == 9)
    }

    @Test("an update is shown once and acknowledged each time it comes")
    func acknowledgement() {
        var bench = Bench()
        bench.connect()
        bench.forget()
        bench.event(.update(Bench.status(.running, uuid: 1)))
        bench.event(.update(Bench.status(.running, uuid: 1)))
        #expect(bench.driver.policy.updates.count == 1)
        let acknowledgement = SchedulerCall.acknowledge(
            "t", agent: "n", uuid: UpdateID(high: 0, low: 1))
        #expect(bench.calls == [acknowledgement, acknowledgement])
    }

    @Test("an update without a uuid is never acknowledged")
    func withoutUUID() {
        var bench = Bench()
        bench.connect()
        bench.forget()
        bench.event(.update(Bench.status(.running)))
        #expect(bench.driver.policy.updates.count == 1)
        #expect(bench.calls.isEmpty)
    }

    @Test("a policy that acknowledges by itself is helped only with repetitions")
    func manual() {
        var bench = Bench { $0.acknowledgement = .manual }
        bench.connect()
        bench.forget()
        bench.event(.update(Bench.status(.running, uuid: 1)))
        bench.event(.update(Bench.status(.running, uuid: 1)))
        #expect(bench.calls.isEmpty)
        let acknowledgement = SchedulerCall.acknowledge(
            "t", agent: "n", uuid: UpdateID(high: 0, low: 1))
        bench.give(.command(acknowledgement))
        bench.event(.update(Bench.status(.running, uuid: 1)))
        #expect(bench.calls == [acknowledgement, acknowledgement])
        #expect(bench.driver.policy.updates.count == 1)
    }

    @Test("known tasks are asked about after a subscription, again with back-off, then everything")
    func reconciliation() {
        var bench = Bench { $0.knownTasks = [ReconcileTask(taskID: "t", agentID: "n")] }
        bench.connect()
        let ask = SchedulerCall.reconcile([ReconcileTask(taskID: "t", agentID: "n")])
        #expect(bench.calls.last == ask)
        bench.forget()
        bench.pass(.seconds(7))
        #expect(bench.calls == [ask])
        bench.event(.update(Bench.status(.running)))
        bench.forget()
        bench.pass(.seconds(14))
        #expect(bench.calls == [.reconcile([])])
    }

    @Test("that an agent is expected back is no answer and no news")
    func recovering() {
        var bench = Bench { $0.knownTasks = [ReconcileTask(taskID: "t", agentID: "n")] }
        bench.connect()
        bench.forget()
        var status = Bench.status(.staging)
        status.reason = .reconciliation
        status.labels = [TaskStatus.recoveringLabel]
        bench.event(.update(status))
        #expect(bench.driver.policy.updates.isEmpty)
        bench.pass(.seconds(7))
        #expect(bench.calls.count == 1)
    }

    @Test("after the agent has said how a task ended, an answer from before does not revive it")
    func lateAnswer() {
        var bench = Bench()
        bench.connect()
        bench.event(.update(Bench.status(.running, uuid: 1)))
        bench.event(.update(Bench.status(.finished, uuid: 2)))
        bench.event(.update(Bench.status(.running)))
        #expect(bench.driver.policy.updates.map(\.state) == [.running, .finished])
        // The id may be used again, and what the master alone declares is not the end.
        bench.event(.update(Bench.status(.running, uuid: 3)))
        bench.event(.update(Bench.status(.running)))
        bench.event(.update(Bench.status(.lost)))
        bench.event(.update(Bench.status(.running)))
        #expect(
            bench.driver.policy.updates.map(\.state)
                == [.running, .finished, .running, .running, .lost, .running])
    }

    @Test("how an earlier task of an id ended says nothing about one that is launched with it")
    func idAgain() {
        var bench = Bench()
        bench.connect()
        bench.event(.update(Bench.status(.finished, uuid: 1)))
        bench.give(.command(Bench.launch))
        bench.event(.update(Bench.status(.staging)))
        #expect(bench.driver.policy.updates.map(\.state) == [.finished, .staging])
    }

    @Test("a second answer to a subscription that was asked for twice begins nothing anew")
    func answeredTwice() {
        var bench = Bench()
        bench.connect()
        bench.forget()
        bench.event(
            .subscribed(
                "f", heartbeatInterval: .seconds(15),
                master: MasterInfo(id: "m", hostname: "h", version: "1")))
        #expect(bench.driver.policy.happenings.isEmpty)
        #expect(bench.calls.isEmpty)
    }

    @Test("a kill is repeated until the end, also over a new session")
    func kills() {
        var bench = Bench()
        bench.give(.command(.kill("t", agent: "n", policy: nil)))
        #expect(bench.calls.isEmpty)
        bench.connect()
        func kills() -> Int {
            bench.calls.count { if case .kill("t", _, _) = $0 { true } else { false } }
        }
        #expect(kills() == 1)
        bench.pass(.seconds(21))
        #expect(kills() == 3)
        bench.event(.update(Bench.status(.killed, uuid: 1)))
        bench.pass(.seconds(30))
        #expect(kills() == 3)
    }

    @Test("a kill names the task's agent although the policy does not")
    func agentOfKill() {
        var bench = Bench()
        bench.connect()
        bench.event(.update(Bench.status(.running, uuid: 1)))
        bench.give(.command(.kill("t", agent: nil, policy: nil)))
        let agents = bench.calls.compactMap { call -> AgentID? in
            guard case .kill("t", let agent, _) = call else { return nil }
            return agent
        }
        #expect(agents == [Bench.status(.running, uuid: 1).agentID])
    }

    @Test("five missed heartbeats end the session, any event delays that")
    func heartbeats() {
        var bench = Bench()
        bench.connect()
        bench.pass(.seconds(74))
        bench.event(.heartbeat)
        bench.pass(.seconds(74))
        #expect(bench.driver.isSubscribed)
        bench.pass(.seconds(1))
        #expect(!bench.driver.isSubscribed)
        #expect(bench.effects.contains { if case .closePeer = $0 { true } else { false } })
        #expect(
            bench.driver.policy.happenings.contains {
                if case .disconnected = $0 { true } else { false }
            })
    }

    @Test("an error of the master ends the framework")
    func errors() {
        var bench = Bench()
        bench.connect()
        bench.event(.error("Framework failed over"))
        #expect(bench.driver.nextDeadline == nil)
        #expect(
            bench.effects.contains {
                if case .ended("Framework failed over") = $0 { true } else { false }
            })
        bench.forget()
        bench.connect(PeerID(2))
        #expect(bench.effects.isEmpty)
    }

    @Test("a removed framework starts anew when told to, and learns that its tasks are over")
    func anew() {
        var bench = Bench(id: "old") {
            $0.startsAnewWhenRemoved = true
            $0.knownTasks = [ReconcileTask(taskID: "t", agentID: "n")]
        }
        bench.give(.opened(Bench.peer))
        bench.event(.error("Framework has been removed"))
        #expect(bench.driver.policy.updates.map(\.state) == [.killed])
        #expect(bench.driver.policy.updates.map(\.reason) == [.frameworkRemoved])
        bench.forget()
        bench.connect(PeerID(2), id: "new")
        #expect(bench.subscriptions[0].0 == nil)
        #expect(bench.driver.frameworkID == "new")
    }

    @Test("suppression is kept over sessions; foreign roles do not spoil it")
    func suppression() {
        var bench = Bench()
        bench.give(.command(.suppress(roles: ["q"])))
        bench.give(.command(.suppress(roles: ["foreign"])))
        bench.connect()
        #expect(bench.subscriptions[0].1.suppressedRoles == ["q"])
        bench.give(.command(.suppress(roles: [])))
        bench.give(.command(.revive(roles: ["r"])))
        bench.give(.closed(Bench.peer, reason: "x"))
        bench.forget()
        bench.connect(PeerID(2))
        #expect(bench.subscriptions[0].1.suppressedRoles == ["q"])
    }

    @Test("a launch without a master is TASK_DROPPED", arguments: [true, false])
    func dropped(isAware: Bool) {
        var bench = Bench { options in
            if !isAware { options.info.capabilities = [] }
        }
        bench.give(.command(Bench.launch))
        #expect(bench.calls.isEmpty)
        #expect(bench.driver.policy.updates.map(\.state) == [isAware ? .dropped : .lost])
        #expect(bench.driver.policy.updates.map(\.reason) == [.masterDisconnected])
    }

    @Test("a teardown without a master is said as soon as there is one")
    func lateTeardown() {
        var bench = Bench(id: "f")
        bench.give(.command(.teardown))
        bench.connect()
        #expect(bench.calls.last == .teardown)
        #expect(bench.effects.contains { if case .ended(nil) = $0 { true } else { false } })
    }

    @Test(
        "stopping leaves the tasks alive, stopping with teardown does not",
        arguments: [true, false])
    func stop(teardown: Bool) {
        var bench = Bench()
        bench.connect()
        bench.forget()
        bench.give(.stop(teardown: teardown))
        #expect(bench.calls == (teardown ? [.teardown] : []))
        #expect(bench.driver.nextDeadline == nil)
    }

    @Test("a newer session replaces the older one")
    func newerSession() {
        var bench = Bench()
        bench.connect()
        bench.forget()
        bench.give(.opened(PeerID(2)))
        #expect(
            bench.driver.policy.happenings.contains {
                if case .disconnected = $0 { true } else { false }
            })
        bench.event(.heartbeat)
        bench.give(.closed(Bench.peer, reason: "late"))
        #expect(bench.subscriptions.count == 1)
    }
}

@Suite("Offer budget")
struct OfferBudgetTests {
    private func budget() -> OfferBudget {
        OfferBudget(
            Offer(
                id: "o", frameworkID: "f", agentID: "n", hostname: "h",
                resources: Resources([
                    Resource("cpus", .scalar(Milli(2))),
                    Resource(
                        "cpus", .scalar(Milli(1)), reservations: [Reservation(role: "r")]),
                    Resource("mem", .scalar(Milli(100))),
                    Resource("ports", .ranges(IntervalSet([10...12, 20...20]))),
                ]), role: "r"))
    }

    @Test("reserved scalars are taken first, ports from the lowest")
    func order() throws {
        var budget = budget()
        let all = budget.take(cpus: Milli(2), mem: Milli(40), ports: 2)
        let taken = try #require(all)
        #expect(taken.items.first?.reservedRole == "r")
        #expect(taken.cpus == Milli(2))
        #expect(taken.ports == IntervalSet([10...11]))
        #expect(budget.remaining.cpus == Milli(1))
        #expect(budget.remaining.mem == Milli(60))
        #expect((budget.remaining + taken).contains(budget.offer.resources))
    }

    @Test("what is not there changes nothing")
    func failure() {
        var budget = budget()
        var taken: [Resources?] = []
        taken.append(budget.take(cpus: Milli(4)))
        taken.append(budget.take(cpus: Milli(1), mem: Milli(101)))
        taken.append(budget.take(ports: 5))
        taken.append(budget.take(exactPorts: [13]))
        taken.append(budget.take(exactPorts: [10, 10]))
        #expect(taken.count == 5 && taken.allSatisfy { $0 == nil })
        #expect(budget.remaining == budget.offer.resources)
    }

    @Test("exact ports are kept out of the others")
    func exactPorts() throws {
        var budget = budget()
        let all = budget.take(ports: 2, exactPorts: [10])
        let taken = try #require(all)
        #expect(taken.ports == IntervalSet([10...12]))
    }
}
