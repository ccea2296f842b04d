internal import ProfferKernel
public import ProfferModel
internal import ProfferSchema

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

extension WireCodec {
    /// The bytes of what an executor says.
    public static func encode(_ message: ExecutorMessage) -> [UInt8] {
        var coded = PBExecutorCall()
        coded.frameworkID = PBFrameworkID(message.frameworkID)
        coded.executorID = PBExecutorID(message.executorID)
        switch message.call {
        case .subscribe(let tasks, let updates):
            coded.type = .subscribe
            coded.subscribe.unacknowledgedTasks = tasks.map { PBTaskInfo($0) }
            coded.subscribe.unacknowledgedUpdates = updates.map { status in
                var update = PBExecutorCall.Update()
                update.status = PBTaskStatus(status)
                return update
            }
        case .update(let status):
            coded.type = .update
            coded.update.status = PBTaskStatus(status)
        case .message(let data):
            coded.type = .message
            coded.message.data = Data(data)
        case .heartbeat: coded.type = .heartbeat
        case .usage(let tasks):
            coded.type = .usage
            coded.usage.tasks = tasks.map { PBExecutorCall.TaskUsage($0) }
        }
        return bytes(coded)
    }

    /// What an executor says in these bytes.
    public static func decodeExecutorMessage(
        _ data: [UInt8]
    ) throws(WireError) -> ExecutorMessage {
        if let known = QuickReader.executorMessage(data) { return known }
        return try decodeExecutorMessageGenerally(data)
    }

    static func decodeExecutorMessageGenerally(
        _ data: [UInt8]
    ) throws(WireError) -> ExecutorMessage {
        let coded = try parse(
            PBExecutorCall.self, data, limit: WireLimits.state, "executor call")
        let call: ExecutorCall =
            switch coded.type {
            case .subscribe:
                .subscribe(
                    unacknowledgedTasks: try coded.subscribe.unacknowledgedTasks.tryMap {
                        one throws(WireError) in try one.model()
                    },
                    unacknowledgedUpdates: try coded.subscribe.unacknowledgedUpdates.tryMap {
                        one throws(WireError) in try one.status.model()
                    })
            case .update:
                .update(try body(coded.update, coded.hasUpdate, "update").status.model())
            case .message:
                .message([UInt8](try body(coded.message, coded.hasMessage, "message").data))
            case .heartbeat: .heartbeat
            case .usage: .usage(coded.usage.tasks.map(\.model))
            case .unknown: throw .missing("type")
            }
        return ExecutorMessage(
            frameworkID: FrameworkID(coded.frameworkID.value),
            executorID: ExecutorID(coded.executorID.value), call: call)
    }

    /// The bytes of what an agent says to an executor.
    public static func encode(_ event: ExecutorEvent) -> [UInt8] {
        QuickWriter.bytes(of: event) ?? encodeGenerally(event)
    }

    static func encodeGenerally(_ event: ExecutorEvent) -> [UInt8] {
        var coded = PBExecutorEvent()
        switch event {
        case .subscribed(let executor, let framework, let agent, let container):
            coded.type = .subscribed
            coded.subscribed.executorInfo = PBExecutorInfo(executor)
            coded.subscribed.frameworkInfo = PBFrameworkInfo(framework)
            coded.subscribed.agentInfo = PBAgentInfo(agent)
            if let container { coded.subscribed.containerID.value = container.value }
        case .launch(let task, let sandbox, let secrets):
            coded.type = .launch
            coded.launch.task = PBTaskInfo(task)
            coded.launch.sandbox = sandbox
            coded.launch.secrets = secrets.map { PBExecutorSecretValue($0) }
        case .launchGroup(let tasks, let sandboxes, let secrets):
            coded.type = .launchGroup
            coded.launchGroup.taskGroup.tasks = tasks.map { PBTaskInfo($0) }
            coded.launchGroup.sandboxes = sandboxes
            coded.launchGroup.secrets = secrets.map { PBExecutorSecretValue($0) }
        case .kill(let task, let policy):
            coded.type = .kill
            coded.kill.taskID = PBTaskID(task)
            if let policy { coded.kill.killPolicy = PBKillPolicy(policy) }
        case .acknowledged(let task, let uuid):
            coded.type = .acknowledged
            coded.acknowledged.taskID = PBTaskID(task)
            coded.acknowledged.uuid = Data(uuid.bytes)
        case .message(let data):
            coded.type = .message
            coded.message.data = Data(data)
        case .shutdown: coded.type = .shutdown
        case .error(let message):
            coded.type = .error
            coded.error.message = message
        case .heartbeat: coded.type = .heartbeat
        }
        return bytes(coded)
    }

    /// What an agent says to an executor in these bytes; `nil` for a kind that is not known here.
    public static func decodeExecutorEvent(
        _ data: [UInt8]
    ) throws(WireError) -> ExecutorEvent? {
        let coded = try parse(PBExecutorEvent.self, data, "executor event")
        switch coded.type {
        case .subscribed:
            let body = try body(coded.subscribed, coded.hasSubscribed, "subscribed")
            return .subscribed(
                executor: try body.executorInfo.model(),
                framework: try body.frameworkInfo.model(), agent: try body.agentInfo.model(),
                container: body.hasContainerID ? ContainerID(body.containerID.value) : nil)
        case .launch:
            guard coded.hasLaunch else { throw .missing("launch") }
            return .launch(
                try coded.launch.task.model(), sandbox: coded.launch.sandbox,
                secrets: coded.launch.secrets.map(\.model))
        case .launchGroup:
            return .launchGroup(
                try coded.launchGroup.taskGroup.tasks.tryMap { one throws(WireError) in
                    try one.model()
                }, sandboxes: coded.launchGroup.sandboxes,
                secrets: coded.launchGroup.secrets.map(\.model))
        case .kill:
            guard coded.hasKill else { throw .missing("kill") }
            return .kill(
                TaskID(coded.kill.taskID.value),
                policy: coded.kill.hasKillPolicy ? coded.kill.killPolicy.model : nil)
        case .acknowledged:
            guard coded.hasAcknowledged else { throw .missing("acknowledged") }
            return .acknowledged(
                TaskID(coded.acknowledged.taskID.value),
                uuid: try updateID(coded.acknowledged.uuid, "acknowledged.uuid"))
        case .message:
            return .message([UInt8](try body(coded.message, coded.hasMessage, "message").data))
        case .error: return .error(coded.error.message)
        case .shutdown: return .shutdown
        case .heartbeat: return .heartbeat
        case .unknown: return nil
        }
    }
}
