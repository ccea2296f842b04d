import ProfferKernel
import ProfferModel
import ProfferWire
import Testing

/// Messages of the Mesos v1 API, put together from its field numbers without the schema.
@Suite("Compatibility with Mesos v1")
struct CompatibilityTests {
    @Test("SUBSCRIBE")
    func subscribe() throws {
        let framework =
            Bytes.text(1, "root") + Bytes.text(2, "marathon") + Bytes.id(3, "f-1")
            + Bytes.double(4, 604_800) + Bytes.number(5, 1) + Bytes.text(7, "host")
            + Bytes.text(8, "principal") + Bytes.text(9, "http://host/")
            + Bytes.field(10, Bytes.number(1, 5)) + Bytes.field(10, Bytes.number(1, 6))
            + Bytes.field(11, Bytes.field(1, Bytes.text(1, "k"), Bytes.text(2, "v")))
            + Bytes.text(12, "eng") + Bytes.text(12, "ops")
        let bytes =
            Bytes.id(1, "f-1") + Bytes.number(2, 1)
            + Bytes.field(3, Bytes.field(1, framework), Bytes.text(2, "ops"))
        let expected = FrameworkCall(
            frameworkID: "f-1",
            call: .subscribe(
                Subscription(
                    framework: FrameworkInfo(
                        user: "root", name: "marathon", id: "f-1",
                        failoverTimeout: .seconds(604_800), checkpoint: true,
                        roles: ["eng", "ops"], hostname: "host", principal: "principal",
                        webUIURL: "http://host/", capabilities: [.partitionAware, .multiRole],
                        labels: [Label("k", "v")]), suppressedRoles: ["ops"])))
        #expect(try WireCodec.decodeFrameworkCall(bytes) == expected)
        #expect(WireCodec.encode(expected) == bytes)
    }

    @Test("a framework without MULTI_ROLE has the role of field 6, or all")
    func singleRole() throws {
        func roles(_ rest: [UInt8]) throws -> [String]? {
            let framework = Bytes.text(1, "root") + Bytes.text(2, "old") + rest
            let bytes = Bytes.number(2, 1) + Bytes.field(3, Bytes.field(1, framework))
            guard case .subscribe(let body) = try WireCodec.decodeFrameworkCall(bytes).call
            else { return nil }
            return body.framework.roles
        }
        #expect(try roles(Bytes.text(6, "eng")) == ["eng"])
        #expect(try roles([]) == ["*"])
    }

    @Test("ACCEPT with LAUNCH")
    func acceptLaunch() throws {
        let command =
            Bytes.field(2) + Bytes.text(3, "sleep 1000") + Bytes.number(6, 1)
        let task =
            Bytes.text(1, "sleep") + Bytes.id(2, "t-1") + Bytes.id(3, "a-1")
            + Bytes.field(4, Bytes.scalar("cpus", 0.5)) + Bytes.field(4, Bytes.scalar("mem", 32))
            + Bytes.field(7, command)
        let operation = Bytes.number(1, 1) + Bytes.field(2, Bytes.field(1, task))
        let bytes =
            Bytes.id(1, "f-1") + Bytes.number(2, 3)
            + Bytes.field(
                4, Bytes.id(1, "o-1"), Bytes.id(1, "o-2"), Bytes.field(2, operation),
                Bytes.field(3, Bytes.double(1, 2.5)))
        let expected = FrameworkCall(
            frameworkID: "f-1",
            call: .accept(
                offers: ["o-1", "o-2"],
                operations: [
                    Operation(
                        action: .launch([
                            TaskInfo(
                                name: "sleep", id: "t-1", agentID: "a-1",
                                resources: Resources(
                                    cpus: Milli(thousandths: 500), mem: Milli(32)),
                                command: CommandInfo(value: "sleep 1000"))
                        ]))
                ], filters: Filters(refuse: .milliseconds(2500))))
        #expect(try WireCodec.decodeFrameworkCall(bytes) == expected)
        #expect(WireCodec.encode(expected) == bytes)
    }

