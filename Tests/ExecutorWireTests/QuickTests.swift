import ProfferKernel
import ProfferModel
import ProfferSession
import Testing

@testable import ProfferWire

/// The quick way through the common messages, against the general way that is made from the schema.
@Suite("The quick way of common messages")
struct QuickTests {
    @Test("what is written quickly has the same bytes", arguments: UInt64(0)..<400)
    func writing(seed: UInt64) {
        var dice = Dice(seed: seed)
        for _ in 0..<4 {
            let forms = dice.commonForms()
            for form in forms {
                if let quick = form.quick() { #expect(quick == form.general(), "\(form.name)") }
            }
        }
    }

    @Test("what is read quickly is the same message", arguments: UInt64(0)..<400)
    func reading(seed: UInt64) {
        var dice = Dice(seed: seed)
        for form in dice.commonForms() { form.compare(form.general()) }
    }

    @Test(
        "damaged messages are left alone or read as the general way does",
        arguments: UInt64(0)..<400)
    func damaged(seed: UInt64) {
        var dice = Dice(seed: seed)
        for form in dice.commonForms() {
            var bytes = form.general()
            for _ in 0..<12 {
                form.compare(dice.damaged(bytes))
                // From one wrong to the next, so that several things are wrong at once.
                if dice.bool() { bytes = dice.damaged(bytes) }
            }
        }
    }

    @Test(
        "every beginning and every flipped bit of a message is read as the general way does",
        arguments: UInt64(0)..<12)
    func flipped(seed: UInt64) {
        var dice = Dice(seed: seed)
        for form in dice.commonForms() {
            let bytes = form.general()
            for index in bytes.indices {
                form.compare(Array(bytes.prefix(index)))
                var flipped = bytes
                flipped[index] ^= 1 << UInt8(dice.number(0...7))
                form.compare(flipped)
            }
        }
    }

    @Test("random fields are read as the general way does", arguments: UInt64(0)..<200)
    func fields(seed: UInt64) {
        var dice = Dice(seed: seed)
        let forms = dice.commonForms()
        for _ in 0..<10 {
            let bytes = dice.fields(depth: 5)
            for form in forms { form.compare(bytes) }
        }
    }

    @Test("a field that comes twice and a message of two parts are left to the general way")
    func twice() throws {
        let status = TaskStatus(taskID: "a", state: .running)
        let bytes = WireCodec.encodeGenerally(SchedulerEvent.update(status))
        #expect(QuickReader.schedulerEvent(bytes) == .update(status))
        #expect(QuickReader.schedulerEvent(bytes + bytes) == nil)
        #expect(try WireCodec.decodeSchedulerEvent(bytes + bytes) == .update(status))
        let unknown: [UInt8] = [0xA0, 0x3E, 1]
        #expect(QuickReader.schedulerEvent(bytes + unknown) == nil)
        #expect(try WireCodec.decodeSchedulerEvent(bytes + unknown) == .update(status))
    }

    @Test("every state, source and reason is read as the general way does", arguments: 0..<64)
    func kinds(number: Int) {
        for field in [2, 9, 10] {
            let kind: [UInt8] = [UInt8(field << 3), UInt8(number)]
            let body: [UInt8] = [0x0A, 3, 0x0A, 1, 0x61] + (field == 2 ? [] : [0x10, 1]) + kind
            let whole: [UInt8] =
                [8, 4, 0x2A, UInt8(body.count + 2), 0x0A, UInt8(body.count)] + body
            Form.compare(whole, QuickReader.schedulerEvent) { bytes throws(WireError) in
                try WireCodec.decodeSchedulerEventGenerally(bytes)
            }
        }
    }

    @Test("a message above its limit is left to the general way, which refuses it")
    func size() {
        let text = String(repeating: "x", count: WireLimits.message)
        let call = FrameworkCall(
            frameworkID: FrameworkID(text),
            call: .acknowledge("t", agent: "a", uuid: UpdateID(high: 1, low: 2)))
        let bytes = WireCodec.encode(call)
        #expect(QuickReader.frameworkCall(bytes) == nil)
        #expect(throws: WireError.tooLarge(size: bytes.count, limit: WireLimits.message)) {
            try WireCodec.decodeFrameworkCall(bytes)
        }
    }

