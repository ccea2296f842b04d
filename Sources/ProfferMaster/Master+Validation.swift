internal import OrderedCollections
internal import ProfferKernel
internal import ProfferModel

extension Master {
    /// What is wrong with launching a task, or `nil`.
    func problemOfLaunch(
        _ task: TaskInfo, _ operation: Operation, _ accepted: AcceptedOffers
    ) -> String? {
        if let problem = problemOfTask(task, accepted) { return problem }
        return operation.id == nil ? nil : "LAUNCH may not have an operation id; remove it"
    }

    /// What is wrong with launching a group, or `nil`.
    func problemOfLaunch(
        _ executor: ExecutorInfo, _ list: [TaskInfo], _ operation: Operation,
        _ accepted: AcceptedOffers
    ) -> String? {
        if let problem = problemOfGroup(executor, list, accepted) { return problem }
        return operation.id == nil
            ? nil : "LAUNCH_GROUP may not have an operation id; remove it"
    }

    /// What is wrong with a task, in words for its author, or `nil`.
    func problemOfTask(_ task: TaskInfo, _ accepted: AcceptedOffers) -> String? {
        if let problem = problemOfDescription(task, accepted) { return problem }
        if (task.command == nil) == (task.executor == nil) {
            return "task '\(task.id)' must have exactly one of 'command' and 'executor'"
        }
        var needed = task.resources
        if let executor = task.executor {
            if let problem = problemOfExecutor(executor, accepted) { return problem }
            if executor.kind == .default {
                return "executor '\(executor.id)' of a single task may not be of type DEFAULT; "
                    + "use LAUNCH_GROUP or give a command"
            }
            if task.hasSecrets { return "task '\(task.id)': \(Self.foreignSecrets)" }
            if runningExecutor(executor.id, accepted) == nil { needed += executor.resources }
        }
        return problemOfFit(needed, accepted, "task '\(task.id)'")
    }

    /// What is wrong with a group, or `nil`; then all of it can be launched.
    func problemOfGroup(
        _ executor: ExecutorInfo, _ list: [TaskInfo], _ accepted: AcceptedOffers
    ) -> String? {
        if list.isEmpty { return "the task group is empty" }
        if let problem = problemOfExecutor(executor, accepted) { return problem }
        var needed =
            runningExecutor(executor.id, accepted) == nil ? executor.resources : Resources()
        var seen: Set<TaskID> = []
        for task in list {
            if let problem = problemOfDescription(task, accepted) { return problem }
            if !seen.insert(task.id).inserted {
                return "task '\(task.id)' is in the group twice"
            }
            if task.executor != nil {
                return "task '\(task.id)' of a group may not have an executor of its own"
            }
            if executor.kind == .custom, task.hasSecrets {
                return "task '\(task.id)': \(Self.foreignSecrets)"
            }
            if task.command == nil { return "task '\(task.id)' has no command" }
            needed += task.resources
        }
        return problemOfFit(needed, accepted, "the group")
    }

    private func problemOfDescription(
        _ task: TaskInfo, _ accepted: AcceptedOffers
    ) -> String? {
        if let problem = task.id.problem { return "task id '\(task.id)': \(problem)" }
        if tasks[TaskKey(accepted.framework, task.id)] != nil {
            return "task id '\(task.id)' is in use by a task that has not ended; use another"
        }
        if accepted.trial.launching.contains(task.id) {
            return "task id '\(task.id)' is used twice in one call"
        }
        if task.agentID != accepted.agent {
            return "task '\(task.id)' names agent '\(task.agentID)', but the offer is of "
                + "'\(accepted.agent)'"
        }
        if task.resources.isEmpty {
            return "task '\(task.id)' asks for no resources; give at least cpus and mem"
        }
        if let problem = problemOfResources(task.resources, "task '\(task.id)'") {
            return problem
        }
        if let priority = task.priority,
            let problem = problemOfPriority(priority, in: accepted.role)
        {
            return "task '\(task.id)': \(problem)"
        }
        if let grace = task.killPolicy?.gracePeriod, grace < .zero {
            return "task '\(task.id)': the grace period of its kill policy is negative"
        }
        if let limit = task.maxCompletionTime, limit < .zero {
            return "task '\(task.id)': its longest run time is negative"
        }
        if let limit = task.launchTimeout, limit <= .zero {
            return "task '\(task.id)': its launch timeout is not longer than zero"
        }
        if let command = task.command, let problem = problemOfCommand(command) {
            return "task '\(task.id)': \(problem)"
        }
        if let problem = problemOfSecrets(task) { return "task '\(task.id)': \(problem)" }
        for limit in task.limits {
            if let problem = problemOfLimit(limit, task) { return problem }
        }
        return problemOfChecks(task)
    }

    func problemOfPriority(_ priority: Int) -> String? {
        if priority.magnitude <= Demand.priorityLimit.magnitude { return nil }
        return "the priority \(priority) does not lie between -\(Demand.priorityLimit) and "
            + "\(Demand.priorityLimit)"
    }

    private func problemOfLimit(_ limit: ResourceLimit, _ task: TaskInfo) -> String? {
        guard limit.name == "cpus" || limit.name == "mem" else {
            return "task '\(task.id)': only cpus and mem can have a limit, not '\(limit.name)'"
        }
        if let amount = limit.amount, amount < task.resources.scalar(limit.name) {
            return "task '\(task.id)': its limit of \(limit.name) is below what it asks for"
        }
        return nil
    }

    private func problemOfCommand(_ command: CommandInfo) -> String? {
        if command.shell, (command.value ?? "").isEmpty { return "its shell command is empty" }
        if !command.shell, (command.value ?? "").isEmpty, command.arguments.isEmpty {
            return "its command names no program"
        }
        for variable in command.environment {
            if variable.name.isEmpty || variable.name.utf8.contains(0x3D)
                || variable.name.utf8.contains(0) || variable.value.utf8.contains(0)
            {
                return "its environment variable '\(variable.name)' has no valid name or value"
            }
        }
        return nil
    }

