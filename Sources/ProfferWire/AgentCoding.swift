internal import ProfferKernel
public import ProfferModel
internal import ProfferSchema

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

extension PBTaskKey {
    init(_ key: TaskKey) {
        self.init()
        frameworkID = PBFrameworkID(key.framework)
        taskID = PBTaskID(key.task)
    }

    var model: TaskKey { TaskKey(FrameworkID(frameworkID.value), TaskID(taskID.value)) }
}

extension PBInternalExecutorKey {
    init(_ key: ExecutorKey) {
        self.init()
        frameworkID = PBFrameworkID(key.framework)
        executorID = PBExecutorID(key.executor)
    }

    var model: ExecutorKey {
        ExecutorKey(FrameworkID(frameworkID.value), ExecutorID(executorID.value))
    }
}

extension PBInternalAgentMessage.Reregister {
    init(_ body: Reregistration) {
        self.init()
        info = PBAgentInfo(body.info)
        tasks = body.tasks.map { task in
            var coded = PBInternalAgentMessage.KnownTask()
            coded.info = PBTaskInfo(task.info)
            coded.frameworkID = PBFrameworkID(task.frameworkID)
            coded.role = task.role
            coded.executorID = PBExecutorID(task.executorID)
            coded.state = ProfferWire.coded(task.state)
            if let status = task.lastForwarded { coded.lastForwarded = PBTaskStatus(status) }
            switch task.grouping {
            case .unknown: break
            case .single: coded.grouped = false
            case .group(let first):
                coded.grouped = true
                coded.groupID = PBTaskID(first)
            }
            return coded
        }
        executors = body.executors.map { executor in
            var coded = PBInternalAgentMessage.KnownExecutor()
            coded.info = PBExecutorInfo(executor.info)
            coded.frameworkID = PBFrameworkID(executor.frameworkID)
            coded.role = executor.role
            return coded
        }
        frameworks = body.frameworks.map { PBFrameworkInfo($0) }
    }

    func model() throws(WireError) -> Reregistration {
        Reregistration(
            info: try info.model(),
            tasks: try tasks.tryMap { one throws(WireError) in
                AgentTask(
                    info: try one.info.model(), frameworkID: FrameworkID(one.frameworkID.value),
                    role: one.role, executorID: ExecutorID(one.executorID.value),
                    state: ProfferWire.model(one.state),
                    lastForwarded: one.hasLastForwarded ? try one.lastForwarded.model() : nil,
                    grouping: one.grouping)
            },
            executors: try executors.tryMap { one throws(WireError) in
                AgentExecutor(
                    info: try one.info.model(), frameworkID: FrameworkID(one.frameworkID.value),
                    role: one.role)
            },
            frameworks: try frameworks.tryMap { one throws(WireError) in try one.model() })
    }
}

extension PBInternalAgentMessage.KnownTask {
    fileprivate var grouping: TaskGrouping {
        guard hasGrouped else { return .unknown }
        return grouped ? .group(TaskID(groupID.value)) : .single
    }
}

extension WireCodec {
    /// The bytes of what an agent says to the master.
    public static func encode(_ message: AgentToMaster) -> [UInt8] {
        QuickWriter.bytes(of: message) ?? encodeGenerally(message)
    }

    static func encodeGenerally(_ message: AgentToMaster) -> [UInt8] {
        var coded = PBInternalAgentMessage()
        switch message {
        case .register(let info, let version, let bootID):
            coded.register.info = PBAgentInfo(info)
            coded.register.version = version
            coded.register.bootID = bootID
        case .reregister(let body, let version, let bootID):
            coded.reregister = .init(body)
            coded.reregister.version = version
            coded.reregister.bootID = bootID
        case .updateAgent(let info): coded.updateAgent = PBAgentInfo(info)
        case .update(let framework, let status, let position):
            var update = PBInternalAgentMessage.Update()
            update.frameworkID = PBFrameworkID(framework)
            update.status = PBTaskStatus(status)
            update.latestState = ProfferWire.coded(position.latestState)
            if let uuid = position.latestUUID { update.latestUuid = Data(uuid.bytes) }
            coded.update = update
        case .executorExited(let key, let status):
            coded.executorExited.key = PBInternalExecutorKey(key)
            coded.executorExited.status = Int32(clamping: status)
        case .message(let key, let data):
            coded.message.key = PBInternalExecutorKey(key)
            coded.message.data = Data(data)
        case .usage(let usage): coded.usage = PBAgentUsage(usage)
        case .oversubscribed(let resources):
            coded.oversubscribed.resources = ProfferWire.coded(resources)
        case .pong(let number): coded.pong = number
        case .unregister: coded.unregister = .init()
        }
        return bytes(coded)
    }

    /// What an agent says to the master in these bytes.
    public static func decodeAgentToMaster(_ data: [UInt8]) throws(WireError) -> AgentToMaster {
        if let known = QuickReader.agentToMaster(data) { return known }
        return try decodeAgentToMasterGenerally(data)
    }

