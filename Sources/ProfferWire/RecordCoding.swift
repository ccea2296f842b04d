internal import ProfferKernel
public import ProfferModel
internal import ProfferSchema

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// A durable fact as a store keeps it: a value under a kind and a key, `nil` when it is gone.
public struct StoredRecord: Hashable, Sendable {
    /// What kind of fact it is.
    public var kind: String
    /// Its key within the kind.
    public var key: String
    /// Its bytes.
    public var value: [UInt8]?

    /// Describes a fact.
    public init(kind: String, key: String, value: [UInt8]?) {
        self.kind = kind
        self.key = key
        self.value = value
    }
}

/// Keys are made of ids, which cannot contain a control character.
private let separator: Character = "\u{1F}"

private func joined(_ first: String, _ second: String) -> String { first + "\u{1F}" + second }

private func split(_ key: String, _ count: Int) throws(WireError) -> [String] {
    let parts = key.split(separator: separator, omittingEmptySubsequences: false)
    guard parts.count == count else { throw .malformed("record key") }
    return parts.map(String.init)
}

extension WireCodec {
    /// A fact of the master as a store keeps it.
    public static func encode(_ record: MasterRecord) -> StoredRecord {
        switch record {
        case .agent(let id, let entry):
            return StoredRecord(
                kind: "agent", key: id.value, value: entry.map { bytes(coded($0)) })
        case .framework(let id, let entry):
            return StoredRecord(
                kind: "framework", key: id.value,
                value: entry.map { entry in
                    var coded = PBInternalFrameworkEntry()
                    coded.info = PBFrameworkInfo(entry.info)
                    if let since = entry.disconnectedSince {
                        coded.disconnectedSinceNanoseconds = since.nanosecondsSince1970
                    }
                    if entry.isRemoved { coded.removed = true }
                    if let key = entry.publicKey { coded.publicKey = key }
                    return bytes(coded)
                })
        case .weight(let role, let weight):
            return StoredRecord(
                kind: "weight", key: role, value: weight.map { Array("\($0)".utf8) })
        case .quota(let role, let quota):
            return StoredRecord(
                kind: "quota", key: role, value: quota.map { bytes(PBQuotaConfig($0)) })
        case .whitelist(let hosts):
            return StoredRecord(
                kind: "whitelist", key: "", value: hosts.map { bytes(PBWhitelist($0)) })
        case .priorityLimit(let role, let limit):
            return StoredRecord(
                kind: "priority", key: role, value: limit.map { Array("\($0)".utf8) })
        case .maintenance(let record):
            return StoredRecord(
                kind: "maintenance", key: "",
                value: record.map { bytes(PBInternalMaintenanceEntry($0)) })
        case .epoch(let epoch):
            return StoredRecord(kind: "epoch", key: "", value: Array("\(epoch)".utf8))
        }
    }

    private static func coded(_ entry: AgentEntry) -> PBInternalAgentEntry {
        var coded = PBInternalAgentEntry()
        coded.info = PBAgentInfo(entry.info)
        switch entry.admission {
        case .admitted: coded.admission = .admitted
        case .unreachable(let since):
            coded.admission = .unreachable
            coded.sinceNanoseconds = since.nanosecondsSince1970
        case .gone(let since):
            coded.admission = .gone
            coded.sinceNanoseconds = since.nanosecondsSince1970
        }
        if let resources = entry.resources {
            coded.hasResources_p = true
            coded.resources = ProfferWire.coded(resources)
        }
        if entry.isDeactivated { coded.deactivated = true }
        if let key = entry.publicKey { coded.publicKey = key }
        if let drain = entry.drain { coded.drain = PBDrainInfo(drain) }
        return coded
    }

