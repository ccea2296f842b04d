import ProfferKernel
import ProfferModel
import ProfferWire
import Testing

/// Messages of the Mesos v1 API of the master, put together from its field numbers.
@Suite("Compatibility with Mesos v1: operators")
struct OperatorCompatibilityTests {
    @Test("calls without a body are their kind alone")
    func bareCalls() throws {
        let calls: [(UInt64, OperatorCall)] = [
            (10, .agents), (11, .frameworks), (13, .tasks(nil)), (14, .roles),
        ]
        for (kind, call) in calls {
            #expect(try WireCodec.decodeOperatorCall(Bytes.number(1, kind)) == call)
            #expect(WireCodec.encode(call) == Bytes.number(1, kind))
        }
    }

    @Test("TEARDOWN and UPDATE_WEIGHTS")
    func orders() throws {
        let teardown = Bytes.number(1, 31) + Bytes.field(16, Bytes.id(1, "f"))
        #expect(try WireCodec.decodeOperatorCall(teardown) == .teardown("f"))
        #expect(WireCodec.encode(.teardown("f")) == teardown)

        let weight = Bytes.double(1, 2.5) + Bytes.text(2, "eng")
        let weights = Bytes.number(1, 16) + Bytes.field(6, Bytes.field(1, weight))
        let order = OperatorCall.setWeight(role: "eng", thousandths: 2500)
        #expect(try WireCodec.decodeOperatorCall(weights) == order)
        #expect(WireCodec.encode(order) == weights)
    }

    @Test("RESERVE_RESOURCES and UNRESERVE_RESOURCES")
    func reservations() throws {
        func cpus(_ role: String) -> [UInt8] {
            Bytes.scalar(
                "cpus", 2, Bytes.field(13, Bytes.text(3, role) + Bytes.number(4, 2)))
        }
        func model(_ role: String) -> Resources {
            Resources([Resource("cpus", .scalar(Milli(2)), reservations: [.init(role: role)])])
        }
        let reserve =
            Bytes.number(1, 19)
            + Bytes.field(
                7, Bytes.id(1, "a"), Bytes.field(2, cpus("eng")), Bytes.field(3, cpus("ops")))
        let order = OperatorCall.reserve("a", model("eng"), source: model("ops"))
        #expect(try WireCodec.decodeOperatorCall(reserve) == order)
        #expect(WireCodec.encode(order) == reserve)
        let unreserve =
            Bytes.number(1, 20) + Bytes.field(8, Bytes.id(1, "a"), Bytes.field(2, cpus("eng")))
        #expect(try WireCodec.decodeOperatorCall(unreserve) == .unreserve("a", model("eng")))
        #expect(WireCodec.encode(.unreserve("a", model("eng"))) == unreserve)
    }