    static func decodeAgentToMasterGenerally(
        _ data: [UInt8]
    ) throws(WireError) -> AgentToMaster {
        let coded = try parse(
            PBInternalAgentMessage.self, data, limit: WireLimits.state, "agent message")
        switch coded.content {
        case .register(let body):
            return .register(try body.info.model(), version: body.version, bootID: body.bootID)
        case .reregister(let body):
            return .reregister(try body.model(), version: body.version, bootID: body.bootID)
        case .updateAgent(let info): return .updateAgent(try info.model())
        case .update(let body):
            return .update(
                FrameworkID(body.frameworkID.value), try body.status.model(),
                position: UpdatePosition(
                    latestState: model(body.latestState),
                    latestUUID: body.hasLatestUuid
                        ? try updateID(body.latestUuid, "latest_uuid") : nil))
        case .executorExited(let body):
            return .executorExited(body.key.model, status: Int(body.status))
        case .message(let body): return .message(body.key.model, data: [UInt8](body.data))
        case .usage(let usage): return .usage(usage.model)
        case .oversubscribed(let body): return .oversubscribed(try model(body.resources))
        case .pong(let number): return .pong(number: number)
        case .unregister: return .unregister
        case nil: throw .missing("content")
        }
    }

    /// The bytes of what the master says to an agent.
    public static func encode(_ message: MasterToAgent) -> [UInt8] {
        QuickWriter.bytes(of: message) ?? encodeGenerally(message)
    }

    static func encodeGenerally(_ message: MasterToAgent) -> [UInt8] {
        var coded = PBInternalMasterMessage()
        switch message {
        case .registered(let id, let timeout):
            coded.registered.agentID = PBAgentID(id)
            coded.registered.pingTimeoutNanoseconds = timeout.inNanoseconds
        case .reregistered(let id, let timeout, let tasks):
            coded.registered.agentID = PBAgentID(id)
            coded.registered.pingTimeoutNanoseconds = timeout.inNanoseconds
            coded.registered.isReturn = true
            coded.registered.reconcile = tasks.map { PBTaskKey($0) }
        case .refused(let reason): coded.refused = reason
        case .shutdown(let reason): coded.shutdown = reason
        case .ping(let number, let isConnected):
            coded.ping.number = number
            coded.ping.connected = isConnected
        case .run(let run):
            var body = PBInternalMasterMessage.Run()
            body.framework = PBFrameworkInfo(run.framework)
            if let executor = run.executor { body.executor = PBExecutorInfo(executor) }
            body.tasks = run.tasks.map { PBTaskInfo($0) }
            if run.isGroup { body.isGroup = true }
            body.role = run.role
            body.updateWindow = UInt32(clamping: run.updateWindow)
            coded.run = body
        case .kill(let key, let policy):
            coded.kill.key = PBTaskKey(key)
            if let policy { coded.kill.policy = PBKillPolicy(policy) }
        case .acknowledge(let key, let uuid):
            coded.acknowledge.key = PBTaskKey(key)
            coded.acknowledge.uuid = Data(uuid.bytes)
        case .shutdownExecutor(let key): coded.shutdownExecutor = PBInternalExecutorKey(key)
        case .shutdownFramework(let id): coded.shutdownFramework = PBFrameworkID(id)
        case .updateFramework(let info): coded.updateFramework = PBFrameworkInfo(info)
        case .message(let key, let data):
            coded.message.key = PBInternalExecutorKey(key)
            coded.message.data = Data(data)
        case .updateResources(let resources):
            coded.updateResources.resources = ProfferWire.coded(resources)
        }
        return bytes(coded)
    }

    /// What the master says to an agent in these bytes.
    public static func decodeMasterToAgent(_ data: [UInt8]) throws(WireError) -> MasterToAgent {
        if let known = QuickReader.masterToAgent(data) { return known }
        return try decodeMasterToAgentGenerally(data)
    }

    static func decodeMasterToAgentGenerally(
        _ data: [UInt8]
    ) throws(WireError) -> MasterToAgent {
        let coded = try parse(
            PBInternalMasterMessage.self, data, limit: WireLimits.state, "master message")
        switch coded.content {
        case .registered(let body):
            let id = AgentID(body.agentID.value)
            let timeout = Duration.nanoseconds(body.pingTimeoutNanoseconds)
            return body.isReturn
                ? .reregistered(id, pingTimeout: timeout, reconcile: body.reconcile.map(\.model))
                : .registered(id, pingTimeout: timeout)
        case .refused(let reason): return .refused(reason)
        case .shutdown(let reason): return .shutdown(reason)
        case .ping(let body): return .ping(number: body.number, isConnected: body.connected)
        case .run(let body):
            return .run(
                RunTask(
                    framework: try body.framework.model(),
                    executor: body.hasExecutor ? try body.executor.model() : nil,
                    tasks: try body.tasks.tryMap { one throws(WireError) in try one.model() },
                    isGroup: body.isGroup, role: body.role,
                    updateWindow: Int(max(1, body.updateWindow))))
        case .kill(let body):
            return .kill(body.key.model, policy: body.hasPolicy ? body.policy.model : nil)
        case .acknowledge(let body):
            return .acknowledge(
                body.key.model, uuid: try updateID(body.uuid, "acknowledge.uuid"))
        case .shutdownExecutor(let key): return .shutdownExecutor(key.model)
        case .shutdownFramework(let id): return .shutdownFramework(FrameworkID(id.value))
        case .updateFramework(let info): return .updateFramework(try info.model())
        case .message(let body): return .message(body.key.model, data: [UInt8](body.data))
        case .updateResources(let body):
            return .updateResources(try model(body.resources))
        case nil: throw .missing("content")
        }
    }
}
