internal import ProfferKernel
internal import ProfferModel

/// What an agent knows of what is used, and how it offers the rest.
struct Measures: Sendable {
    /// The newest measurement, with those of the tasks.
    var usage: AgentUsage?
    var usageAt = Instant.zero
    var oversubscription: Oversubscription?
    /// What the master was told last that it may offer revocably.
    var oversubscribed = Resources()
    /// When that rose last.
    var roseAt: Instant?
}

extension TaskRow {
    /// A last word that says why the task had to go, if it had to for the others' sake.
    func preempted(_ status: TaskStatus) -> TaskStatus {
        guard let preemption, status.state == .killed || status.state == .failed else {
            return status
        }
        var status = status
        status.state = .gone
        status.reason = .containerPreempted
        status.message = preemption
        return status
    }
}

extension Agent {
    /// Takes note of what tasks of an executor use.
    mutating func note(_ usages: [TaskUsage], _ slot: Slot<ExecutorRow>, _ now: Instant) {
        guard let framework = executors[slot]?.key.framework else { return }
        for usage in usages where usage.key.framework == framework {
            guard let task = taskSlots[usage.key], let row = tasks[task], row.executor == slot,
                row.phase != .ended
            else { continue }
            var usage = usage
            usage.cpus = nil
            if let before = row.measured {
                usage.cpus = Milli(
                    cores: usage.cpuTime - before.usage.cpuTime, over: now - before.at)
            }
            tasks[task]?.measured = TaskRow.Measured(usage, at: now)
        }
    }

    /// Tells the master what the node and each live task use, and acts on it.
    mutating func report(_ measured: AgentUsage, _ turn: inout Turn) {
        var usage = measured
        if let before = measures.usage {
            usage.cpus = Milli(
                cores: usage.cpuTime - before.cpuTime, over: turn.now - measures.usageAt)
        }
        oversubscribe(usage, &turn)
        usage.tasks = tasks.slots.compactMap { tasks[$0]?.measured?.usage }
        measures.usage = usage
        measures.usageAt = turn.now
        if isRegistered { turn.tellMaster(.usage(usage)) }
    }

    /// Takes back what others need, and says what may be offered.
    private mutating func oversubscribe(_ usage: AgentUsage, _ turn: inout Turn) {
        guard var settings = measures.oversubscription else { return }
        let node = nodeUsage(usage)
        let corrections = settings.controller.corrections(node, at: turn.now)
        let estimate = settings.estimator.estimate(node, at: turn.now)
        measures.oversubscription = settings
        var offered = Self.revocable(estimate)
        if !corrections.isEmpty {
            // Under pressure nothing is offered that is not held already, even when nobody is
            // left who could go.
            offered = node.tasks.reduce(into: Resources()) { $0 += $1.resources.revocable }
        }
        for case .kill(let key, let reason) in corrections { preempt(key, reason, &turn) }
        tell(oversubscribed: offered, settings.interval, &turn)
    }

    private func nodeUsage(_ usage: AgentUsage) -> NodeUsage {
        let rows = tasks.slots.compactMap { tasks[$0] }.filter { $0.phase != .ended }
        let live = rows.sorted { $0.serial < $1.serial }
        return NodeUsage(
            total: info.resources, usage: usage,
            tasks: live.compactMap { row in
                row.info.map {
                    NodeUsage.Task(
                        key: row.key, resources: $0.resources, usage: row.measured?.usage)
                }
            })
    }

    /// Scalars above zero, marked revocable; nothing else can be given twice.
    private static func revocable(_ estimate: Resources) -> Resources {
        var result = Resources()
        for item in estimate.items {
            guard case .scalar(let amount) = item.value, amount > .zero, item.disk == nil,
                !item.isShared
            else { continue }
            result += Resource(item.name, item.value, isRevocable: true)
        }
        return result
    }

    /// A fall is told at once, a rise not more often than the interval.
    private mutating func tell(
        oversubscribed offered: Resources, _ interval: Duration, _ turn: inout Turn
    ) {
        let before = measures.oversubscribed
        guard offered != before else { return }
        if !before.contains(offered) {
            if let roseAt = measures.roseAt, turn.now - roseAt < interval { return }
            measures.roseAt = turn.now
        }
        measures.oversubscribed = offered
        turn.observe(.oversubscribed(offered))
        if isRegistered { turn.tellMaster(.oversubscribed(offered)) }
    }

    /// Says again what may be offered: a master that has just taken the agent in does not know.
    func repeatOversubscribed(_ turn: inout Turn) {
        guard measures.oversubscription != nil else { return }
        turn.tellMaster(.oversubscribed(measures.oversubscribed))
    }

    /// Kills a task that holds revocable resources; any other one stays.
    private mutating func preempt(_ key: TaskKey, _ reason: String, _ turn: inout Turn) {
        guard let slot = taskSlots[key], let row = tasks[slot], row.phase != .ended,
            row.info?.resources.items.contains(where: \.isRevocable) == true
        else { return }
        let message = "its revocable resources were taken back: \(reason)"
        if row.preemption == nil { turn.observe(.taskPreempted(key, reason: reason)) }
        tasks[slot]?.preemption = row.preemption ?? message
        if row.phase == .queued {
            killQueued(slot, .gone, .containerPreempted, message, &turn)
        } else {
            kill(key, KillPolicy(gracePeriod: .zero), &turn)
        }
    }
}