    @Test("OFFERS")
    func offers() throws {
        let allocation = Bytes.field(11, Bytes.text(1, "eng"))
        let ports =
            Bytes.text(1, "ports") + Bytes.number(2, 1)
            + Bytes.field(
                4, Bytes.field(1, Bytes.number(1, 31_000), Bytes.number(2, 32_000)))
            + allocation
        let rack = Bytes.text(1, "rack") + Bytes.number(2, 3) + Bytes.field(5, Bytes.text(1, "r1"))
        let url =
            Bytes.text(1, "http") + Bytes.field(2, Bytes.text(1, "node"), Bytes.number(3, 5051))
        let offer =
            Bytes.id(1, "o-1") + Bytes.id(2, "f-1") + Bytes.id(3, "a-1") + Bytes.text(4, "node")
            + Bytes.field(5, Bytes.scalar("cpus", 4, allocation)) + Bytes.field(5, ports)
            + Bytes.id(6, "e-1") + Bytes.field(7, rack) + Bytes.field(8, url)
            + Bytes.field(10, Bytes.text(1, "eng"))
        let bytes = Bytes.number(1, 2) + Bytes.field(3, Bytes.field(1, offer))
        let expected = SchedulerEvent.offers([
            Offer(
                id: "o-1", frameworkID: "f-1", agentID: "a-1", hostname: "node",
                resources: Resources([
                    Resource("cpus", .scalar(Milli(4))),
                    Resource("ports", .ranges(IntervalSet([31_000...32_000]))),
                ]), attributes: [Attribute(name: "rack", value: .text("r1"))],
                executorIDs: ["e-1"], role: "eng")
        ])
        #expect(try WireCodec.decodeSchedulerEvent(bytes) == expected)
        #expect(WireCodec.encode(expected) == bytes)
    }

    @Test("UPDATE")
    func update() throws {
        let uuid = (UInt8(0)..<16).map { $0 }
        let status =
            Bytes.id(1, "t-1") + Bytes.number(2, 3) + Bytes.field(3, [7]) + Bytes.text(4, "oom")
            + Bytes.id(5, "a-1") + Bytes.double(6, 1_700_000_000.5) + Bytes.id(7, "e-1")
            + Bytes.number(8, 0) + Bytes.number(9, 2) + Bytes.number(10, 8)
            + Bytes.field(11, uuid)
        let bytes = Bytes.number(1, 4) + Bytes.field(5, Bytes.field(1, status))
        let expected = SchedulerEvent.update(
            TaskStatus(
                taskID: "t-1", state: .failed, message: "oom", source: .executor,
                reason: .containerLimitationMemory, data: [7], agentID: "a-1",
                executorID: "e-1",
                timestamp: WallTime(nanosecondsSince1970: 1_700_000_000_500_000_000),
                uuid: UpdateID(bytes: uuid), healthy: false))
        #expect(try WireCodec.decodeSchedulerEvent(bytes) == expected)
        #expect(WireCodec.encode(expected) == bytes)
    }

    @Test("ACKNOWLEDGE, KILL, RECONCILE and DECLINE")
    func smallCalls() throws {
        let uuid = [UInt8](repeating: 9, count: 16)
        let updateID = try #require(UpdateID(bytes: uuid))
        let calls: [([UInt8], SchedulerCall)] = [
            (
                Bytes.number(2, 8)
                    + Bytes.field(8, Bytes.id(1, "a"), Bytes.id(2, "t"), Bytes.field(3, uuid)),
                .acknowledge("t", agent: "a", uuid: updateID)
            ),
            (
                Bytes.number(2, 6)
                    + Bytes.field(
                        6, Bytes.id(1, "t"), Bytes.id(2, "a"),
                        Bytes.field(3, Bytes.field(1, Bytes.number(1, 5_000_000_000)))),
                .kill("t", agent: "a", policy: KillPolicy(gracePeriod: .seconds(5)))
            ),
            (
                Bytes.number(2, 9)
                    + Bytes.field(9, Bytes.field(1, Bytes.id(1, "t"), Bytes.id(2, "a"))),
                .reconcile([ReconcileTask(taskID: "t", agentID: "a")])
            ),
            (
                Bytes.number(2, 4) + Bytes.field(5, Bytes.id(1, "o")),
                .decline(offers: ["o"], filters: nil)
            ),
            (Bytes.number(2, 2), .teardown),
        ]
        for (rest, call) in calls {
            let bytes = Bytes.id(1, "f") + rest
            let expected = FrameworkCall(frameworkID: "f", call: call)
            #expect(try WireCodec.decodeFrameworkCall(bytes) == expected)
            #expect(WireCodec.encode(expected) == bytes)
        }
    }

