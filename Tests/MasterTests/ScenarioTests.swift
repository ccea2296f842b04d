import OrderedCollections
import ProfferAllocation
import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferMaster

/// Conversations that every implementation of the v1 scheduler API must hold alike.
///
/// The numbers are those of the list in `Docs`.
@Suite("Scenarios")
struct ScenarioTests {
    @Test("1: a filter is by containment, not by agent")
    func containment() throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("f"))
        let agent = stage.addAgent(Resources(cpus: Milli(6), mem: Milli(6144)))
        try stage.launch("t", by: id, Resources(cpus: Milli(2), mem: Milli(2048)), refuse: .zero)
        stage.decline(try stage.offer(id), refuse: .seconds(60), by: id)
        stage.pass(.seconds(10))
        #expect(stage.offers[id] == [])
        stage.report("t", .finished, of: id, on: agent)
        #expect(try stage.offer(id).resources.cpus == Milli(6))
    }

    @Test(
        "2: zero means no filter, absent means five seconds, nonsense too, a year at most",
        arguments: [
            (Filters(refuse: .zero), Duration.milliseconds(2)),
            (nil, .seconds(5)), (Filters(), .seconds(5)),
            (Filters(refuse: .seconds(-3)), .seconds(5)),
            (Filters(refuse: .seconds(1_000_000_000_000)), .seconds(365 * 24 * 3600)),
        ] as [(Filters?, Duration)])
    func refusals(filters: Filters?, span: Duration) throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("f", failover: .seconds(1)))
        stage.addAgent()
        let offer = try stage.offer(id)
        let start = stage.now
        stage.call(.decline(offers: [offer.id], filters: filters), by: id)
        if span > .seconds(1) {
            // Jump: a year of heartbeats says nothing.
            #expect(stage.offers[id] == [])
            #expect(stage.master.allocator.nextDeadline == start + span)
        } else {
            _ = try stage.offer(id)
        }
    }

    @Test("2: what an ACCEPT leaves over is withheld for five seconds")
    func implicitDecline() throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("f"))
        let agent = stage.addAgent()
        stage.accept(try stage.offer(id), [.launch([Stage.task("t", agent)])])
        stage.pass(.milliseconds(4900))
        #expect(stage.offers[id] == [])
        stage.pass(.milliseconds(100))
        #expect(try stage.offer(id).resources.cpus == Milli(3))
    }

    @Test("3: filters end on revive, per role, on disconnection and on a new attribute")
    func endOfFilters() throws {
        var stage = Stage()
        let both = ["r1", "r2"].map { role in
            Resource(
                "cpus", .scalar(Milli(2)), reservations: [Reservation(kind: .static, role: role)])
        }
        let id = stage.subscribe(Stage.info("f", roles: ["r1", "r2"]))
        let agent = stage.addAgent(Resources(both))
        func roles(_ stage: Stage) -> [String] { (stage.offers[id] ?? []).map(\.role).sorted() }
        func declineAll(_ stage: inout Stage) {
            for offer in stage.offers[id] ?? [] {
                stage.decline(offer, refuse: .seconds(3600), by: id)
            }
        }
        #expect(roles(stage) == ["r1", "r2"])
        declineAll(&stage)
        #expect(roles(stage) == [])
        stage.call(.revive(roles: ["r1"]), by: id)
        #expect(roles(stage) == ["r1"])
        declineAll(&stage)
        stage.disconnect(id)
        stage.subscribe(Stage.info("f", roles: ["r1", "r2"], id: id))
        #expect(roles(stage) == ["r1", "r2"])
        declineAll(&stage)
        stage.disconnect(agent: agent)
        stage.comeBack(agent)
        #expect(roles(stage) == [])
        stage.disconnect(agent: agent)
        var info = try #require(stage.master.agents[agent]?.info)
        info.attributes = [Attribute(name: "rack", value: .text("new"))]
        stage.comeBack(agent, info)
        #expect(roles(stage) == ["r1", "r2"])
    }

    @Test("4: SUPPRESS leaves offers valid and updates flowing")
    func suppression() throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("f", roles: ["r", "q"]))
        let agent = stage.addAgent()
        let offer = try stage.offer(id)
        stage.call(.suppress(roles: ["r", "unknown"]), by: id)
        #expect(stage.master.frameworks[id]?.suppressedRoles == [])
        stage.call(.suppress(roles: []), by: id)
        #expect(try stage.offer(id) == offer)
        stage.forget()
        stage.accept(offer, [.launch([Stage.task("t", agent)])], refuse: .zero)
        #expect(stage.runs(agent) == [["t"]])
        stage.report("t", .running, of: id, on: agent)
        #expect(stage.updates(id).map(\.state) == [.running])
        stage.pass(.seconds(60))
        #expect(stage.offers[id] == [])
        stage.call(.revive(roles: []), by: id)
        _ = try stage.offer(id)
    }

    @Test("5: one bad offer poisons the ACCEPT", arguments: [true, false])
    func poison(isAware: Bool) throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("f", isAware: isAware))
        let agent = stage.addAgent()
        let offer = try stage.offer(id)
        stage.call(
            .accept(
                offers: [offer.id, "rescinded"],
                operations: [Operation(action: .launch([Stage.task("t", agent)]))],
                filters: Filters(refuse: .seconds(3600))), by: id)
        let status = try #require(stage.updates(id).first)
        #expect(status.state == (isAware ? .dropped : .lost))
        #expect(status.reason == .invalidOffers)
        #expect(status.uuid == nil)
        let again = try stage.offer(id)
        #expect(again.id != offer.id)
        #expect(again.resources == offer.resources)
    }

    /// Disk of role `r`, plain, reserved by the framework, or as a volume.
    private func disk(_ amount: Int, isReserved: Bool, volume: String? = nil) -> Resource {
        Resource(
            "disk", .scalar(Milli(amount)),
            reservations: isReserved ? [Reservation(role: "r")] : [],
            disk: volume.map { DiskInfo(persistenceID: $0, containerPath: "data") })
    }

    private func volumeTask(_ agent: AgentID) -> TaskInfo {
        Stage.task(
            "t", agent,
            Resources([
                Resource("cpus", .scalar(Milli(1))), disk(4, isReserved: true, volume: "v"),
            ]))
    }

    @Test("6: operations see each other's result")
    func operations() throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("f", roles: ["r"]))
        let agent = stage.addAgent(Resources(cpus: Milli(2), disk: Milli(10)))
        stage.forget()
        stage.accept(
            try stage.offer(id),
            [
                .reserve(Resources([disk(4, isReserved: true)])),
                .create(Resources([disk(4, isReserved: true, volume: "v")])),
                .launch([volumeTask(agent)]),
            ], refuse: .zero)
        #expect(stage.runs(agent) == [["t"]])
        #expect(stage.updates(id).isEmpty)
        #expect(
            stage.ledger.agents[agent]?.info.resources.items.contains { $0.isPersistentVolume }
                == true)
        #expect(try stage.offer(id).resources == Resources(cpus: Milli(1), disk: Milli(6)))
    }

    @Test("6: a launch before its volume fails; the volume is offered without a filter")
    func launchFirst() throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("f", roles: ["r"]))
        let agent = stage.addAgent(Resources(cpus: Milli(1), disk: Milli(10)))
        stage.accept(
            try stage.offer(id),
            [
                .launch([volumeTask(agent)]),
                .reserve(Resources([disk(4, isReserved: true)])),
                .create(Resources([disk(4, isReserved: true, volume: "v")])),
            ], refuse: .seconds(3600))
        #expect(stage.updates(id).map(\.state) == [.error])
        #expect(
            try stage.offer(id).resources.contains(
                Resources([disk(4, isReserved: true, volume: "v")])))
    }

    @Test("6: a CREATE before its RESERVE is dropped, and heard of only with an id")
    func createFirst() throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("f", roles: ["r"]))
        let agent = stage.addAgent(Resources(cpus: Milli(1), disk: Milli(10)))
        let offer = try stage.offer(id)
        let volume = Resources([disk(4, isReserved: true, volume: "v")])
        stage.call(
            .accept(
                offers: [offer.id],
                operations: [
                    Operation(action: .create(volume)), Operation(id: "c", action: .create(volume)),
                    Operation(action: .reserve(Resources([disk(4, isReserved: true)]))),
                    Operation(action: .launch([volumeTask(agent)])),
                ], filters: Filters(refuse: .zero)), by: id)
        let outcomes = stage.events(id).compactMap { event in
            if case .updateOperation(let status) = event { status } else { nil }
        }
        #expect(outcomes.map(\.operationID) == ["c"])
        #expect(outcomes.map(\.state) == [.error])
        #expect(stage.updates(id).map(\.state) == [.error])
        #expect(
            try stage.offer(id).resources.contains(Resources([disk(4, isReserved: true)])))
    }

    @Test("7: a list is per task, a group is atomic")
    func listAndGroup() throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("f"))
        let agent = stage.addAgent()
        let tasks = [
            Stage.task("1", agent), Stage.task("2", agent, Resources(cpus: Milli(9))),
            Stage.task("3", agent),
        ]
        stage.forget()
        stage.accept(try stage.offer(id), [.launch(tasks)], refuse: .zero)
        #expect(stage.runs(agent) == [["1"], ["3"]])
        #expect(stage.updates(id).map(\.taskID) == ["2"])
        #expect(stage.updates(id).map(\.reason) == [.taskInvalid])
        stage.forget()
        let group = tasks.map { task in
            var task = task
            task.id = TaskID("g\(task.id)")
            return task
        }
        stage.accept(
            try stage.offer(id),
            [.launchGroup(executor: ExecutorInfo(id: "e", kind: .default), tasks: group)])
        #expect(stage.runs(agent).isEmpty)
        #expect(stage.updates(id).map(\.taskID) == ["g1", "g2", "g3"])
        #expect(stage.updates(id).map(\.reason) == Array(repeating: .taskGroupInvalid, count: 3))
    }

    @Test("8: task ids are unique among live and unreachable ones and may be used again after")
    func taskIDs() throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("f"))
        let agent = stage.addAgent()
        try stage.launch("t", by: id, refuse: .zero)
        func launchAgain(_ stage: inout Stage) throws -> TaskState? {
            stage.forget()
            let offer = try #require(stage.offers[id]?.first)
            stage.accept(offer, [.launch([Stage.task("t", offer.agentID)])], refuse: .zero)
            return stage.updates(id).first?.state
        }
        #expect(try launchAgain(&stage) == .error)
        let uuid = stage.report("t", .finished, of: id, on: agent)
        #expect(try launchAgain(&stage) == .error)
        stage.acknowledge("t", uuid, of: id, on: agent)
        #expect(try launchAgain(&stage) == nil)
        stage.silent = [agent]
        stage.pass(.seconds(76))
        #expect(stage.updates(id).last?.state == .unreachable)
        stage.addAgent(host: "other")
        #expect(try launchAgain(&stage) == .error)
    }

    @Test("9: a rescind is told, a new subscription discards silently")
    func rescindOrDiscard() throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("f"))
        let agent = stage.addAgent()
        let offer = try stage.offer(id)
        stage.forget()
        stage.disconnect(agent: agent)
        #expect(stage.rescinded(id) == [offer.id])
        stage.comeBack(agent)
        let second = try stage.offer(id)
        let old = try #require(stage.frameworkPeers[id])
        stage.forget()
        stage.subscribe(Stage.info("f", id: id))
        #expect(stage.events(to: old) == [.error("Framework failed over")])
        #expect(stage.rescinded(id).isEmpty)
        stage.accept(second, [.launch([Stage.task("t", agent)])])
        #expect(stage.updates(id).map(\.reason) == [.invalidOffers])
    }

    @Test("11: what the master says of a task has no uuid and is said once")
    func masterMade() throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("f"))
        let agent = stage.addAgent()
        try stage.launch("t", by: id)
        stage.report("t", .running, of: id, on: agent)
        stage.forget()
        stage.call(.reconcile([ReconcileTask(taskID: "t", agentID: agent)]), by: id)
        stage.pass(.seconds(600))
        #expect(stage.updates(id).map(\.state) == [.running])
        #expect(stage.updates(id).map(\.reason) == [.reconciliation])
        #expect(stage.updates(id).map(\.uuid) == [nil])
    }

    @Test("12: resources follow the newest state, the record follows the acknowledgement")
    func latestState() throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("f"))
        let agent = stage.addAgent()
        try stage.launch("t", by: id, Resources(cpus: Milli(4), mem: Milli(4096)))
        let end = UpdateID(high: 9, low: 9)
        let running = stage.report(
            "t", .running, of: id, on: agent,
            latest: UpdatePosition(latestState: .finished, latestUUID: end))
        #expect(try stage.offer(id).resources.cpus == Milli(4))
        func listed(_ stage: inout Stage) -> [TaskState] {
            stage.forget()
            stage.call(.reconcile([]), by: id)
            return stage.updates(id).map(\.state)
        }
        #expect(listed(&stage) == [.running])
        stage.acknowledge("t", running, of: id, on: agent)
        #expect(listed(&stage) == [.running])
        stage.report("t", .finished, of: id, on: agent, uuid: end)
        #expect(listed(&stage) == [.finished])
        stage.acknowledge("t", end, of: id, on: agent)
        #expect(listed(&stage) == [])
    }

    @Test("15: KILL of an unknown task is answered once; a contradiction is not")
    func kills() throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("f"))
        let agent = stage.addAgent()
        try stage.launch("t", by: id)
        stage.forget()
        stage.call(.kill("unknown", agent: nil, policy: nil), by: id)
        #expect(stage.updates(id).map(\.state) == [.unknown])
        stage.call(.kill("t", agent: "elsewhere", policy: nil), by: id)
        stage.pass(.seconds(30))
        #expect(stage.updates(id).count == 1)
        #expect(stage.messages(agent).isEmpty)
        stage.disconnect(agent: agent)
        stage.call(.kill("t", agent: agent, policy: nil), by: id)
        stage.comeBack(agent, tasks: [Stage.agentTask("t", id, on: agent, .running)])
        #expect(stage.messages(agent).contains(.kill(TaskKey(id, "t"), policy: nil)))
    }

    @Test("17: without checkpointing a broken session loses tasks, with it nothing is said")
    func checkpoint() throws {
        var stage = Stage()
        let kept = stage.subscribe(Stage.info("kept"))
        let agent = stage.addAgent(Resources(cpus: Milli(2), mem: Milli(256)))
        try stage.launch("k", by: kept, refuse: .zero)
        stage.decline(try stage.offer(kept), refuse: .seconds(10_000), by: kept)
        let lost = stage.subscribe(Stage.info("lost", checkpoint: false))
        try stage.launch("l", by: lost)
        stage.forget()
        stage.disconnect(agent: agent)
        #expect(stage.updates(kept).isEmpty)
        #expect(stage.updates(lost).map(\.state) == [.lost])
        #expect(stage.updates(lost).map(\.reason) == [.agentDisconnected])
        stage.pass(.seconds(60))
        #expect(stage.updates(kept).isEmpty)
        stage.comeBack(agent, tasks: [Stage.agentTask("k", kept, on: agent, .running)])
        #expect(stage.updates(kept).isEmpty)
        #expect(stage.master.tasks[TaskKey(kept, "k")]?.state == .running)
        stage.disconnect(agent: agent)
        stage.pass(.seconds(76))
        #expect(stage.updates(kept).map(\.state) == [.unreachable])
    }

    @Test("17b: a kill is carried out when a task that was declared lost comes back")
    func killOfLost() throws {
        var stage = Stage()
        let agent = stage.addAgent(Resources(cpus: Milli(2), mem: Milli(256)))
        let id = stage.subscribe(Stage.info("lost", checkpoint: false))
        try stage.launch("t", by: id, refuse: .zero)
        try stage.launch("u", by: id)
        stage.call(.kill("t", agent: agent, policy: nil), by: id)
        stage.disconnect(agent: agent)
        stage.forget()
        stage.comeBack(
            agent,
            tasks: ["t", "u"].map { Stage.agentTask($0, id, on: agent, .running) })
        stage.pass(.milliseconds(1))
        let kills = stage.messages(agent).filter { if case .kill = $0 { true } else { false } }
        #expect(kills == [.kill(TaskKey(id, "t"), policy: nil)])
        // Only once: what comes back again later was not to be killed then.
        #expect(stage.master.agents[agent]?.owedKills.isEmpty == true)
    }

    @Test("18: failover time-out zero ends at once, otherwise tasks live until it is over")
    func failoverTimeout() throws {
        var stage = Stage()
        let agent = stage.addAgent(Resources(cpus: Milli(2), mem: Milli(256)))
        let hasty = stage.subscribe(Stage.info("hasty", failover: .zero))
        try stage.launch("h", by: hasty)
        stage.forget()
        stage.disconnect(hasty)
        #expect(stage.messages(agent) == [.shutdownFramework(hasty)])
        #expect(stage.master.tasks.isEmpty)

        let patient = stage.subscribe(Stage.info("patient", failover: .seconds(60)))
        try stage.launch("p", by: patient)
        stage.disconnect(patient)
        stage.pass(.seconds(59))
        stage.forget()
        #expect(stage.subscribe(Stage.info("patient", id: patient)) == patient)
        #expect(stage.updates(patient).isEmpty)
        #expect(stage.master.tasks.count == 1)
        stage.disconnect(patient)
        stage.pass(.seconds(61))
        #expect(
            stage.messages(agent) == [
                .updateFramework(stage.ledger.frameworks[patient]!.info),
                .shutdownFramework(patient),
            ])
        stage.subscribe(Stage.info("patient", id: patient))
        #expect(stage.problems == ["Framework has been removed"])
    }

    @Test("19: the newest subscriber wins")
    func newestWins() throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("f"))
        stage.addAgent()
        try stage.launch("t", by: id)
        let old = try #require(stage.frameworkPeers[id])
        stage.forget()
        stage.subscribe(Stage.info("f", id: id))
        #expect(stage.events(to: old) == [.error("Framework failed over")])
        stage.effects.removeAll()
        stage.closed.remove(old)
        stage.give(.framework(FrameworkCall(frameworkID: id, call: .teardown), from: old))
        #expect(stage.events(to: old) == [.error("the framework is not subscribed")])
        #expect(stage.master.tasks.count == 1)
    }

    @Test("23: scalars are exact to three decimals")
    func fixedPoint() throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("f"))
        let agent = stage.addAgent(Resources(cpus: Milli(thousandths: 300), mem: Milli(96)))
        let tenth = Resources(cpus: Milli(thousandths: 100), mem: Milli(32))
        stage.forget()
        stage.accept(
            try stage.offer(id),
            [.launch(["1", "2", "3"].map { Stage.task($0, agent, tenth) })], refuse: .zero)
        #expect(stage.runs(agent) == [["1"], ["2"], ["3"]])
        #expect(stage.updates(id).isEmpty)
        #expect(stage.offers[id] == [])
        #expect(Milli(rounding: 1.0001) == Milli(1))
        #expect(Milli(rounding: 1.0004) == Milli(1))
        #expect(Milli(rounding: 0.0004) == .zero)
    }
}