    private func problemOfChecks(_ task: TaskInfo) -> String? {
        if let check = task.healthCheck {
            let name = "task '\(task.id)': its health check"
            if check.delay < .zero || check.interval < .zero || check.timeout < .zero
                || check.gracePeriod < .zero
            {
                return "\(name) has a negative time"
            }
            if check.consecutiveFailures < 1 {
                return "\(name) must allow at least one failure"
            }
            if let problem = problemOfKind(check.kind) { return "\(name) \(problem)" }
        }
        if let check = task.check {
            let name = "task '\(task.id)': its check"
            if check.delay < .zero || check.interval < .zero || check.timeout < .zero {
                return "\(name) has a negative time"
            }
            if let problem = problemOfKind(check.kind) { return "\(name) \(problem)" }
        }
        return nil
    }

    private func problemOfKind(_ kind: CheckKind) -> String? {
        switch kind {
        case .command(let command):
            command.environment.contains { $0.secret != nil }
                ? "names secrets; it finds those of its task in its environment"
                : problemOfCommand(command).map { "cannot run: \($0)" }
        case .http(let scheme, let port, let path):
            scheme != "http" && scheme != "https"
                ? "has the scheme '\(scheme)'; use http or https"
                : !(1...65535).contains(port)
                    ? "has the port \(port), which is none"
                    : !path.isEmpty && !path.hasPrefix("/")
                        ? "has the path '\(path)', which must begin with '/'" : nil
        case .tcp(let port):
            (1...65535).contains(port) ? nil : "has the port \(port), which is none"
        }
    }

    private func problemOfExecutor(
        _ executor: ExecutorInfo, _ accepted: AcceptedOffers
    ) -> String? {
        if let problem = executor.id.problem {
            return "executor id '\(executor.id)': \(problem)"
        }
        if let id = executor.frameworkID, id != accepted.framework {
            return "executor '\(executor.id)' names another framework, '\(id)'"
        }
        if executor.resources.items.contains(where: \.isShared) {
            return "executor '\(executor.id)' may not have shared resources; give them to tasks"
        }
        if let problem = problemOfSecrets(executor) {
            return "executor '\(executor.id)': \(problem)"
        }
        if let running = runningExecutor(executor.id, accepted) {
            var given = executor
            given.frameworkID = accepted.framework
            if given != running {
                return "executor '\(executor.id)' runs on this agent with another description; "
                    + "use the same, or another id"
            }
        }
        return problemOfProgram(executor)
            ?? problemOfResources(executor.resources, "executor '\(executor.id)'")
    }

    private func problemOfProgram(_ executor: ExecutorInfo) -> String? {
        if let grace = executor.shutdownGracePeriod, grace < .zero {
            return "executor '\(executor.id)': its grace period is negative"
        }
        switch (executor.kind, executor.command) {
        case (.default, nil):
            return executor.container?.image == nil
                ? nil : "the DEFAULT executor '\(executor.id)' may not have an image"
        case (.default, _?):
            return "the DEFAULT executor '\(executor.id)' may not have a command"
        case (.custom, nil):
            return "executor '\(executor.id)' has no command; say which program it is"
        case (.custom, let command?):
            return problemOfCommand(command).map { "executor '\(executor.id)': \($0)" }
        }
    }

    /// An executor that lives on the agent, or would after what is tried.
    func runningExecutor(_ id: ExecutorID, _ accepted: AcceptedOffers) -> ExecutorInfo? {
        let key = ExecutorKey(accepted.framework, id)
        return agents[accepted.agent]?.executors[key]?.info
            ?? accepted.trial.starting[PlacedExecutor(agent: accepted.agent, executor: id)]
    }

    func problemOfResources(_ resources: Resources, _ owner: String) -> String? {
        if let problem = problemOfAmounts(resources, owner) { return problem }
        let revocable = Set(resources.items.lazy.filter(\.isRevocable).map(\.name))
        if revocable.isEmpty { return nil }
        return resources.items.first { !$0.isRevocable && revocable.contains($0.name) }
            .map { "\(owner) mixes revocable and other \($0.name)" }
    }

    func problemOfAmounts(_ resources: Resources, _ owner: String) -> String? {
        var volumes: Set<[String]> = []
        for item in resources.items {
            if item.name.isEmpty { return "\(owner) names a resource without a name" }
            if case .scalar(let amount) = item.value {
                if amount < .zero { return "\(owner) names a negative amount of \(item.name)" }
                if amount.thousandths > Milli.wireLimit {
                    return "\(owner) names more \(item.name) than there can be"
                }
                if item.name == "gpus", amount.thousandths % 1000 != 0 {
                    return "\(owner) names a part of a GPU; only whole ones can be had"
                }
            }
            if let id = item.disk?.persistenceID,
                !volumes.insert([id, item.reservedRole ?? ""]).inserted
            {
                return "\(owner) names the volume '\(id)' twice"
            }
        }
        return nil
    }

    private func problemOfFit(
        _ needed: Resources, _ accepted: AcceptedOffers, _ owner: String
    ) -> String? {
        // Of a shared volume one holder is offered, and any number of tasks may hold it.
        let holders = accepted.remaining.missingHolders(for: needed)
        if accepted.remaining.contains(needed) || (accepted.remaining + holders).contains(needed) {
            return nil
        }
        return "\(owner) needs \(needed), but of the offer only "
            + "\(accepted.remaining.isEmpty ? "nothing" : "\(accepted.remaining)") is left; "
            + "ask for less or wait for a larger offer"
    }
}