    @Test("the executor's UPDATE, and LAUNCH for it")
    func executor() throws {
        let status = Bytes.id(1, "t") + Bytes.number(2, 1)
        let bytes =
            Bytes.id(1, "e") + Bytes.id(2, "f") + Bytes.number(3, 2)
            + Bytes.field(5, Bytes.field(1, status))
        let expected = ExecutorMessage(
            frameworkID: "f", executorID: "e",
            call: .update(TaskStatus(taskID: "t", state: .running)))
        #expect(try WireCodec.decodeExecutorMessage(bytes) == expected)
        #expect(WireCodec.encode(expected) == bytes)

        let task = Bytes.text(1, "n") + Bytes.id(2, "t") + Bytes.id(3, "a")
        let launch = Bytes.number(1, 2) + Bytes.field(4, Bytes.field(1, task))
        #expect(
            try WireCodec.decodeExecutorEvent(launch)
                == .launch(TaskInfo(name: "n", id: "t", agentID: "a"), sandbox: ""))
    }

    @Test("a secret that is told in a message is forgotten when the message is read")
    func toldSecret() throws {
        let marker = "hunter2-\(#line)"
        let secret = Bytes.number(1, 2) + Bytes.field(3, Bytes.text(1, marker))
        let variable = Bytes.text(1, "DB") + Bytes.number(3, 2) + Bytes.field(4, secret)
        let other = Bytes.text(1, "X") + Bytes.text(2, marker) + Bytes.number(3, 2)
        let command =
            Bytes.field(2, Bytes.field(1, variable) + Bytes.field(1, other)) + Bytes.text(3, "run")
        let volume =
            Bytes.text(1, "key") + Bytes.number(3, 2)
            + Bytes.field(5, Bytes.number(1, 3) + Bytes.field(4, secret))
        let task =
            Bytes.text(1, "n") + Bytes.id(2, "t") + Bytes.id(3, "a") + Bytes.field(7, command)
            + Bytes.field(9, Bytes.number(1, 2) + Bytes.field(2, volume))
        let launch = Bytes.number(1, 2) + Bytes.field(4, Bytes.field(1, task))
        let event = try #require(try WireCodec.decodeExecutorEvent(launch))
        guard case .launch(let info, _, _) = event else {
            Issue.record("\(event)")
            return
        }
        #expect(info.command?.environment.first?.secret == .value)
        #expect(info.container?.volumes.first?.secret == .value)
        var text = ""
        dump(event, to: &text)
        #expect(!text.contains(marker))
        #expect(!String(decoding: WireCodec.encode(event), as: UTF8.self).contains(marker))
    }

    @Test("a reservation in the older form, with role and principal on the resource")
    func olderReservation() throws {
        func reserved(_ rest: [UInt8]) throws -> [Reservation]? {
            let resource = Bytes.scalar("cpus", 1, rest)
            let operation = Bytes.number(1, 3) + Bytes.field(4, Bytes.field(1, resource))
            let bytes = Bytes.number(2, 3) + Bytes.field(4, Bytes.field(2, operation))
            guard
                case .accept(_, let operations, _) = try WireCodec.decodeFrameworkCall(bytes).call,
                case .unreserve(let resources) = operations.first?.action
            else { return nil }
            return resources.items.first?.reservations
        }
        let principal = Bytes.field(8, Bytes.text(1, "p"))
        #expect(
            try reserved(Bytes.text(6, "eng") + principal)
                == [Reservation(role: "eng", principal: "p")])
        #expect(try reserved(Bytes.text(6, "eng")) == [Reservation(kind: .static, role: "eng")])
        #expect(try reserved(Bytes.text(6, "*")) == [])
    }

    @Test("an event of a kind that is not known is passed over, and unknown fields are too")
    func unknown() throws {
        #expect(try WireCodec.decodeSchedulerEvent(Bytes.number(1, 77)) == nil)
        #expect(try WireCodec.decodeExecutorEvent(Bytes.number(1, 77)) == nil)
        let heartbeat = Bytes.number(1, 8) + Bytes.text(900, "future") + Bytes.number(901, 1)
        #expect(try WireCodec.decodeSchedulerEvent(heartbeat) == .heartbeat)
    }

    @Test("a refusal time that cannot be read counts as absent")
    func refusal() throws {
        for seconds in [Double.nan, .infinity, 1e300] {
            let bytes =
                Bytes.number(2, 4)
                + Bytes.field(5, Bytes.id(1, "o"), Bytes.field(2, Bytes.double(1, seconds)))
            #expect(
                try WireCodec.decodeFrameworkCall(bytes).call
                    == .decline(offers: ["o"], filters: Filters()))
        }
    }
}
