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

/// The tasks that have an instance to launch, grouped by what one instance takes.
///
/// An offer asks for the first task that fits what is left of it: only the head of each group is
/// looked at, so the cost is the number of different demands, not of tasks.
struct ReadyQueue {
    private struct Group {
        let demand: Demand
        var lanes = LaneList()
    }

    /// By demand, rising; none is empty.
    private var groups: [Group] = []

    var isEmpty: Bool { groups.isEmpty }

    /// Adds a lane that is not in.
    ///
    /// - Returns: Whether nothing with this demand was in.
    mutating func insert(_ lane: Lane, demand: Demand) -> Bool {
        let index = position(of: demand)
        let isNew = index == groups.count || groups[index].demand != demand
        if isNew { groups.insert(Group(demand: demand), at: index) }
        groups[index].lanes.insert(lane)
        return isNew
    }

    /// Takes a lane out.
    mutating func remove(_ lane: Lane, demand: Demand) {
        let index = position(of: demand)
        guard index < groups.count, groups[index].demand == demand else { return }
        groups[index].lanes.remove(lane)
        if groups[index].lanes.isEmpty { groups.remove(at: index) }
    }

    /// The first of all lanes whose demand fits `room`.
    ///
    /// O(different demands).
    func first(fitting room: Demand) -> Lane? {
        var best: Lane?
        for group in groups where group.demand.fits(room) {
            guard let head = group.lanes.first else { continue }
            if best.map({ head < $0 }) ?? true { best = head }
        }
        return best
    }

    private func position(of demand: Demand) -> Int {
        var low = 0
        var high = groups.count
        while low < high {
            let middle = (low + high) / 2
            if groups[middle].demand < demand { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

/// Lanes in order.
///
/// Adding at the end and removing at the front, which is what mostly happens, is amortised O(1).
private struct LaneList {
    private var lanes: ContiguousArray<Lane> = []
    private var head = 0

    var isEmpty: Bool { head == lanes.count }
    var first: Lane? { isEmpty ? nil : lanes[head] }

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