    @Test("the messages of an ordinary task go the quick way, both in and out")
    func coverage() {
        var dice = Dice(seed: 1)
        for form in dice.ordinaryForms() {
            #expect(form.quick() == form.general(), "\(form.name)")
            #expect(form.isRead(form.general()), "\(form.name)")
        }
    }
}

/// One kind of message, written and read both ways.
struct Form {
    var name: String
    var quick: () -> [UInt8]?
    var general: () -> [UInt8]
    var isRead: ([UInt8]) -> Bool = { _ in true }
    var compare: ([UInt8]) -> Void = { _ in }

    init<Message: Equatable>(
        _ name: String, quick: @escaping () -> [UInt8]?, general: @escaping () -> [UInt8],
        read: @escaping ([UInt8]) -> Message?,
        reference: @escaping ([UInt8]) throws(WireError) -> Message?
    ) {
        self.name = name
        self.quick = quick
        self.general = general
        isRead = { read($0) != nil }
        compare = { Self.compare($0, read, reference) }
    }

    /// A message that is only written.
    init(_ name: String, quick: @escaping () -> [UInt8]?, general: @escaping () -> [UInt8]) {
        self.name = name
        self.quick = quick
        self.general = general
    }

    static func compare<Message: Equatable>(
        _ bytes: [UInt8], _ read: ([UInt8]) -> Message?,
        _ reference: ([UInt8]) throws(WireError) -> Message?
    ) {
        guard let own = read(bytes) else { return }
        do throws(WireError) {
            let meant = try reference(bytes)
            #expect(own == meant, "\(bytes)")
        } catch {
            Issue.record("only the quick way takes \(bytes): \(error)")
        }
    }
}

extension Form {
    init(_ envelope: Envelope) {
        self.init(
            "envelope", quick: { QuickWriter.bytes(of: envelope) },
            general: { EnvelopeCodec.encodeGenerally(envelope) }, read: QuickReader.envelope,
            reference: { bytes throws(WireError) in try EnvelopeCodec.decodeGenerally(bytes) })
    }

    init(_ message: AgentToMaster) {
        self.init(
            "agent to master", quick: { QuickWriter.bytes(of: message) },
            general: { WireCodec.encodeGenerally(message) }, read: QuickReader.agentToMaster,
            reference: { bytes throws(WireError) in
                try WireCodec.decodeAgentToMasterGenerally(bytes)
            })
    }

    init(_ message: MasterToAgent) {
        self.init(
            "master to agent", quick: { QuickWriter.bytes(of: message) },
            general: { WireCodec.encodeGenerally(message) }, read: QuickReader.masterToAgent,
            reference: { bytes throws(WireError) in
                try WireCodec.decodeMasterToAgentGenerally(bytes)
            })
    }

    init(_ message: ExecutorMessage) {
        self.init(
            "executor to agent", quick: { nil }, general: { WireCodec.encode(message) },
            read: QuickReader.executorMessage,
            reference: { bytes throws(WireError) in
                try WireCodec.decodeExecutorMessageGenerally(bytes)
            })
    }

    init(_ event: ExecutorEvent) {
        self.init(
            "agent to executor", quick: { QuickWriter.bytes(of: event) },
            general: { WireCodec.encodeGenerally(event) })
    }

    init(_ event: SchedulerEvent) {
        self.init(
            "master to framework", quick: { QuickWriter.bytes(of: event) },
            general: { WireCodec.encodeGenerally(event) }, read: QuickReader.schedulerEvent,
            reference: { bytes throws(WireError) in
                try WireCodec.decodeSchedulerEventGenerally(bytes)
            })
    }

    init(_ call: FrameworkCall) {
        self.init(
            "framework to master", quick: { QuickWriter.bytes(of: call) },
            general: { WireCodec.encodeGenerally(call) }, read: QuickReader.frameworkCall,
            reference: { bytes throws(WireError) in
                try WireCodec.decodeFrameworkCallGenerally(bytes)
            })
    }

    init(_ checkpoint: TaskCheckpoint) {
        self.init(
            "checkpoint", quick: { QuickWriter.bytes(of: checkpoint) },
            general: { bytes(WireCodec.coded(checkpoint)) })
    }
}

