internal import Glibc
public import ProfferIsolation
internal import ProfferModel

/// An installed program that makes containers of bundles: `runc` or `crun`.
public struct ContainerRuntime: Hashable, Sendable {
    /// The path of the program.
    public let program: String
    /// Where it keeps what it knows about running containers.
    public let stateDirectory: String

    /// Names a program; see ``find(_:planner:cgroups:runner:)`` for one that works.
    public init(program: String, stateDirectory: String) {
        self.program = program
        self.stateDirectory = stateDirectory
    }

    /// The programs that are looked for, the preferred one first.
    public static let names = ["runc", "crun"]
    private static let searchPath = [
        "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin",
    ]
    static let environment = [
        EnvironmentVariable(name: "PATH", value: searchPath.joined(separator: ":"))
    ]
    private static let startTimeout: Int32 = 60_000

    /// The path of a program.
    static func path(of name: String) -> String? {
        if name.hasPrefix("/") { return access(name, X_OK) == 0 ? name : nil }
        return searchPath.map { "\($0)/\(name)" }.first { access($0, X_OK) == 0 }
    }

    /// Finds a runtime by having it run a container as tasks will have it: which one copes with a
    /// node's cgroups is not told by its version.
    ///
    /// - Parameters:
    ///   - wanted: Only this one, by name or path; any when absent.
    ///   - planner: Makes the bundle of the attempt.
    ///   - cgroups: Makes its cgroup.
    ///   - runner: Carries both out.
    /// - Returns: The first one that works.
    /// - Throws: ``SystemError`` that says for each one why not.
    public static func find(
        _ wanted: String?, planner: ContainerPlanner, cgroups: CgroupPlanner, runner: PlanRunner
    ) throws(SystemError) -> ContainerRuntime {
        var reasons: [String] = []
        for name in wanted.map({ [$0] }) ?? names {
            guard let path = path(of: name) else {
                reasons.append("\(name) is not installed")
                continue
            }
            let runtime = ContainerRuntime(
                program: path, stateDirectory: "\(planner.directory)/runtime")
            do throws(SystemError) {
                try runtime.attempt(planner, cgroups, runner)
                return runtime
            } catch {
                reasons.append("\(name): \(error.hint ?? error.description)")
            }
        }
        throw SystemError(
            "find", "container runtime", code: ENOENT, hint: reasons.joined(separator: "; "))
    }

    private func attempt(
        _ planner: ContainerPlanner, _ cgroups: CgroupPlanner, _ runner: PlanRunner
    ) throws(SystemError) {
        let name = "attempt-\(getpid())"
        let sandbox = "\(planner.directory)/\(name).sandbox"
        let limits = CgroupLimits(
            cpus: Milli(1), cpuLimit: nil, memory: 0, memoryLimit: nil, processes: 50)
        let (steps, _) = cgroups.steps(name, limits)
        let subject = BundleSubject(
            name: name, root: "/", image: ImageDefaults(),
            command: CommandInfo(value: "/bin/true", shell: false, arguments: ["true"]),
            environment: [], sandbox: sandbox, groupSandbox: sandbox,
            user: ContainerUser(id: 65_534, group: 65_534),
            container: ContainerInfo(network: .none), limits: [],
            cgroup: "\(cgroups.root)/\(name)", oomScore: 0)
        var plan = IsolationPlan(name: name, steps: steps)
        plan.steps.append(.makeDirectory(sandbox, mode: 0o700))
        do {
            plan.steps += try planner.steps(subject)
        } catch {
            throw SystemError("plan", name, code: EINVAL, hint: error.description)
        }
        plan.steps += cgroups.leftovers(name)
        plan.steps.append(undoStep(name))
        try runner.carryOut(plan)
        defer { runner.undo(plan, within: 2000) }
        let result = try Program.run(
            Invocation(
                arguments(name, bundle: planner.bundle(name), isDetached: false),
                environment: Self.environment), within: Self.startTimeout)
        guard result.exit?.code == 0 else {
            throw SystemError("run", program, code: ECHILD, hint: problem(result, planner, name))
        }
    }

    private func problem(
        _ result: Program.Result, _ planner: ContainerPlanner, _ name: String
    ) -> String {
        let log = OutputFile.tail("\(planner.bundle(name))/log", limit: 2048)
        let line = log.split(separator: "\n").last.map(String.init)
        return line ?? result.problem
    }

    private func arguments(_ name: String, bundle: String, isDetached: Bool) -> [String] {
        [program, "--root", stateDirectory, "--log", "\(bundle)/log", "run", "--bundle", bundle]
            + (isDetached ? ["--detach", "--pid-file", "\(bundle)/pid"] : []) + [name]
    }

    /// The step that makes a plan undo what the runtime keeps of a container.
    ///
    /// That is what the runtime's own `delete` does once the processes are dead, which the undoing
    /// of their cgroups sees to; without starting a program, and in a fraction of the time. See
    /// ``CgroupPlanner/leftovers(_:cores:)`` for the groups.
    public func undoStep(_ name: String) -> IsolationStep {
        .promise(.removeDirectory("\(stateDirectory)/\(name)"))
    }

    /// Starts the container of a bundle and waits until its program runs.
    ///
    /// Its first process becomes a child of the nearest process above that takes up orphans.
    ///
    /// - Parameters:
    ///   - name: The name of its plan.
    ///   - bundle: The directory of its bundle.
    ///   - directory: Where its `stdout` and `stderr` are.
    /// - Returns: The first process, by its number on the node.
    /// - Throws: ``SystemError`` with what the runtime said.
    public func start(
        _ name: String, bundle: String, output directory: String
    ) throws(SystemError) -> ProcessIdentity {
        let command = arguments(name, bundle: bundle, isDetached: true)
        var watcher = try ProcessWatcher()
        let process = try ProcessLauncher.start(
            ProcessPlan(
                command: CommandInfo(value: program, shell: false, arguments: command),
                environment: Self.environment, directory: directory))
        try watcher.watchChild(process, token: 1)
        var end = watcher.takeEnds(within: Self.startTimeout).first
        if end == nil {
            watcher.signalGroup(1, SIGKILL)
            end = watcher.takeEnds(within: -1).first
        }
        guard end?.exit?.code == 0 else {
            let log = OutputFile.tail("\(bundle)/log", limit: 2048)
            let line = log.split(separator: "\n").last.map(String.init)
            throw SystemError("start", name, code: ECHILD, hint: line.map(Self.message))
        }
        guard let text = ProcFile.text("\(bundle)/pid", limit: 32), let pid = Int32(text),
            let identity = ProcessIdentity(pid: pid)
        else { throw SystemError("find the process of", name, code: ESRCH) }
        return identity
    }

    /// The message in a line of a runtime's log: `time="…" level=error msg="…"`.
    private static func message(_ line: String) -> String {
        guard let start = line.firstRange(of: "msg=\"")?.upperBound else { return line }
        var text = ""
        var isEscaped = false
        for character in line[start...] {
            if character == "\"", !isEscaped { break }
            isEscaped = character == "\\" && !isEscaped
            if !isEscaped { text.append(character) }
        }
        return text
    }
}
