internal import Glibc
public import ProfferIsolation
public import ProfferModel

/// What a task's cgroup has used, and how near it is to its limits.
public struct CgroupUsage: Hashable, Sendable {
    /// User and system time of all its processes so far, also of those that have ended.
    public var cpuTime: Duration?
    /// How long it had to wait because of its limit of processor time.
    public var throttledTime: Duration?
    /// What it holds, with what the kernel caches for it.
    public var memoryBytes: Int64?
    /// The most that it held.
    public var peakMemoryBytes: Int64?
    /// Beyond which the kernel kills; `nil` is all there is.
    public var memoryLimitBytes: Int64?
    /// How many of its processes the kernel has killed for that.
    public var outOfMemoryKills: Int
    /// Processes and threads.
    public var processes: Int?
    /// How long all or some of its processes waited for the processor, memory or disks; only the
    /// unified tree counts it.
    public var pressure: Pressure?
}

/// Reads what the kernel counts for the cgroups of tasks.
public struct CgroupProbe: Hashable, Sendable {
    private let planner: CgroupPlanner
    private let processorTree: CgroupHierarchy?
    private let timeTree: CgroupHierarchy?
    private let memoryTree: CgroupHierarchy?
    private let countTree: CgroupHierarchy?

    /// Makes a probe for the trees of a node.
    public init(_ planner: CgroupPlanner) {
        self.planner = planner
        processorTree = planner.layout.hierarchy(of: "cpu")
        let time = planner.layout.hierarchy(of: "cpuacct")
        timeTree = time.flatMap { planner.trees().contains($0) ? $0 : nil }
        memoryTree = planner.layout.hierarchy(of: "memory")
        countTree = planner.layout.hierarchy(of: "pids")
    }

    /// What is needed again and again: time, memory, number of processes, and how long they were
    /// throttled or waited.
    ///
    /// - Complexity: four small files of the kernel, and three more where there is a unified tree.
    public func sample(_ name: String) -> CgroupUsage {
        usage(of: counters(name).map { $0.flatMap { ProcFile.text($0, limit: 2048) } })
    }

    /// The files of time, memory, number of processes, throttling and the three kinds of pressure;
    /// `nil` where the node has none.
    func counters(_ name: String) -> [String?] {
        let isOwn = timeTree?.version == .one
        let time = (isOwn ? timeTree : planner.layout.unified).map {
            planner.path(name, in: $0) + (isOwn ? "/cpuacct.usage" : "/cpu.stat")
        }
        let memory = memoryTree.map {
            planner.path(name, in: $0)
                + ($0.version == .one ? "/memory.usage_in_bytes" : "/memory.current")
        }
        // In the unified tree the file of the time says it too.
        let throttling = processorTree.flatMap {
            $0.version == .one ? planner.path(name, in: $0) + "/cpu.stat" : nil
        }
        return [
            time, memory, countTree.map { planner.path(name, in: $0) + "/pids.current" },
            throttling,
        ] + pressureFiles(name)
    }

    /// The unified tree counts waiting in every group, whatever its controllers.
    private func pressureFiles(_ name: String) -> [String?] {
        guard let tree = planner.layout.unified else { return [nil, nil, nil] }
        let path = planner.path(name, in: tree)
        return ["cpu", "memory", "io"].map { "\(path)/\($0).pressure" }
    }

    /// What the files of ``counters(_:)`` say.
    func usage(of texts: [String?]) -> CgroupUsage {
        var usage = CgroupUsage(outOfMemoryKills: 0)
        let numbers = texts.prefix(3).map { text in
            text.flatMap { Int64($0.prefix { $0 != "\n" }) }
        }
        let times = texts[0].map { Self.table($0) } ?? [:]
        // The unified tree counts time in every group, whatever its controllers.
        usage.cpuTime =
            numbers[0].map { .nanoseconds($0) }
            ?? times["usage_usec"].map { .microseconds($0) }
        usage.memoryBytes = numbers[1]
        usage.processes = numbers[2].map { Int($0) }
        usage.throttledTime =
            times["throttled_usec"].map { .microseconds($0) }
            ?? texts[3].flatMap { Self.table($0)["throttled_time"] }.map { .nanoseconds($0) }
        let pressure = Pressure(
            cpu: texts[4].flatMap(PressureText.total), memory: texts[5].flatMap(PressureText.total),
            io: texts[6].flatMap(PressureText.total))
        usage.pressure = pressure.isEmpty ? nil : pressure
        return usage
    }