    @Test("GET_AGENTS of a master that says nothing of ours")
    func agents() throws {
        func agent(_ rest: [UInt8]) -> [UInt8] {
            let info = Bytes.text(1, "node") + Bytes.id(6, "a")
            return Bytes.field(1, Bytes.field(1, info), Bytes.text(3, "1.11"), rest)
        }
        let total = Bytes.field(7, Bytes.scalar("cpus", 4))
        let joined = Bytes.field(5, Bytes.number(1, 1_700_000_000_000_000_000))
        let bytes =
            Bytes.number(1, 9)
            + Bytes.field(
                10, agent(Bytes.number(2, 1) + total + joined), agent(Bytes.number(2, 0)),
                agent(Bytes.number(2, 0) + Bytes.number(12, 1)),
                Bytes.field(2, Bytes.text(1, "old"), Bytes.id(6, "b")))
        let info = AgentInfo(hostname: "node", id: "a")
        #expect(
            try WireCodec.decodeOperatorAnswer(bytes)
                == .agents([
                    AgentSummary(
                        info: info, state: .active, total: Resources(cpus: Milli(4)),
                        version: "1.11",
                        registeredAt: WallTime(nanosecondsSince1970: 1_700_000_000_000_000_000)),
                    AgentSummary(info: info, state: .disconnected, version: "1.11"),
                    AgentSummary(info: info, state: .deactivated, version: "1.11"),
                    AgentSummary(info: AgentInfo(hostname: "old", id: "b"), state: .recovered),
                ]))
    }

    @Test("GET_FRAMEWORKS of a master that says nothing of ours")
    func frameworks() throws {
        let info = Bytes.text(1, "u") + Bytes.text(2, "n") + Bytes.id(3, "f")
        func time(_ field: UInt64, _ seconds: UInt64) -> [UInt8] {
            Bytes.field(field, Bytes.number(1, seconds * 1_000_000_000))
        }
        let flags = Bytes.number(2, 1) + Bytes.number(3, 1) + Bytes.number(11, 0)
        let live = Bytes.field(1, info) + flags + time(4, 10) + time(5, 20)
        let ended = Bytes.field(1, info) + flags + time(4, 10)
        let bytes =
            Bytes.number(1, 10) + Bytes.field(11, Bytes.field(1, live), Bytes.field(2, ended))
        guard case .frameworks(let list) = try WireCodec.decodeOperatorAnswer(bytes) else {
            Issue.record("not frameworks")
            return
        }
        #expect(list.map(\.isRemoved) == [false, true])
        #expect(
            list.map { $0.subscribedAt?.nanosecondsSince1970 } == [20_000_000_000, 10_000_000_000])
    }

    @Test("GET_TASKS of a master that says nothing of ours")
    func tasks() throws {
        let allocation = Bytes.field(11, Bytes.text(1, "eng"))
        func task(_ id: String, _ state: UInt64) -> [UInt8] {
            Bytes.text(1, "n") + Bytes.id(2, id) + Bytes.id(3, "f") + Bytes.id(5, "a")
                + Bytes.number(6, state) + Bytes.field(7, Bytes.scalar("cpus", 1, allocation))
        }
        let bytes =
            Bytes.number(1, 12)
            + Bytes.field(
                13, Bytes.field(3, task("done", 2)), Bytes.field(2, task("live", 1)),
                Bytes.field(5, task("away", 10)))
        let expected = [("live", TaskState.running), ("away", .unreachable), ("done", .finished)]
            .map { id, state in
                TaskSummary(
                    key: TaskKey("f", TaskID(id)), name: "n", role: "eng", agentID: "a",
                    state: state, resources: Resources(cpus: Milli(1)))
            }
        #expect(try WireCodec.decodeOperatorAnswer(bytes) == .tasks(expected))
    }

    @Test("TASK_UPDATED, AGENT_REMOVED and FRAMEWORK_REMOVED of a master that says nothing of ours")
    func events() throws {
        let status = Bytes.id(1, "t") + Bytes.number(2, 3) + Bytes.text(4, "oom") + Bytes.id(5, "a")
        let updated =
            Bytes.number(1, 3)
            + Bytes.field(4, Bytes.id(1, "f"), Bytes.field(2, status), Bytes.number(3, 3))
        #expect(
            try WireCodec.decodeClusterEvent(updated)
                == .task(TaskKey("f", "t"), name: "", agent: "a", .failed, message: "oom"))
        let removed = Bytes.number(1, 5) + Bytes.field(6, Bytes.id(1, "a"))
        #expect(
            try WireCodec.decodeClusterEvent(removed) == .agent("a", hostname: "", .gone))
        let info = Bytes.text(1, "u") + Bytes.text(2, "n") + Bytes.id(3, "f")
        #expect(
            try WireCodec.decodeClusterEvent(
                Bytes.number(1, 8) + Bytes.field(9, Bytes.field(1, info)))
                == .framework("f", name: "n", isConnected: false, isRemoved: true))
    }

    @Test("an event of a kind that is not known is passed over", arguments: [1, 9, 77] as [UInt64])
    func unknownEvents(kind: UInt64) throws {
        #expect(try WireCodec.decodeClusterEvent(Bytes.number(1, kind)) == nil)
    }
}

@Suite("Hostile bytes: operators")
struct OperatorHostileTests {
    private func problem(_ bytes: [UInt8]) -> WireError? {
        do {
            _ = try WireCodec.decodeOperatorCall(bytes)
            return nil
        } catch {
            return error
        }
    }

