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

    private mutating func agent() throws(Uncommon) -> AgentInfo {
        let bytes = try data()
        do throws(WireError) {
            return try parse(PBAgentInfo.self, bytes, limit: WireLimits.state, "agent").model()
        } catch {
            throw Uncommon()
        }
    }

    private mutating func knownExecutor() throws(Uncommon) -> AgentExecutor {
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
