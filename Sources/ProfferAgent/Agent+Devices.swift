internal import ProfferKernel
internal import ProfferModel

/// Which GPUs tasks and executors have been given.
///
/// It stands in what is kept of them, so that it holds over a restart of the agent: in the
/// environment of their command, or in the labels of a task that has none.
enum GPUAssignment {
    private static let name = GPUNames.variable
    /// What tools and libraries of the maker go by.
    private static let others = ["NVIDIA_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES"]

    /// How many whole GPUs are among resources.
    static func count(_ resources: Resources) -> Int {
        Int(max(0, resources.scalar("gpus").thousandths) / 1000)
    }

    /// The task with these GPUs; of a node without any it stays as it is.
    static func marked(_ task: TaskInfo, _ devices: [String]) -> TaskInfo {
        var task = task
        if let command = task.command {
            task.command?.environment = marked(command.environment, devices)
            return task
        }
        task.labels.removeAll { $0.key == name }
        if !devices.isEmpty { task.labels.append(Label(name, devices.joined(separator: ","))) }
        return task
    }

    /// The task without what ``marked(_:_:)`` has added, as the master knows it.
    static func unmarked(_ task: TaskInfo) -> TaskInfo {
        var task = task
        task.labels.removeAll { $0.key == name }
        if let command = task.command {
            task.command?.environment = unmarked(command.environment)
        }
        return task
    }

    /// The executor without its GPUs.
    static func unmarked(_ executor: ExecutorInfo) -> ExecutorInfo {
        var executor = executor
        if let command = executor.command {
            executor.command?.environment = unmarked(command.environment)
        }
        return executor
    }

    /// The variables with these GPUs.
    static func marked(
        _ environment: [EnvironmentVariable], _ devices: [String]
    ) -> [EnvironmentVariable] {
        let list = devices.joined(separator: ",")
        var marked = unmarked(environment)
        // The maker's own word for none at all.
        let values = [list, list.isEmpty ? "void" : list, list]
        for (name, value) in zip([name] + others, values) {
            marked.append(EnvironmentVariable(name: name, value: value))
        }
        return marked
    }

    private static func unmarked(_ environment: [EnvironmentVariable]) -> [EnvironmentVariable] {
        environment.filter { $0.name != name && !others.contains($0.name) }
    }

    /// The GPUs of a task.
    static func devices(of task: TaskInfo) -> [String] {
        if let command = task.command { return GPUNames.names(in: command.environment) }
        return GPUNames.names(in: task.labels.last { $0.key == name }?.value ?? "")
    }
}

extension Agent {
    /// The GPUs that nobody has.
    private var freeDevices: [String] {
        if configuration.gpus.isEmpty { return [] }
        var taken: [String] = []
        for slot in tasks.slots {
            guard let row = tasks[slot], row.phase != .ended, let info = row.info else { continue }
            taken += GPUAssignment.devices(of: info)
        }
        for slot in executors.slots {
            taken += GPUNames.names(in: executors[slot]?.info.command?.environment ?? [])
        }
        return configuration.gpus.filter { !taken.contains($0) }
    }

    /// Why there are not enough GPUs for tasks, and for their executor if it is to be started.
    func problemOfDevices(_ tasks: [TaskInfo], _ executor: ExecutorInfo?) -> String? {
        if configuration.gpus.isEmpty { return nil }
        var wanted = tasks.reduce(0) { $0 + GPUAssignment.count($1.resources) }
        wanted += executor.map { GPUAssignment.count($0.resources) } ?? 0
        if wanted == 0 { return nil }
        let free = freeDevices.count
        return free < wanted ? "\(wanted) GPUs are wanted and \(free) are free" : nil
    }

    /// Gives a task the GPUs that it takes.
    func withDevices(_ task: TaskInfo) -> TaskInfo {
        if configuration.gpus.isEmpty { return task }
        let count = GPUAssignment.count(task.resources)
        return GPUAssignment.marked(task, count == 0 ? [] : Array(freeDevices.prefix(count)))
    }

    /// Gives an executor the GPUs that it takes.
    func withDevices(_ executor: ExecutorInfo) -> ExecutorInfo {
        if configuration.gpus.isEmpty || executor.command == nil { return executor }
        var executor = GPUAssignment.unmarked(executor)
        let count = GPUAssignment.count(executor.resources)
        if count > 0, let command = executor.command {
            executor.command?.environment = GPUAssignment.marked(
                command.environment, Array(freeDevices.prefix(count)))
        }
        return executor
    }
}