    /// Everything that is known; for people.
    ///
    /// - Complexity: about ten small files of the kernel.
    public func full(_ name: String) -> CgroupUsage {
        var usage = sample(name)
        addMemory(of: name, to: &usage)
        return usage
    }

    /// What is told of a task that has ended: time, the most memory, and what the kernel killed.
    ///
    /// - Complexity: four small files of the kernel.
    public func account(of name: String) -> CgroupUsage {
        let time = counters(name)[0].flatMap { ProcFile.text($0, limit: 2048) }
        var usage = usage(of: [time, nil, nil, nil, nil, nil, nil])
        addMemory(of: name, to: &usage)
        return usage
    }

    private func addMemory(of name: String, to usage: inout CgroupUsage) {
        switch memoryTree?.version {
        case .one:
            usage.peakMemoryBytes = memoryTree.flatMap {
                number($0, name, "memory.max_usage_in_bytes")
            }
            // What is not limited reads as the largest number of whole pages.
            usage.memoryLimitBytes = memoryTree.flatMap {
                number($0, name, "memory.limit_in_bytes")
            }.flatMap { $0 < 1 << 60 ? $0 : nil }
            usage.outOfMemoryKills =
                memoryTree.map {
                    Int(table($0, name, "memory.oom_control")["oom_kill"] ?? 0)
                } ?? 0
        case .two:
            usage.peakMemoryBytes = memoryTree.flatMap { number($0, name, "memory.peak") }
            usage.memoryLimitBytes = memoryTree.flatMap { number($0, name, "memory.max") }
            usage.outOfMemoryKills =
                memoryTree.map {
                    Int(table($0, name, "memory.events")["oom_kill"] ?? 0)
                } ?? 0
        case nil: break
        }
    }

    private func number(_ tree: CgroupHierarchy, _ name: String, _ file: String) -> Int64? {
        ProcFile.text(planner.path(name, in: tree) + "/" + file, limit: 64).flatMap { Int64($0) }
    }

    /// Lines of a name and a number.
    private func table(
        _ tree: CgroupHierarchy, _ name: String, _ file: String
    ) -> [Substring: Int64] {
        Self.table(
            ProcFile.text(planner.path(name, in: tree) + "/" + file, limit: 4096) ?? "")
    }

    private static func table(_ text: String) -> [Substring: Int64] {
        var table: [Substring: Int64] = [:]
        for line in text.split(separator: "\n") {
            let fields = line.split(separator: " ")
            if fields.count == 2 { table[fields[0]] = Int64(fields[1]) }
        }
        return table
    }

    /// Writes new limits to the cgroup of a task that runs.
    ///
    /// - Throws: ``SystemError`` of the first that the kernel does not take; those before it hold.
    public func resize(
        _ name: String, from old: CgroupLimits, to new: CgroupLimits
    ) throws(SystemError) {
        for step in planner.resize(name, from: old, to: new) {
            guard case .set(let path, let value, let need) = step else { continue }
            do throws(SystemError) {
                try Cgroup.write(value, to: path)
            } catch {
                if need == .required { throw error }
            }
        }
    }

    /// Kills everything in the cgroup of a task; what is dying is not waited for.
    ///
    /// - Returns: Whether nothing is left.
    @discardableResult
    public func kill(_ name: String) -> Bool {
        var isEmpty = true
        // The unified tree or the freezer comes last and kills most surely.
        for tree in planner.trees().reversed() where !Cgroup(planner.path(name, in: tree)).kill() {
            isEmpty = false
        }
        return isEmpty
    }
}

/// The lines in which the kernel tells how long processes have waited.
enum PressureText {
    /// How long at least one has waited, in total; `nil` when the text does not say.
    static func total(_ text: String) -> Duration? {
        let line = text.split(separator: "\n").first { $0.hasPrefix("some ") }
        let field = line?.split(separator: " ").last { $0.hasPrefix("total=") }
        return field.flatMap { Int64($0.dropFirst(6)) }.map { .microseconds($0) }
    }
}
