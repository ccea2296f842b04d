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
    /// What its group shares, if it is in one.
    let group: SharedGroup?
    /// How it finds its volumes, and its persistent ones.
    let volumes: VolumePlanner
    let mounts: [VolumeMount]
    /// What the runtime makes beyond the plan.
    let leftovers: [IsolationStep]
    let log: @Sendable (String) -> Void
    /// Told of processes that fetch and unpack images.
    let started: @Sendable (ProcessIdentity) -> Void

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
        let image = try ImageStore(settings.containers, started: started).find(
            name, isFresh: container.forcePull, report: log
        ) { image throws(SystemError) in
            guard let use = use(of: image) else { return }
            // Written down before it is done, like every plan.
            try runner.carryOut(IsolationPlan(name: self.plan.name, steps: [use]))
        }
        let plan: IsolationPlan
        do throws(SystemError) {
            plan = try prepare(image, container)
        } catch {
            if let use = use(of: image) {
                runner.undo(IsolationPlan(name: self.plan.name, steps: [use]))
            }
            throw error
        }
        try runner.carryOut(plan)
        do throws(SystemError) {
            let bundle = bundles.bundle(plan.name)
            return Outcome(
                plan: plan,
                process: try runtime.start(plan.name, bundle: bundle, output: launch.sandbox),
                addresses: NodeNetworks.addresses(
                    bundle: group.map { bundles.bundle($0.name) } ?? bundle))
        } catch {
            runner.undo(plan, within: 2000)
            throw error
        }
    }

    /// What keeps an image from being removed.
    private func use(of image: LocalImage) -> IsolationStep? {
        guard let digest = image.digest?.split(separator: ":").last, let uses = image.useDirectory
        else { return nil }
        return .makeFile("\(uses)/\(digest)-\(plan.name)", contents: "", mode: 0o600)
    }

    /// Makes everything that is not the container's alone, and the plan for what is.
    private func prepare(
        _ image: LocalImage, _ container: ContainerInfo
    ) throws(SystemError) -> IsolationPlan {
        let user = try NodeUsers.find(launch.command.user ?? settings.user)
        var subject = BundleSubject(
            name: plan.name, root: image.root, image: image.defaults, command: launch.command,
            environment: launch.environment, sandbox: launch.sandbox,
            groupSandbox: group.map { ContainerPlanner.shared(bundles.bundle($0.name)) }
                ?? launch.sandbox, user: user, container: container,
            limits: plan.confinement.limits, cgroup: settings.cgroupRoot + "/" + plan.name,
            oomScore: settings.oomScore, mounts: mounts)
        subject.devices = settings.gpus.nodes(
            of: settings.gpus.devices(of: launch.command.environment))
        subject.secrets = launch.plannedFiles
        subject.hasSecretEnvironment = launch.hasSecretEnvironment
        let plan = try complete(subject, image)
        try NodeUsers.give(launch.sandbox, to: ContainerPlanner.owner(subject))
        try group?.make()
        return plan
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
        if let undo = use(of: image)?.undo { plan.steps.append(.promise(undo)) }
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
            let bundle = bundles.bundle(group.name)
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
}

extension TaskLaunch {
    /// Its files with secrets.
    var plannedFiles: [SecretFile] {
        secretFiles.map {
            SecretFile(path: $0.path, contents: SecretContents($0.value.bytes))
        }
    }
}
