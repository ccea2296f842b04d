public import ProfferModel

/// How tasks are kept apart on a node.
public enum IsolationMode: String, Hashable, Sendable, CaseIterable {
    /// A session of its own; limits of the kernel for single processes. Needs no privileges.
    case process
    /// A cgroup as well: processor, memory and number of processes are limited for the whole task.
    case cgroup
    /// A container as well: an own root file system, own namespaces, a filter of system calls.
    case oci
}

/// What an operator has decided for all tasks of a node.
public struct IsolationSettings: Hashable, Sendable {
    /// How tasks are kept apart.
    public var mode: IsolationMode
    /// Below which cgroup the tasks have theirs, from the top of every tree: `/proffer/node`.
    public var cgroupRoot: String
    /// Whether `cpus` is the most that a task gets, also when the node has nothing else to do.
    public var limitsCPU: Bool
    /// Whether a task dies when its sandbox takes more than its `disk`.
    public var limitsDisk: Bool
    /// How much may be swapped out beyond the limit of memory, in bytes.
    public var swapBytes: Int64
    /// How many processes and threads a task may have.
    public var processLimit: Int
    /// How many descriptors each of its processes may have, unless the task says otherwise.
    public var descriptorLimit: UInt64
    /// The cores that tasks may use, as the kernel writes lists: `0-2,5`; `nil` is all.
    public var cores: String?
    /// The task's chance to die when the node has no memory left, from -1000 to 1000.
    public var oomScore: Int
    /// The user to run as when a task names none; `nil` is the executor's own.
    public var user: String?
    /// How containers are made.
    public var containers: ContainerSettings

    /// Sets every field; what is left out has the default shown.
    public init(
        mode: IsolationMode = .process,
        cgroupRoot: String = "/proffer",
        limitsCPU: Bool = false,
        limitsDisk: Bool = false,
        swapBytes: Int64 = 0,
        processLimit: Int = 4096,
        descriptorLimit: UInt64 = 65_536,
        cores: String? = nil,
        oomScore: Int = 300,
        user: String? = nil,
        containers: ContainerSettings = ContainerSettings()
    ) {
        self.mode = mode
        self.cgroupRoot = cgroupRoot
        self.limitsCPU = limitsCPU
        self.limitsDisk = limitsDisk
        self.swapBytes = swapBytes
        self.processLimit = processLimit
        self.descriptorLimit = descriptorLimit
        self.cores = cores
        self.oomScore = oomScore
        self.user = user
        self.containers = containers
    }

    /// What this mode does not keep a task from, each as one phrase; empty when nothing is left.
    ///
    /// - Parameters:
    ///   - layout: The cgroups of the node.
    ///   - isRoot: Whether the executor is privileged.
    /// - Returns: The phrases.
    public func gaps(on layout: CgroupLayout, isRoot: Bool) -> [String] {
        var gaps: [String] = []
        if mode == .process {
            gaps += [
                "processor, memory and number of processes are counted, not limited",
                "a process that clears its environment and makes a session can outlive its task",
            ]
        } else {
            gaps += layout.missing.map { "the node has no cgroup controller '\($0)'" }
            if !limitsCPU {
                gaps.append("a task may use processor time that nobody else wants")
            }
        }
        if mode != .oci {
            gaps.append("tasks see the node's files, processes and network")
            if !isRoot { gaps.append("every task runs as the user of the agent") }
        }
        gaps.append(
            limitsDisk
                ? "a task can take more disk than it has until it is measured next"
                : "disk is counted, not limited")
        return gaps
    }
}

// MARK: As environment

extension IsolationSettings {
    /// What an executor finds in its environment.
    public var environment: [EnvironmentVariable] {
        var list = [
            EnvironmentVariable(name: "PROFFER_ISOLATION", value: mode.rawValue),
            EnvironmentVariable(name: "PROFFER_CGROUP_ROOT", value: cgroupRoot),
            EnvironmentVariable(name: "PROFFER_CPU_LIMIT", value: limitsCPU ? "1" : "0"),
            EnvironmentVariable(name: "PROFFER_DISK_LIMIT", value: limitsDisk ? "1" : "0"),
            EnvironmentVariable(name: "PROFFER_SWAP_BYTES", value: "\(swapBytes)"),
            EnvironmentVariable(name: "PROFFER_PROCESS_LIMIT", value: "\(processLimit)"),
            EnvironmentVariable(name: "PROFFER_DESCRIPTOR_LIMIT", value: "\(descriptorLimit)"),
            EnvironmentVariable(name: "PROFFER_OOM_SCORE", value: "\(oomScore)"),
        ]
        if let cores { list.append(EnvironmentVariable(name: "PROFFER_CORES", value: cores)) }
        if let user { list.append(EnvironmentVariable(name: "PROFFER_TASK_USER", value: user)) }
        return mode == .oci ? list + containers.environment : list
    }

    /// Reads ``environment``; what is missing or no value has its default.
    public init(environment: (String) -> String?) {
        self.init()
        mode = environment("PROFFER_ISOLATION").flatMap(IsolationMode.init) ?? mode
        cgroupRoot = environment("PROFFER_CGROUP_ROOT") ?? cgroupRoot
        limitsCPU = environment("PROFFER_CPU_LIMIT") == "1"
        limitsDisk = environment("PROFFER_DISK_LIMIT") == "1"
        swapBytes = environment("PROFFER_SWAP_BYTES").flatMap { Int64($0) } ?? swapBytes
        processLimit = environment("PROFFER_PROCESS_LIMIT").flatMap { Int($0) } ?? processLimit
        descriptorLimit =
            environment("PROFFER_DESCRIPTOR_LIMIT").flatMap { UInt64($0) } ?? descriptorLimit
        oomScore = environment("PROFFER_OOM_SCORE").flatMap { Int($0) } ?? oomScore
        cores = environment("PROFFER_CORES")
        user = environment("PROFFER_TASK_USER")
        containers = ContainerSettings(environment: environment)
    }
}
