internal import Glibc
internal import ProfferContainers
internal import ProfferExecutor
internal import ProfferIsolation
internal import ProfferModel

/// Makes the container of a task; for threads that may wait, because fetching an image takes long.
struct ContainerStart: Sendable {
    /// What has come of it.
    struct Outcome: Sendable {
        var plan: IsolationPlan
        var process: ProcessIdentity
        var addresses: [String]
    }

    let launch: TaskLaunch
    /// The plan of the task without its container.
    let plan: IsolationPlan
    let settings: IsolationSettings
    let runner: PlanRunner
    /// The name of the group's plan, if it is in one.
    let group: String?
    /// How it finds its volumes, and its persistent ones.
    let volumes: VolumePlanner
    let mounts: [VolumeMount]
    /// What the runtime makes beyond the plan.
    let leftovers: [IsolationStep]
    let log: @Sendable (String) -> Void

    /// Whether a task is to have a container: without an image it has the node's files.
    static func isWanted(by launch: TaskLaunch, _ settings: IsolationSettings) -> Bool {
        settings.mode == .oci && launch.container?.image?.isEmpty == false
    }

    /// Fetches the image, makes everything and starts the program.
    ///
    /// - Throws: ``SystemError`` that says what failed; then nothing is left.
    func run() throws(SystemError) -> Outcome {
        guard let container = launch.container, let name = container.image else {
            throw SystemError("start", launch.id.value, code: EINVAL)
        }
        if let problem = settings.containers.problem(with: container) {
            throw SystemError("start", launch.id.value, code: EACCES, hint: problem)
        }
        let image = try ImageStore(settings.containers).find(
            name, isFresh: container.forcePull, report: log)
        let user = try NodeUsers.find(launch.command.user ?? settings.user)
        var subject = BundleSubject(
            name: plan.name, root: image.root, image: image.defaults, command: launch.command,
            environment: launch.environment, sandbox: launch.sandbox,
            groupSandbox: group.map { ContainerPlanner.shared(bundles.bundle($0)) }
                ?? launch.sandbox, user: user, container: container,
            limits: plan.confinement.limits, cgroup: settings.cgroupRoot + "/" + plan.name,
            oomScore: settings.oomScore, mounts: mounts)
        subject.devices = settings.gpus.nodes(
            of: settings.gpus.devices(of: launch.command.environment))
        let plan = try complete(subject, image)
        try NodeUsers.give(launch.sandbox, to: ContainerPlanner.owner(subject))
        try runner.carryOut(plan)
        do throws(SystemError) {
            let bundle = bundles.bundle(plan.name)
            return Outcome(
                plan: plan,
                process: try runtime.start(plan.name, bundle: bundle, output: launch.sandbox),
                addresses: NodeNetworks.addresses(
                    bundle: group.map { bundles.bundle($0) } ?? bundle))
        } catch {
            runner.undo(plan, within: 2000)
            throw error
        }
    }

    private var runtime: ContainerRuntime {
        ContainerRuntime(
            program: settings.containers.runtime,
            stateDirectory: settings.containers.bundles + "/runtime")
    }

    private var bundles: ContainerPlanner {
        ContainerPlanner(
            directory: settings.containers.bundles,
            allowedHostPaths: settings.containers.hostPaths,
            capabilities: NodeIsolation.capabilities)
    }

    private func complete(
        _ subject: BundleSubject, _ image: LocalImage
    ) throws(SystemError) -> IsolationPlan {
        var plan = plan
        var subject = subject
        let network = try joinNetwork(&subject)
        if let digest = image.digest?.split(separator: ":").last, let uses = image.useDirectory {
            plan.steps.append(
                .makeFile("\(uses)/\(digest)-\(plan.name)", contents: "", mode: 0o600))
        }
        do throws(ContainerProblem) {
            plan.steps += try bundles.steps(subject, network: network, volumes: volumes)
        } catch {
            throw SystemError("start", launch.id.value, code: EINVAL, hint: error.description)
        }
        plan.steps += leftovers + [runtime.undoStep(plan.name)]
        return plan
    }
}

extension ContainerStart {
    /// What makes the network of a container that wants one of its own.
    ///
    /// A task of a group enters what the group has.
    private func joinNetwork(
        _ subject: inout BundleSubject
    ) throws(SystemError) -> [IsolationStep] {
        if let group {
            let bundle = bundles.bundle(group)
            subject.ipc = ContainerPlanner.ipc(bundle)
            if subject.container.network != .host {
                subject.network = NetworkPlanner.namespace(bundle)
            }
            return []
        }
        let steps = try Self.joining(plan.name, subject.container, settings)
        if !steps.isEmpty { subject.network = NetworkPlanner.namespace(bundles.bundle(plan.name)) }
        return steps
    }

    /// What makes a network namespace for a container or group and has it join a network; nothing
    /// for the node's network and for none.
    static func joining(
        _ name: String, _ container: ContainerInfo, _ settings: IsolationSettings
    ) throws(SystemError) -> [IsolationStep] {
        let network: String
        switch container.network {
        case .host, .none: return []
        case .bridge: network = "bridge"
        case .named(let given): network = given
        }
        let networks = NodeNetworks(settings.containers)
        let configuration = try networks.find(network)
        do throws(ContainerProblem) {
            return try networks.planner.steps(
                name, bundle: "\(settings.containers.bundles)/\(name)", network: configuration,
                mappings: container.portMappings, find: networks.plugin)
        } catch {
            throw SystemError("join the network", network, code: EINVAL, hint: error.description)
        }
    }

    /// Makes what the tasks of a group share.
    ///
    /// - Returns: The plan, which is to be undone after the last of them.
    /// - Throws: ``SystemError`` that says what failed; then nothing is left.
    static func makeGroup(
        _ name: String, like container: ContainerInfo, _ settings: IsolationSettings,
        _ runner: PlanRunner
    ) throws(SystemError) -> IsolationPlan {
        let planner = ContainerPlanner(directory: settings.containers.bundles)
        let plan = IsolationPlan(
            name: name,
            steps: planner.groupSteps(
                name, network: container.network,
                joining: try joining(name, container, settings)))
        try runner.carryOut(plan)
        return plan
    }
}

/// Threads for work that may wait, so many at a time.
final class BackgroundWork: @unchecked Sendable {
    // Every access is made with `lock` held.
    private var waiting: [@Sendable () -> Void] = []
    private var threads = 0
    private let limit: Int
    private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)

    init(threads limit: Int) {
        self.limit = limit
        pthread_mutex_init(lock, nil)
    }

    deinit {
        pthread_mutex_destroy(lock)
        lock.deallocate()
    }

    /// Has `body` run on another thread, in the order of the calls as far as there are threads.
    func submit(_ body: @escaping @Sendable () -> Void) {
        pthread_mutex_lock(lock)
        waiting.append(body)
        let isFresh = threads < limit
        if isFresh { threads += 1 }
        pthread_mutex_unlock(lock)
        guard isFresh else { return }
        DetachedThread.run { self.work() }
    }

    private func work() {
        while true {
            pthread_mutex_lock(lock)
            let next = waiting.isEmpty ? nil : waiting.removeFirst()
            if next == nil { threads -= 1 }
            pthread_mutex_unlock(lock)
            guard let next else { return }
            next()
        }
    }
}
