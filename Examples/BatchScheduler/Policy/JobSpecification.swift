public import Proffer

/// A job as its file describes it: tasks that depend on each other, each run once or as an array.
public struct JobSpecification: Hashable, Sendable, Codable {
    /// For people and the first part of the job's id; see ``isName(_:)``.
    public var name: String
    /// Higher first.
    public var priority: Int
    /// At least one; names are unique.
    public var tasks: [TaskSpecification]

    /// Describes a job.
    public init(name: String, priority: Int = 0, tasks: [TaskSpecification]) {
        self.name = name
        self.priority = priority
        self.tasks = tasks
    }

    /// How many instances all tasks have together; saturates.
    public var instanceCount: Int {
        tasks.reduce(0) { sum, task in
            let (total, overflow) = sum.addingReportingOverflow(task.count)
            return overflow ? .max : total
        }
    }

    /// Whether `text` may name a job or a task: 1 to 63 letters, digits, `-` and `_`, beginning
    /// with a letter or digit.
    ///
    /// So an id made of names joined by dots is short enough and can be taken apart again.
    public static func isName(_ text: String) -> Bool {
        guard let first = text.utf8.first, text.utf8.count <= 63 else { return false }
        let isPlain = { (byte: UInt8) in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
            case _: false
            }
        }
        return isPlain(first) && text.utf8.allSatisfy { isPlain($0) || $0 == 0x2D || $0 == 0x5F }
    }
}

/// One task of a job.
public struct TaskSpecification: Hashable, Sendable, Codable {
    /// Unique in the job; see ``JobSpecification/isName(_:)``.
    public var name: String
    /// Run by `/bin/sh -c`.
    public var command: String
    /// How many instances there are; 1 unless it is an array.
    public var count: Int
    /// How many instances may run at once; `nil` is as many as fit.
    public var concurrency: Int?
    /// How many instances start at once or not at all; `nil` is each by itself.
    ///
    /// The number of instances is a multiple of it. One that has failed or was lost is run again by
    /// itself.
    public var gang: Int?
    /// What one instance takes.
    public var demand: Demand
    /// Higher first; `nil` is the job's.
    public var priority: Int?
    /// The tasks that must have finished before.
    public var depends: [String]
    /// Added to the environment of every instance.
    public var environment: [Variable]
    /// What happens after a failure.
    public var retry: RetryRule
    /// How long one attempt may run; `nil` is for ever.
    public var timeLimit: Duration?
    /// Files to collect from the sandbox of each instance that has finished.
    public var outputs: [String]

    /// A variable of the environment.
    public struct Variable: Hashable, Sendable, Codable {
        /// Its name.
        public var name: String
        /// Its value.
        public var value: String

        /// Names a value.
        public init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    /// Describes a task; what is left out has the default shown.
    public init(
        name: String, command: String, count: Int = 1, concurrency: Int? = nil,
        gang: Int? = nil, demand: Demand = Demand(), priority: Int? = nil, depends: [String] = [],
        environment: [Variable] = [], retry: RetryRule = RetryRule(), timeLimit: Duration? = nil,
        outputs: [String] = []
    ) {
        self.name = name
        self.command = command
        self.count = count
        self.concurrency = concurrency
        self.gang = gang
        self.demand = demand
        self.priority = priority
        self.depends = depends
        self.environment = environment
        self.retry = retry
        self.timeLimit = timeLimit
        self.outputs = outputs
    }
}

/// What one instance of a task takes from an offer.
public struct Demand: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// Cores.
    public var cpus: Milli
    /// Memory, mebibytes.
    public var mem: Milli
    /// Disk, mebibytes.
    public var disk: Milli

    /// States a demand; what is left out has the default shown.
    public init(
        cpus: Milli = Milli(thousandths: 100), mem: Milli = Milli(32), disk: Milli = .zero
    ) {
        self.cpus = cpus
        self.mem = mem
        self.disk = disk
    }

    /// Whether all of it is within `room`.
    public func fits(_ room: Demand) -> Bool {
        cpus <= room.cpus && mem <= room.mem && disk <= room.disk
    }

    /// Whether `left` sorts first; the order means nothing.
    public static func < (left: Demand, right: Demand) -> Bool {
        (left.cpus, left.mem, left.disk) < (right.cpus, right.mem, right.disk)
    }

    /// As resources are written, `cpus:0.1;mem:32`, or `nothing`.
    public var description: String {
        let text = Resources(cpus: cpus, mem: mem, disk: disk).description
        return text.isEmpty ? "nothing" : text
    }
}

extension Demand: Codable {
    private enum Key: String, CodingKey {
        case cpus
        case mem
        case disk
    }

    /// Reads thousandths.
    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: Key.self)
        cpus = Milli(thousandths: try values.decode(Int64.self, forKey: .cpus))
        mem = Milli(thousandths: try values.decode(Int64.self, forKey: .mem))
        disk = Milli(thousandths: try values.decode(Int64.self, forKey: .disk))
    }

    /// Writes thousandths.
    public func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: Key.self)
        try values.encode(cpus.thousandths, forKey: .cpus)
        try values.encode(mem.thousandths, forKey: .mem)
        try values.encode(disk.thousandths, forKey: .disk)
    }
}

/// What happens after an instance of a task has failed.
///
/// It speaks of failures of the task itself only: an instance that was lost with its agent, never
/// started or killed by somebody else is run again in any case.
public struct RetryRule: Hashable, Sendable, Codable {
    /// How often an instance is run again after a failure.
    public var limit: Int
    /// The pause before the first retry.
    public var backoff: Duration
    /// By how much the pause grows from retry to retry, in thousandths; at least 1,000.
    public var factorThousandths: Int
    /// The longest pause.
    public var longestBackoff: Duration
    /// The exit codes that are worth a retry (128 + n for signal n); `nil` is any failure.
    public var exitCodes: [Int]?

    /// Describes a rule; what is left out has the default shown.
    public init(
        limit: Int = 0, backoff: Duration = .seconds(1), factorThousandths: Int = 2000,
        longestBackoff: Duration = .seconds(60), exitCodes: [Int]? = nil
    ) {
        self.limit = limit
        self.backoff = backoff
        self.factorThousandths = factorThousandths
        self.longestBackoff = longestBackoff
        self.exitCodes = exitCodes
    }

    /// The pause before the retry with this number, from 1.
    ///
    /// O(the retries until the longest pause).
    public func pause(beforeRetry number: Int) -> Duration {
        let longest = max(0, longestBackoff.inNanoseconds)
        var pause = min(max(0, backoff.inNanoseconds), longest)
        guard pause > 0, factorThousandths > 1000 else { return .nanoseconds(pause) }
        var round = 1
        while round < number, pause < longest {
            let (scaled, overflow) = pause.multipliedReportingOverflow(
                by: Int64(factorThousandths))
            pause = overflow ? longest : min(longest, max(scaled / 1000, pause + 1))
            round += 1
        }
        return .nanoseconds(pause)
    }

    /// Whether a failure with this exit code is worth a retry; `nil` is a failure without one.
    public func covers(exitCode: Int?) -> Bool {
        guard let exitCodes else { return true }
        return exitCode.map(exitCodes.contains) ?? false
    }
}