    private func problemOfAnswer(_ bytes: [UInt8]) -> WireError? {
        do {
            _ = try WireCodec.decodeOperatorAnswer(bytes)
            return nil
        } catch {
            return error
        }
    }

    @Test(
        "a call of no kind, or of one that is not for this master, is refused",
        arguments: [0, 1, 9, 12, 18, 29, 30, 99, 1 << 40] as [UInt64])
    func kinds(kind: UInt64) {
        #expect(problem(Bytes.number(1, kind)) == .outOfRange("type"))
        #expect(problem([]) == .outOfRange("type"))
    }

    @Test("an order without its body is refused")
    func bodies() {
        #expect(problem(Bytes.number(1, 31)) == .missing("teardown"))
        #expect(problem(Bytes.number(1, 1002)) == .missing("kill_task"))
        #expect(problem(Bytes.number(1, 16)) == .missing("weight_infos"))
        #expect(problem(Bytes.number(1, 36)) == .missing("update_quota"))
        #expect(problem(Bytes.number(1, 1003)) == .missing("why"))
        #expect(problem(Bytes.number(1, 1004)) == .missing("why_framework"))
        for kind in [UInt64(9), 10, 12, 13, 18, 1000, 1001, 1005, 1006] {
            #expect(problemOfAnswer(Bytes.number(1, kind)) != nil, "kind \(kind)")
        }
        for kind in [UInt64(2), 3, 4, 5, 6, 7, 8, 1000, 1001] {
            #expect(throws: WireError.self, "kind \(kind)") {
                _ = try WireCodec.decodeClusterEvent(Bytes.number(1, kind))
            }
        }
    }

    private func weights(_ list: [UInt8]...) -> [UInt8] {
        Bytes.number(1, 16) + Bytes.field(6, list.flatMap { Bytes.field(1, $0) })
    }

    @Test("a weight that is no number, has no role or is not alone is refused")
    func badWeights() {
        let role = Bytes.text(2, "eng")
        for value in [Double.nan, .infinity, -.infinity, 1e300] {
            #expect(problem(weights(Bytes.double(1, value) + role)) == .outOfRange("weight"))
        }
        #expect(problem(weights(Bytes.double(1, 1))) == .missing("weight_infos.role"))
        let one = Bytes.double(1, 1) + role
        #expect(problem(weights(one, one)) == .outOfRange("weight_infos"))
        #expect(problem(weights(one)) == nil)
    }

    @Test("a negative number of tasks is refused")
    func counts() {
        let info = Bytes.text(1, "node")
        func agents(_ tasks: Int64) -> [UInt8] {
            Bytes.number(1, 9)
                + Bytes.field(
                    10,
                    Bytes.field(
                        1, Bytes.field(1, info), Bytes.number(2, 1), Bytes.text(3, "1"),
                        Bytes.number(1001, UInt64(bitPattern: tasks))))
        }
        #expect(problemOfAnswer(agents(.max)) == nil)
        #expect(problemOfAnswer(agents(-1)) == .outOfRange("agent.tasks"))
        #expect(problemOfAnswer(agents(.min)) == .outOfRange("agent.tasks"))
    }

    @Test("an agent's state or an offer's end that is not known is refused where it must be known")
    func states() {
        let master = Bytes.text(1, "m") + Bytes.number(2, 0) + Bytes.number(3, 0)
        let summary =
            Bytes.number(1, 1001) + Bytes.field(1001, Bytes.field(1, master), Bytes.number(3, 0))
        #expect(problemOfAnswer(summary) == .outOfRange("summary.agents"))
        #expect(throws: WireError.outOfRange("offer_removed.end")) {
            _ = try WireCodec.decodeClusterEvent(
                Bytes.number(1, 1001) + Bytes.field(1001, Bytes.id(1, "o")))
        }
    }

    @Test("a call above the limit of messages is refused, an answer above that of state")
    func sizes() {
        #expect(
            problem([UInt8](repeating: 0, count: WireLimits.message + 1))
                == .tooLarge(size: WireLimits.message + 1, limit: WireLimits.message))
        #expect(
            problemOfAnswer([UInt8](repeating: 0, count: WireLimits.state + 1))
                == .tooLarge(size: WireLimits.state + 1, limit: WireLimits.state))
    }
}
