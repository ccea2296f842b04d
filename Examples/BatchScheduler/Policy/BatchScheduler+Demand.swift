internal import Proffer

/// What the master is told, which is more than what one instance takes.
typealias StatedDemand = Proffer.Demand

extension BatchScheduler {
    /// How many gangs are stated at most; further ones are when these have started.
    private static let gangLimit = 200

    /// A priority as the master takes it.
    func stated(_ priority: Int) -> Int {
        min(max(priority, -StatedDemand.priorityLimit), StatedDemand.priorityLimit)
    }

    /// What waits: one demand for each size and priority, and one for each task that starts in
    /// gangs; those of the highest priority first.
    ///
    /// O(different sizes and priorities + gangs that are stated).
    func wantedDemand() -> [StatedDemand] {
        var list: [StatedDemand] = []
        for lane in queue.firstGangs(Self.gangLimit) {
            guard let job = jobs[lane.job] else { continue }
            let task = job.tasks[lane.position]
            list.append(
                StatedDemand(
                    id: Self.gangDemandID(job.id, task.specification.name), role: options.role,
                    resources: task.specification.demand.quantities,
                    count: task.gangInstances, priority: stated(lane.priority), gang: task.gang))
        }
        for group in queue.sizes {
            list.append(
                StatedDemand(
                    id: Self.demandID(group.demand, priority: group.priority),
                    role: options.role, resources: group.demand.quantities,
                    count: min(group.instances, StatedDemand.instanceLimit),
                    priority: stated(group.priority)))
        }
        // Sorting is stable: gangs go before single instances of their priority.
        return Array(list.sorted { $0.priority > $1.priority }.prefix(StatedDemand.countLimit))
    }

    /// The name of the demand for single instances of a size: `cpus:1;mem:32`, with the priority
    /// behind it when there is one.
    static func demandID(_ demand: Demand, priority: Int) -> String {
        priority == 0 ? "\(demand)" : "\(demand);priority:\(priority)"
    }

    static func gangDemandID(_ job: String, _ task: String) -> String { "\(job).\(task)" }

    /// The task that starts in gangs, by its rank.
    func gangLane(_ slot: Slot<JobRow>, _ position: Int) -> Lane? {
        guard let job = jobs[slot], job.tasks[position].isGangQueued else { return nil }
        return lane(of: job, slot, position)
    }

    func lane(of job: JobRow, _ slot: Slot<JobRow>, _ position: Int) -> Lane {
        Lane(
            priority: job.tasks[position].specification.priority ?? job.priority,
            sequence: job.sequence, position: position, job: slot)
    }
}

extension Demand {
    var quantities: ResourceQuantities {
        Resources(cpus: cpus, mem: mem, disk: disk).quantities
    }
}