    /// A fact of the master from a store.
    public static func decodeMasterRecord(
        _ record: StoredRecord
    ) throws(WireError) -> MasterRecord {
        switch record.kind {
        case "agent":
            guard let value = record.value else { return .agent(AgentID(record.key), nil) }
            let coded = try parse(
                PBInternalAgentEntry.self, value, limit: WireLimits.state, "agent record")
            let since = WallTime(nanosecondsSince1970: coded.sinceNanoseconds)
            let admission: AgentAdmission =
                switch coded.admission {
                case .admitted: .admitted
                case .unreachable: .unreachable(since: since)
                case .gone: .gone(since: since)
                }
            return .agent(
                AgentID(record.key),
                AgentEntry(
                    info: try coded.info.model(), admission: admission,
                    resources: coded.hasResources_p ? try model(coded.resources) : nil,
                    isDeactivated: coded.deactivated,
                    publicKey: coded.hasPublicKey ? coded.publicKey : nil,
                    drain: coded.hasDrain ? coded.drain.model : nil))
        case "framework":
            guard let value = record.value else { return .framework(FrameworkID(record.key), nil) }
            let coded = try parse(
                PBInternalFrameworkEntry.self, value, limit: WireLimits.state,
                "framework record")
            return .framework(
                FrameworkID(record.key),
                FrameworkEntry(
                    info: try coded.info.model(),
                    disconnectedSince: coded.hasDisconnectedSinceNanoseconds
                        ? WallTime(nanosecondsSince1970: coded.disconnectedSinceNanoseconds)
                        : nil,
                    isRemoved: coded.removed,
                    publicKey: coded.hasPublicKey ? coded.publicKey : nil))
        case "weight":
            return .weight(role: record.key, try number(record.value, "weight"))
        case "quota":
            guard let value = record.value else { return .quota(role: record.key, nil) }
            let coded = try parse(PBQuotaConfig.self, value, "quota record")
            guard coded.role == record.key else { throw .malformed("record key") }
            return .quota(role: record.key, try coded.model())
        case "whitelist":
            guard let value = record.value else { return .whitelist(nil) }
            let coded = try parse(
                PBWhitelist.self, value, limit: WireLimits.state, "whitelist record")
            return .whitelist(coded.hostnames)
        case "priority":
            guard let limit = try number(record.value, "priority") else {
                return .priorityLimit(role: record.key, nil)
            }
            return .priorityLimit(role: record.key, try small(limit, "priority"))
        case "maintenance":
            guard let value = record.value else { return .maintenance(nil) }
            let coded = try parse(
                PBInternalMaintenanceEntry.self, value, limit: WireLimits.state,
                "maintenance record")
            return .maintenance(try coded.model())
        case "epoch":
            guard let value = try number(record.value, "epoch"), value >= 0 else {
                throw .missing("epoch")
            }
            return .epoch(UInt64(value))
        default: throw .malformed("record kind '\(record.kind)'")
        }
    }

    private static func number(
        _ value: [UInt8]?, _ name: String
    ) throws(WireError) -> Int64? {
        guard let value else { return nil }
        guard let number = Int64(String(decoding: value, as: UTF8.self)) else {
            throw .malformed(name)
        }
        return number
    }

    /// A fact of an agent as a store keeps it.
    public static func encode(_ record: AgentRecord) -> StoredRecord {
        switch record {
        case .identity(let info, let bootID):
            var coded = PBInternalAgentIdentity()
            coded.info = PBAgentInfo(info)
            coded.bootID = bootID
            return StoredRecord(kind: "identity", key: "", value: bytes(coded))
        case .framework(let id, let info):
            return StoredRecord(
                kind: "framework", key: id.value, value: info.map { bytes(PBFrameworkInfo($0)) })
        case .executor(let key, let checkpoint):
            return StoredRecord(
                kind: "executor", key: joined(key.framework.value, key.executor.value),
                value: checkpoint.map { bytes(coded($0)) })
        case .task(let key, let checkpoint):
            return StoredRecord(
                kind: "task", key: joined(key.framework.value, key.task.value),
                value: checkpoint.map { QuickWriter.bytes(of: $0) ?? bytes(coded($0)) })
        case .update(let key, let sequence, let status):
            return StoredRecord(
                kind: "update",
                key: joined(joined(key.framework.value, key.task.value), String(sequence)),
                value: status.map { QuickWriter.bytes(of: $0) ?? bytes(PBTaskStatus($0)) })
        }
    }

