internal import DequeModule
public import ProfferKernel
public import ProfferModel

/// Offers a part of the processor time that tasks hold and have not used for a while.
///
/// Slack is what tasks with guaranteed resources hold less the most that each of them has used in a
/// window. Of that a share is offered, and never more than what is idle on the whole node, so that
/// processes which are no tasks count too. Memory is not offered: what a task has of it can only be
/// taken back by its death.
///
/// Nothing is offered until the window is full, and nothing is added while the node is beyond its
/// ``PressureLimits``.
public struct SlackEstimator: ResourceEstimator {
    /// Its settings.
    public struct Options: Hashable, Sendable {
        /// The part of the slack that is offered, in percent.
        public var sharePercent: Int64
        /// How many measurements the window holds.
        public var window: Int
        /// What is offered is a multiple of so much of a core.
        public var step: Milli
        /// Cores that stay idle, whatever the tasks use.
        public var reserve: Milli
        /// Beyond which nothing is offered.
        public var limits: PressureLimits

        /// Sets every field; what is left out has the default shown.
        public init(
            sharePercent: Int64 = 50, window: Int = 12, step: Milli = Milli(thousandths: 250),
            reserve: Milli = Milli(thousandths: 500), limits: PressureLimits = PressureLimits()
        ) {
            self.sharePercent = sharePercent
            self.window = window
            self.step = step
            self.reserve = reserve
            self.limits = limits
        }
    }

    private let options: Options
    private var gauge: PressureGauge
    private var past = LookupTable<TaskKey, Deque<Int64>>()
    private var idle: Deque<Int64> = []

    /// Makes an estimator that has seen nothing.
    public init(_ options: Options = Options()) {
        self.options = options
        gauge = PressureGauge(options.limits)
    }

    /// A part of what tasks hold and do not use.
    ///
    /// - Complexity: O(tasks · window).
    public mutating func estimate(_ node: NodeUsage, at now: Instant) -> Resources {
        let isPressed = gauge.excess(node.usage, at: now) != nil
        let slack = takeSlack(node.tasks)
        guard let busy = node.usage.cpus, node.usage.cores > 0 else { return Resources() }
        // What revocable tasks use is theirs already.
        let revocable = node.tasks.reduce(Int64(0)) { sum, task in
            sum + (task.isRevocable ? task.usage?.cpus?.thousandths ?? 0 : 0)
        }
        let all = Int64(node.usage.cores) * 1000
        note(all - busy.thousandths + revocable - options.reserve.thousandths)
        guard !isPressed, idle.count >= options.window, let least = idle.min() else {
            return Resources()
        }
        let share = slack / 100 * options.sharePercent
        let most = max(0, min(share, least))
        let step = max(1, options.step.thousandths)
        let whole = most / step * step
        return whole == 0 ? Resources() : Resources(cpus: Milli(thousandths: whole))
    }

    private mutating func note(_ idle: Int64) {
        self.idle.append(idle)
        if self.idle.count > options.window { self.idle.removeFirst() }
    }

    /// What is held and was not used by tasks that have been watched for a whole window.
    private mutating func takeSlack(_ tasks: [NodeUsage.Task]) -> Int64 {
        var slack: Int64 = 0
        var next = LookupTable<TaskKey, Deque<Int64>>()
        for task in tasks where !task.isRevocable {
            guard let used = task.usage?.cpus else { continue }
            var row = past[task.key] ?? []
            row.append(used.thousandths)
            if row.count > options.window { row.removeFirst() }
            if row.count >= options.window, let most = row.max() {
                slack += max(0, task.resources.cpus.thousandths - most)
            }
            next[task.key] = row
        }
        past = next
        return slack
    }
}
