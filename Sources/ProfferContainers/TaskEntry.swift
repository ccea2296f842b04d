internal import Glibc
public import ProfferIsolation
public import ProfferModel

/// How a further program becomes part of a task that runs: as whom, where and within what.
public struct TaskEntry: Sendable {
    /// The first process of the task.
    public let process: Int32
    private let identity: ContainerUser
    private let environment: [EnvironmentVariable]
    private let sandbox: String
    private let confinement: Confinement
    private let container: ContainerEntry?

    /// Finds the first process of a task: the oldest child of its executor that has the task's name
    /// in its environment.
    ///
    /// O(processes of the node).
    ///
    /// - Parameters:
    ///   - task: The task.
    ///   - executor: The process of its executor.
    ///   - sandbox: The task's directory.
    ///   - settings: How the agent keeps tasks apart.
    ///   - numberFile: A path for a file of this entry's own.
    /// - Throws: ``SystemError`` when the task has no process.
    public init(
        _ task: TaskKey, of executor: Int32, sandbox: String, settings: IsolationSettings,
        numberFile: String
    ) throws(SystemError) {
        guard let found = Self.firstProcess(of: task, executor) else {
            throw SystemError(
                "enter", "task \(task.task)", code: ESRCH, hint: "the task has no process now")
        }
        process = found
        self.sandbox = sandbox
        environment = Self.environment(of: found)
        let status = ProcFile.text("/proc/\(found)/status") ?? ""
        identity = Self.identity(status)
        let name = Self.cgroupName(of: found, below: settings.cgroupRoot)
        var confinement = Confinement()
        confinement.keepsUnprivileged = status.contains("NoNewPrivs:\t1")
        if settings.mode != .process, let name {
            let planner = CgroupPlanner(
                layout: NodeCgroups.layout(), root: settings.cgroupRoot,
                keepsDevices: !settings.gpus.devices.isEmpty)
            confinement.cgroups = planner.trees().map { planner.entry(name, in: $0) }
                .filter { access($0, F_OK) == 0 }
        }
        self.confinement = confinement
        let isContained =
            settings.mode == .oci
            && ProcFile.link("/proc/\(found)/ns/pid") != ProcFile.link("/proc/self/ns/pid")
        container =
            isContained
            ? ContainerEntry(
                runtime: ContainerRuntime(
                    program: settings.containers.runtime,
                    stateDirectory: settings.containers.bundles + "/runtime"),
                name: name ?? "", process: found, numberFile: numberFile)
            : nil
    }

    private static func firstProcess(of task: TaskKey, _ executor: Int32) -> Int32? {
        let wanted = [
            "PROFFER_TASK_ID=\(task.task)", "PROFFER_FRAMEWORK_ID=\(task.framework)",
        ]
        var best: (pid: Int32, ticks: UInt64)?
        ProcFile.forEachProcess { pid, _ in
            guard ProcessStat(pid: pid)?.parent == executor,
                let ticks = ProcessIdentity(pid: pid)?.startTicks, ticks < best?.ticks ?? .max
            else { return }
            let lines = variables(of: pid)
            if wanted.allSatisfy(lines.contains) { best = (pid, ticks) }
        }
        return best?.pid
    }

    private static func variables(of pid: Int32) -> [String] {
        let bytes = ProcFile.bytes("/proc/\(pid)/environ", limit: 1 << 20) ?? []
        return bytes.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
    }

    private static func environment(of pid: Int32) -> [EnvironmentVariable] {
        variables(of: pid).compactMap { line in
            guard let place = line.firstIndex(of: "=") else { return nil }
            return EnvironmentVariable(
                name: String(line[..<place]), value: String(line[line.index(after: place)...]))
        }
    }

    private static func identity(_ status: String) -> ContainerUser {
        func numbers(_ name: String) -> [UInt32] {
            let line = status.split(separator: "\n").first { $0.hasPrefix(name + ":") } ?? ""
            return line.dropFirst(name.utf8.count + 1).split { $0 == "\t" || $0 == " " }
                .compactMap { UInt32($0) }
        }
        // Of four numbers the second one is the effective one.
        let group = numbers("Gid").dropFirst().first ?? 65_534
        return ContainerUser(
            id: numbers("Uid").dropFirst().first ?? 65_534, group: group,
            groups: numbers("Groups"))
    }

    private static func cgroupName(of pid: Int32, below root: String) -> String? {
        let text = ProcFile.text("/proc/\(pid)/cgroup") ?? ""
        for line in text.split(separator: "\n") {
            let parts = line.split(
                separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3, parts[2].hasPrefix(root + "/") else { continue }
            return parts[2].dropFirst(root.utf8.count + 1).split(separator: "/").first
                .map(String.init)
        }
        return nil
    }

    /// What the launcher is to start.
    func plan(
        _ words: [String], input: Int32, output: Int32, error: Int32, hasTerminal: Bool,
        terminal: String?
    ) -> ProcessPlan {
        var extra: [EnvironmentVariable] = []
        if hasTerminal, let terminal { extra.append(.init(name: "TERM", value: terminal)) }
        let streams = ProcessPlan.Output.descriptors(output: output, error: error)
        if var container {
            container.hasTerminal = hasTerminal
            container.environment = extra
            let line = container.arguments(
                CommandInfo(value: words[0], shell: false, arguments: words))
            var plan = ProcessPlan(
                command: CommandInfo(
                    value: container.runtime.program, shell: false, arguments: line),
                environment: ContainerRuntime.environment, directory: "/", output: streams,
                input: input)
            plan.hasTerminal = hasTerminal
            return plan
        }
        let kept = environment.filter { one in !extra.contains { $0.name == one.name } }
        var plan = ProcessPlan(
            command: CommandInfo(value: words[0], shell: false, arguments: words),
            environment: kept + extra, directory: sandbox, output: streams, input: input,
            confinement: confinement)
        plan.hasTerminal = hasTerminal
        plan.identity = identity
        return plan
    }

    /// Kills what is left of a program in a container.
    func leave() { container?.leave() }
}
