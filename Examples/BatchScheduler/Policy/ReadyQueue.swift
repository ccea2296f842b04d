internal import Proffer

/// A task that has an instance to launch, by its rank among all of them.
struct Lane: Hashable, Comparable {
    /// Higher first.
    let priority: Int
    /// The job's; lower first.
    let sequence: Int64
    /// The task's position in the job; lower first.
    let position: Int
    let job: Slot<JobRow>

    static func < (left: Lane, right: Lane) -> Bool {
        if left.priority != right.priority { return left.priority > right.priority }
        if left.sequence != right.sequence { return left.sequence < right.sequence }
        return left.position < right.position
    }
}

/// The tasks that have an instance to launch, grouped by what one instance takes and by priority.
///
/// An offer asks for the first task that fits what is left of it: only the head of each group is
/// looked at, so the cost is the number of different demands, not of tasks. Tasks that start in
/// gangs stand beside the groups.
struct ReadyQueue {
    /// The tasks of one size and priority.
    struct Group {
        let demand: Demand
        let priority: Int
        /// How many instances these tasks can launch together.
        var instances = 0
        var lanes = LaneList()
    }

    /// By demand, rising, and priority, falling; none is empty.
    private(set) var sizes: [Group] = []
    private var gangs = LaneList()
    private var isChanged = false

    var isEmpty: Bool { sizes.isEmpty && gangs.isEmpty }

    /// The first of all tasks with a single instance to launch.
    ///
    /// O(different demands).
    var head: Lane? { sizes.compactMap(\.lanes.first).min() }

    /// The first tasks that start in gangs, at most `count`.
    func firstGangs(_ count: Int) -> [Lane] { gangs.prefix(count) }

    /// Whether anything has changed since this was asked last.
    mutating func takeChange() -> Bool {
        defer { isChanged = false }
        return isChanged
    }

    /// Notes that a task which starts in gangs has another number of instances.
    mutating func noteChange() { isChanged = true }

    /// Adds a lane that is not in.
    ///
    /// - Returns: Whether nothing with this demand was in.
    mutating func insert(_ lane: Lane, demand: Demand) -> Bool {
        isChanged = true
        let index = position(of: demand, lane.priority)
        let isKnown =
            index < sizes.count && sizes[index].demand == demand
            || index > 0 && sizes[index - 1].demand == demand
        if !isGroup(index, demand, lane.priority) {
            sizes.insert(Group(demand: demand, priority: lane.priority), at: index)
        }
        sizes[index].lanes.insert(lane)
        return !isKnown
    }

    /// Takes a lane out.
    mutating func remove(_ lane: Lane, demand: Demand) {
        isChanged = true
        let index = position(of: demand, lane.priority)
        guard isGroup(index, demand, lane.priority) else { return }
        sizes[index].lanes.remove(lane)
        if sizes[index].lanes.isEmpty { sizes.remove(at: index) }
    }

    /// Changes the number of instances that the tasks of a lane's group can launch.
    mutating func add(_ count: Int, to lane: Lane, demand: Demand) {
        isChanged = true
        let index = position(of: demand, lane.priority)
        guard isGroup(index, demand, lane.priority) else { return }
        sizes[index].instances += count
    }

    /// Adds a lane of gangs that is not in.
    mutating func insertGang(_ lane: Lane) {
        isChanged = true
        gangs.insert(lane)
    }

    /// Takes a lane of gangs out.
    mutating func removeGang(_ lane: Lane) {
        isChanged = true
        gangs.remove(lane)
    }

    /// The first of all lanes whose demand fits `room`.
    ///
    /// O(different demands).
    func first(fitting room: Demand) -> Lane? {
        var best: Lane?
        for group in sizes where group.demand.fits(room) {
            guard let head = group.lanes.first else { continue }
            if best.map({ head < $0 }) ?? true { best = head }
        }
        return best
    }

    private func isGroup(_ index: Int, _ demand: Demand, _ priority: Int) -> Bool {
        index < sizes.count && sizes[index].demand == demand && sizes[index].priority == priority
    }

    private func position(of demand: Demand, _ priority: Int) -> Int {
        var low = 0
        var high = sizes.count
        while low < high {
            let middle = (low + high) / 2
            let group = sizes[middle]
            let isBefore =
                group.demand < demand || group.demand == demand && group.priority > priority
            if isBefore { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

/// Lanes in order.
///
/// Adding at the end and removing at the front, which is what mostly happens, is amortised O(1).
struct LaneList {
    private var lanes: ContiguousArray<Lane> = []
    private var head = 0

    var isEmpty: Bool { head == lanes.count }
    var first: Lane? { isEmpty ? nil : lanes[head] }

    func prefix(_ count: Int) -> [Lane] { Array(lanes[head...].prefix(count)) }

    mutating func insert(_ lane: Lane) {
        let index = position(of: lane)
        if index == head, head > 0 {
            head -= 1
            lanes[head] = lane
        } else {
            lanes.insert(lane, at: index)
        }
    }

    mutating func remove(_ lane: Lane) {
        let index = position(of: lane)
        guard index < lanes.count, lanes[index] == lane else { return }
        if index == head {
            head += 1
            if head > 64, head * 2 > lanes.count {
                lanes.removeFirst(head)
                head = 0
            }
        } else {
            lanes.remove(at: index)
        }
    }

    private func position(of lane: Lane) -> Int {
        var low = head
        var high = lanes.count
        while low < high {
            let middle = (low + high) / 2
            if lanes[middle] < lane { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
