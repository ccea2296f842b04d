internal import ProfferModel
internal import ProfferSchema
internal import ProfferSession

// What every agent of a cluster says at once when a master has taken over. Its tasks are many and
// alike; the rest goes the general way, part by part.

extension QuickReader {
    mutating func reregister() throws(Uncommon) -> AgentToMaster {
        var info: AgentInfo?
        var (tasks, executors): ([AgentTask], [AgentExecutor]) = ([], [])
        var frameworks: [FrameworkInfo] = []
        var (version, bootID) = ("", "")
        while let number = try next(lists: [2, 3, 4]) {
            switch number {
            case 1: info = try agent()
            case 2: tasks.append(try knownTask())
            case 3: executors.append(try knownExecutor())
            case 4: frameworks.append(try framework())
            case 5: version = try text()
            case 6: bootID = try text()
            default: throw Uncommon()
            }
        }
        return .reregister(
            Reregistration(
                info: try needed(info), tasks: tasks, executors: executors,
                frameworks: frameworks), version: version, bootID: bootID)
    }

    /// An agent, by way of the generated types when it says more than most do.
    private mutating func agent() throws(Uncommon) -> AgentInfo {
        let before = self
        do throws(Uncommon) { return try plainAgent() } catch { self = before }
        let bytes = try data()
        do throws(WireError) {
            return try parse(PBAgentInfo.self, bytes, limit: WireLimits.state, "agent").model()
        } catch {
            throw Uncommon()
        }
    }

    private mutating func plainAgent() throws(Uncommon) -> AgentInfo {
        var part = try message()
        var (hostname, id): (String?, AgentID?)
        var port: Int32?
        var resources = Resources()
        var count = 0
        var capabilities: AgentCapabilities?
        while let number = try part.next(lists: [3, 1000]) {
            switch number {
            case 1: hostname = try part.text()
            case 3:
                resources += try part.resource()
                count += 1
                guard count <= Self.resourceLimit else { throw Uncommon() }
            case 6: id = try part.id()
            case 8: port = try part.int32()
            case 1000: capabilities = (capabilities ?? []).union(try part.agentCapability())
            default: throw Uncommon()
            }
        }
        return AgentInfo(
            hostname: try needed(hostname), port: Int(try needed(port)), resources: resources,
            id: id, capabilities: capabilities ?? .all)
    }

    private mutating func agentCapability() throws(Uncommon) -> AgentCapabilities {
        var part = try message()
        guard try part.next() == 1 else { throw Uncommon() }
        let kind = try part.int32()
        guard kind > 0, PBAgentInfo.Capability.TypeEnum(rawValue: Int(kind)) != nil,
            try part.next() == nil
        else { throw Uncommon() }
        return AgentCapabilities(rawValue: 1 << UInt32(kind))
    }

    /// An executor, by way of the generated types when it is not the agent's own.
    private mutating func knownExecutor() throws(Uncommon) -> AgentExecutor {
        let before = self
        do throws(Uncommon) { return try plainExecutor() } catch { self = before }
        let bytes = try data()
        do throws(WireError) {
            let coded = try parse(
                PBInternalAgentMessage.KnownExecutor.self, bytes, limit: WireLimits.state,
                "executor")
            return AgentExecutor(
                info: try coded.info.model(), frameworkID: FrameworkID(coded.frameworkID.value),
                role: coded.role)
        } catch {
            throw Uncommon()
        }
    }

    private mutating func plainExecutor() throws(Uncommon) -> AgentExecutor {
        var part = try message()
        var info: ExecutorInfo?
        var (framework, role): (FrameworkID?, String?)
        while let number = try part.next() {
            switch number {
            case 1: info = try part.executorInfo()
            case 2: framework = try part.id()
            case 3: role = try part.text()
            default: throw Uncommon()
            }
        }
        return AgentExecutor(
            info: try needed(info), frameworkID: try needed(framework), role: try needed(role))
    }

    private mutating func executorInfo() throws(Uncommon) -> ExecutorInfo {
        var part = try message()
        var id: ExecutorID?
        var (framework, name): (FrameworkID?, String?)
        var resources = Resources()
        var count = 0
        var isDefault = false
        while let number = try part.next(lists: [5]) {
            switch number {
            case 1: id = try part.id()
            case 5:
                resources += try part.resource()
                count += 1
                guard count <= Self.resourceLimit else { throw Uncommon() }
            case 8: framework = try part.id()
            case 9: name = try part.text()
            case 15:
                guard try part.int32() == PBExecutorInfo.TypeEnum.default.rawValue else {
                    throw Uncommon()
                }
                isDefault = true
            default: throw Uncommon()
            }
        }
        guard isDefault else { throw Uncommon() }
        return ExecutorInfo(
            id: try needed(id), kind: .default, frameworkID: framework, resources: resources,
            name: name)
    }

    private mutating func knownTask() throws(Uncommon) -> AgentTask {
        var part = try message()
        var info: TaskInfo?
        var (framework, role): (FrameworkID?, String?)
        var (executor, state): (ExecutorID?, TaskState?)
        var status: TaskStatus?
        var isGrouped: Bool?
        var group: TaskID?
        while let number = try part.next() {
            switch number {
            case 1: info = try part.task()
            case 2: framework = try part.id()
            case 3: role = try part.text()
            case 4: executor = try part.id()
            case 5: state = try part.state()
            case 6: status = try part.status()
            case 7: isGrouped = try part.bool()
            case 8: group = try part.id()
            default: throw Uncommon()
            }
        }
        var grouping = TaskGrouping.unknown
        if let isGrouped { grouping = isGrouped ? .group(try needed(group)) : .single }
        return AgentTask(
            info: try needed(info), frameworkID: try needed(framework), role: try needed(role),
            executorID: try needed(executor), state: try needed(state), lastForwarded: status,
            grouping: grouping)
    }
}