    private static func coded(_ checkpoint: ExecutorCheckpoint) -> PBInternalExecutorCheckpoint {
        var coded = PBInternalExecutorCheckpoint()
        coded.info = PBExecutorInfo(checkpoint.info)
        coded.role = checkpoint.role
        coded.containerID = checkpoint.containerID.value
        coded.directory = checkpoint.directory
        coded.token = checkpoint.token
        if let pid = checkpoint.pid { coded.pid = Int32(clamping: pid) }
        if let ticks = checkpoint.startTicks { coded.startTicks = ticks }
        return coded
    }

    static func coded(_ checkpoint: TaskCheckpoint) -> PBInternalTaskCheckpoint {
        var coded = PBInternalTaskCheckpoint()
        coded.info = PBTaskInfo(checkpoint.info)
        coded.role = checkpoint.role
        coded.executorID = PBExecutorID(checkpoint.executorID)
        coded.sandbox = checkpoint.sandbox
        coded.state = ProfferWire.coded(checkpoint.state)
        if let group = checkpoint.groupID { coded.groupID = PBTaskID(group) }
        coded.updateWindow = UInt32(clamping: checkpoint.updateWindow)
        if let last = checkpoint.lastAcknowledged { coded.lastAcknowledged = Data(last.bytes) }
        return coded
    }

    /// A fact of an agent from a store.
    public static func decodeAgentRecord(_ record: StoredRecord) throws(WireError) -> AgentRecord {
        switch record.kind {
        case "identity":
            let coded = try parse(
                PBInternalAgentIdentity.self, record.value ?? [], limit: WireLimits.state,
                "identity record")
            return .identity(try coded.info.model(), bootID: coded.bootID)
        case "framework":
            guard let value = record.value else { return .framework(FrameworkID(record.key), nil) }
            let coded = try parse(PBFrameworkInfo.self, value, "framework record")
            return .framework(FrameworkID(record.key), try coded.model())
        case "executor": return try executorRecord(record)
        case "task": return try taskRecord(record)
        case "update":
            let parts = try split(record.key, 3)
            guard let sequence = UInt64(parts[2]) else { throw .malformed("record key") }
            let key = TaskKey(FrameworkID(parts[0]), TaskID(parts[1]))
            guard let value = record.value else { return .update(key, sequence: sequence, nil) }
            let coded = try parse(PBTaskStatus.self, value, "update record")
            return .update(key, sequence: sequence, try coded.model())
        default: throw .malformed("record kind '\(record.kind)'")
        }
    }

    private static func executorRecord(_ record: StoredRecord) throws(WireError) -> AgentRecord {
        let parts = try split(record.key, 2)
        let key = ExecutorKey(FrameworkID(parts[0]), ExecutorID(parts[1]))
        guard let value = record.value else { return .executor(key, nil) }
        let coded = try parse(PBInternalExecutorCheckpoint.self, value, "executor record")
        return .executor(
            key,
            ExecutorCheckpoint(
                info: try coded.info.model(), role: coded.role,
                containerID: ContainerID(coded.containerID), directory: coded.directory,
                token: coded.token, pid: coded.hasPid ? Int(coded.pid) : nil,
                startTicks: coded.hasStartTicks ? coded.startTicks : nil))
    }

    private static func taskRecord(_ record: StoredRecord) throws(WireError) -> AgentRecord {
        let parts = try split(record.key, 2)
        let key = TaskKey(FrameworkID(parts[0]), TaskID(parts[1]))
        guard let value = record.value else { return .task(key, nil) }
        let coded = try parse(PBInternalTaskCheckpoint.self, value, "task record")
        return .task(
            key,
            TaskCheckpoint(
                info: try coded.info.model(), role: coded.role,
                executorID: ExecutorID(coded.executorID.value), sandbox: coded.sandbox,
                state: model(coded.state),
                groupID: coded.hasGroupID ? TaskID(coded.groupID.value) : nil,
                updateWindow: Int(max(1, coded.updateWindow)),
                lastAcknowledged: coded.hasLastAcknowledged
                    ? try updateID(coded.lastAcknowledged, "last acknowledged update") : nil))
    }
}