extension Dice {
    /// Every kind that has a quick way: some messages so plain that they take it, others not.
    mutating func commonForms() -> [Form] {
        forms(task: bool() ? plainTask() : task(), status: bool() ? plainStatus() : status())
    }

    mutating func ordinaryForms() -> [Form] {
        forms(
            task: TaskInfo(
                name: "noop", id: "noop-1", agentID: "agent",
                resources: Resources([Resource("cpus", .scalar(Milli(1)))]),
                command: CommandInfo(value: "/bin/true", shell: false, arguments: ["true"]),
                data: [1], labels: [Label("a", "b"), Label("c", nil)]),
            status: TaskStatus(
                taskID: "noop-1", state: .finished, message: "the end", source: .executor,
                reason: .taskInvalid, data: [2], agentID: "agent", executorID: "executor",
                timestamp: WallTime(nanosecondsSince1970: 1_700_000_000_123_456_000),
                uuid: uuid(), healthy: true, labels: [Label("a", "b")],
                containerStatus: ContainerStatus(containerID: "container", pid: 77),
                exit: TaskExit(
                    code: 1, signal: 9, isCoreDumped: true, cpuTime: .milliseconds(3),
                    peakMemoryBytes: 4096)),
            framework: FrameworkInfo(name: "bench", id: "framework", roles: ["one", "two"]),
            isOrdinary: true)
    }

    private mutating func forms(
        task: TaskInfo, status: TaskStatus, framework given: FrameworkInfo? = nil,
        isOrdinary: Bool = false
    ) -> [Form] {
        let key = TaskKey(id(), id())
        let info = given ?? framework()
        let extra = isOrdinary ? [] : list { $0.task() }
        let forms = [
            Form(
                Envelope(
                    clusterID: String(text().prefix(60)), epoch: word(), session: word(),
                    sequence: word(), acknowledged: word(),
                    content: bool() ? .message(data()) : .keepAlive)),
            Form(
                .update(
                    id(), status,
                    position: UpdatePosition(
                        latestState: pick(TaskState.allCases), latestUUID: maybe { $0.uuid() }))),
            Form(
                MasterToAgent.run(
                    RunTask(
                        framework: info, executor: isOrdinary ? nil : maybe { $0.executor() },
                        tasks: [task] + extra, isGroup: bool(), role: text(),
                        updateWindow: number(1...1000)))),
            Form(MasterToAgent.acknowledge(key, uuid: uuid())),
            Form(ExecutorEvent.launch(task, sandbox: text())),
            Form(ExecutorEvent.acknowledged(id(), uuid: uuid())),
            Form(SchedulerEvent.update(status)),
            Form(
                FrameworkCall(
                    frameworkID: maybe { $0.id() },
                    call: .acknowledge(id(), agent: id(), uuid: uuid()))),
            Form(
                FrameworkCall(
                    frameworkID: maybe { $0.id() },
                    call: .accept(
                        offers: list { $0.id() },
                        operations: [Operation(action: .launch([task] + extra))],
                        filters: maybe { dice in Filters(refuse: dice.maybe { $0.seconds() }) }))),
            Form(
                TaskCheckpoint(
                    info: task, role: text(), executorID: id(), sandbox: text(),
                    state: pick(TaskState.allCases), groupID: maybe { $0.id() },
                    updateWindow: number(0...1000), lastAcknowledged: maybe { $0.uuid() })),
        ]
        let fromExecutor = Form(
            ExecutorMessage(frameworkID: id(), executorID: id(), call: .update(status)))
        return forms + (isOrdinary ? [] : [Form(envelope())]) + (isOrdinary ? [] : [fromExecutor])
    }

    private mutating func plainTask() -> TaskInfo {
        TaskInfo(
            name: text(), id: id(), agentID: id(),
            resources: Resources(
                list { dice in
                    Resource(dice.pick(["cpus", "mem", dice.text()]), .scalar(dice.milli()))
                }),
            command: maybe { dice in
                var command = dice.command()
                command.uris = []
                return command
            }, data: data(), labels: list { $0.label() })
    }

    private mutating func plainStatus() -> TaskStatus {
        var status = status()
        status.checkResult = nil
        status.unreachableTime = nil
        status.containerStatus?.addresses = []
        return status
    }
}
