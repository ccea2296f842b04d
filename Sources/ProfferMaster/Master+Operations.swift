internal import OrderedCollections
internal import ProfferAllocation
internal import ProfferKernel
internal import ProfferModel

extension Master {
    /// Carries out an operation on resources at once, so that the next one of the same call sees
    /// its result; the agent and the registry are told.
    mutating func convert(
        _ operation: Operation, _ accepted: inout AcceptedOffers, at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) {
        let outcome = conversion(operation.action, accepted)
        switch outcome {
        case .failure(let problem):
            outbox.append(
                .observe(
                    .invalidCall(
                        accepted.framework, call: "ACCEPT", problem: problem.text)))
            answer(
                operation, accepted.framework, .error, problem.text, nil, into: &outbox)
        case .success(let change):
            accepted.convert(change.from, into: change.to)
            rescindShared(change.from, on: accepted.agent, at: now, into: &outbox)
            allocator.convert(
                Allocation(
                    framework: accepted.framework, role: accepted.role, agent: accepted.agent,
                    resources: change.from, demandID: accepted.demandID), into: change.to)
            guard var agent = agents[accepted.agent] else { return }
            agent.info.resources -= change.from
            agent.info.resources += change.to
            agents[accepted.agent]?.info.resources = agent.info.resources
            outbox.append(.commit([.agent(agent.id, entry(agent))]))
            if let peer = agent.peer {
                outbox.append(.tellAgent(.updateResources(agent.info.resources), peer))
            }
            answer(operation, accepted.framework, .finished, nil, change.to, into: &outbox)
        }
    }

    /// A shared volume that ends is taken out of whatever else it is offered in.
    private mutating func rescindShared(
        _ ended: Resources, on agent: AgentID, at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) {
        let shared = ended.items.filter(\.isShared)
        guard !shared.isEmpty else { return }
        for id in agents[agent]?.offers ?? [] {
            let items = offers[id]?.offer.resources.items ?? []
            guard items.contains(where: { shared.contains($0) }) else { continue }
            end(offer: id, .rescinded, at: now, into: &outbox)
        }
    }

    func entry(_ agent: AgentRow) -> AgentEntry {
        let admission: AgentAdmission =
            switch agent.state {
            case .active, .deactivated, .disconnected, .recovered: .admitted
            case .unreachable: .unreachable(since: agent.unreachableSince ?? startedAt)
            case .gone: .gone(since: agent.unreachableSince ?? startedAt)
            }
        return AgentEntry(
            info: agent.info, admission: admission, isDeactivated: agent.isDeactivated,
            publicKey: agent.publicKey, drain: agent.drain)
    }

    mutating func answer(
        _ operation: Operation, _ framework: FrameworkID, _ state: OperationState,
        _ message: String?, _ converted: Resources?, into outbox: inout Outbox<MasterEffect>
    ) {
        guard let id = operation.id, let peer = frameworks[framework]?.peer else { return }
        outbox.append(
            .tellFramework(
                .updateOperation(
                    OperationStatus(
                        operationID: id, state: state, message: message,
                        convertedResources: converted ?? Resources())), peer))
    }

    mutating func reconcileOperations(
        _ list: [ReconcileOperation], _ framework: FrameworkID,
        into outbox: inout Outbox<MasterEffect>
    ) {
        // Operations are carried out within the call that brings them, so none is ever pending.
        guard let peer = frameworks[framework]?.peer else { return }
        for one in list {
            let state: OperationState =
                switch one.agentID.flatMap({ agents[$0]?.state }) {
                case .recovered: .recovering
                case .unreachable: .unreachable
                case .gone: .goneByOperator
                case .active, .deactivated, .disconnected, nil: .unknown
                }
            outbox.append(
                .tellFramework(
                    .updateOperation(
                        OperationStatus(
                            operationID: one.operationID, state: state, agentID: one.agentID)),
                    peer))
        }
    }

    struct Change {
        var from: Resources
        var to: Resources
    }

    struct Problem: Error {
        var text: String
    }

    /// What an operation would make of what, or why it cannot be done.
    func conversion(
        _ action: Operation.Action, _ accepted: AcceptedOffers
    ) -> Result<Change, Problem> {
        let change: Result<Change, Problem> =
            switch action {
            case .reserve(let resources, let source):
                source.isEmpty
                    ? reserve(resources, accepted)
                    : .failure(
                        Problem(
                            text: "only an operator can reserve anew what is reserved; UNRESERVE "
                                + "it and then RESERVE it, without a source"))
            case .unreserve(let resources): unreserve(resources)
            case .create(let volumes): create(volumes, accepted)
            case .destroy(let volumes): destroy(volumes, accepted)
            case .grow(let volume, let addition): grow(volume, addition, accepted)
            case .shrink(let volume, let subtraction): shrink(volume, subtraction, accepted)
            case .launch, .launchGroup: .failure(Problem(text: "a launch changes no resources"))
            }
        guard case .success(let wanted) = change else { return change }
        guard accepted.remaining.contains(wanted.from) else {
            return .failure(
                Problem(
                    text: "the offer does not have \(wanted.from); left are \(accepted.remaining)")
            )
        }
        // What is kept of an agent has to be read again, whatever is made of its resources.
        if var info = agents[accepted.agent]?.info {
            info.resources -= wanted.from
            info.resources += wanted.to
            if let problem = AgentSize.problem(of: info) {
                return .failure(Problem(text: problem))
            }
        }
        return change
    }

    private func map(
        _ resources: Resources, _ change: (Resource) -> Result<Resource, Problem>,
        isFromResult: Bool
    ) -> Result<Change, Problem> {
        var other = Resources()
        for item in resources.items {
            switch change(item) {
            case .failure(let problem): return .failure(problem)
            case .success(let changed): other += changed
            }
        }
        if resources.isEmpty { return .failure(Problem(text: "no resources are named")) }
        return .success(
            isFromResult
                ? Change(from: other, to: resources) : Change(from: resources, to: other))
    }

    private func reserve(
        _ resources: Resources, _ accepted: AcceptedOffers
    ) -> Result<Change, Problem> {
        let principal = frameworks[accepted.framework]?.info.principal
        let capabilities = agents[accepted.agent]?.info.capabilities ?? []
        return map(
            resources,
            { item in
                guard let last = item.reservations.last, last.kind == .dynamic else {
                    return .failure(
                        Problem(text: "\(item.name) carries no dynamic reservation to make"))
                }
                if let problem = problemOfRole(last.role) {
                    return .failure(Problem(text: problem))
                }
                guard last.role == accepted.role else {
                    return .failure(
                        Problem(
                            text: "a reservation for '\(last.role)' needs an offer in that role; "
                                + "this one is in '\(accepted.role)'"))
                }
                guard last.principal == principal else {
                    return .failure(
                        Problem(
                            text: "a reservation must carry the framework's own principal"))
                }
                if item.isRevocable || item.isPersistentVolume {
                    return .failure(
                        Problem(text: "revocable resources and volumes cannot be reserved"))
                }
                var before = item
                before.reservations.removeLast()
                if !before.reservations.isEmpty, !capabilities.contains(.reservationRefinement) {
                    return .failure(
                        Problem(
                            text: "the agent does not know reservations within reservations"))
                }
                if let outer = before.reservations.last,
                    !last.role.hasPrefix(outer.role + "/")
                {
                    return .failure(
                        Problem(
                            text: "'\(last.role)' is not below '\(outer.role)', for which it is "
                                + "reserved already"))
                }
                return .success(before)
            }, isFromResult: true)
    }

    private func unreserve(_ resources: Resources) -> Result<Change, Problem> {
        map(
            resources,
            { item in
                guard item.reservations.last?.kind == .dynamic else {
                    return .failure(
                        Problem(text: "\(item.name) has no dynamic reservation to take off"))
                }
                if item.isPersistentVolume {
                    return .failure(
                        Problem(text: "a volume cannot be unreserved; destroy it first"))
                }
                var after = item
                after.reservations.removeLast()
                return .success(after)
            }, isFromResult: false)
    }

    private func create(
        _ volumes: Resources, _ accepted: AcceptedOffers
    ) -> Result<Change, Problem> {
        let principal = frameworks[accepted.framework]?.info.principal
        let existing =
            (accepted.trial.totals[accepted.agent] ?? agents[accepted.agent]?.info.resources)?
            .items ?? []
        return map(
            volumes,
            { item in
                guard item.name == "disk", let disk = item.disk, let id = disk.persistenceID else {
                    return .failure(Problem(text: "only disk with a persistence id is a volume"))
                }
                guard let role = item.reservedRole else {
                    return .failure(
                        Problem(text: "the volume '\(id)' must be on reserved disk"))
                }
                if let problem = Identifier<ContainerSubject>(id).problem {
                    return .failure(Problem(text: "the persistence id '\(id)': \(problem)"))
                }
                if disk.principal != principal {
                    return .failure(
                        Problem(text: "the volume must carry the framework's own principal"))
                }
                guard let path = disk.containerPath, !path.isEmpty, !path.hasPrefix("/"),
                    !path.split(separator: "/").contains("..")
                else {
                    return .failure(
                        Problem(
                            text: "the path of volume '\(id)' must lie within the sandbox"))
                }
                if existing.contains(where: {
                    $0.disk?.persistenceID == id && $0.reservedRole == role
                }) {
                    return .failure(
                        Problem(text: "there is a volume '\(id)' of role '\(role)' already"))
                }
                return .success(Self.space(of: item))
            }, isFromResult: true)
    }

    /// The reserved disk that a volume is made of.
    private static func space(of volume: Resource) -> Resource {
        var plain = volume
        plain.isShared = false
        plain.disk = volume.disk?.source.map { DiskInfo(source: $0) }
        return plain
    }

    private func destroy(
        _ volumes: Resources, _ accepted: AcceptedOffers
    ) -> Result<Change, Problem> {
        map(
            volumes,
            { item in
                guard item.isPersistentVolume else {
                    return .failure(Problem(text: "\(item.name) is not a volume"))
                }
                if item.isShared, isInUse(item, accepted) {
                    return .failure(
                        Problem(
                            text: "a task uses the volume '\(item.disk?.persistenceID ?? "")'; "
                                + "end it first"))
                }
                return .success(Self.space(of: item))
            }, isFromResult: false)
    }

    /// Whether a task holds a shared volume that is offered meanwhile.
    private func isInUse(_ volume: Resource, _ accepted: AcceptedOffers) -> Bool {
        if accepted.trial.shared[accepted.agent]?.items.contains(volume) == true { return true }
        return (agents[accepted.agent]?.tasks ?? []).contains { key in
            guard let task = tasks[key], !task.isReleased else { return false }
            return task.info.resources.items.contains(volume)
        }
    }

    /// Why a volume cannot change its size, or `nil`.
    private func problemOfResize(_ volume: Resource, _ accepted: AcceptedOffers) -> String? {
        if agents[accepted.agent]?.info.capabilities.contains(.resizeVolume) != true {
            return "the agent cannot change the size of volumes"
        }
        if case .mount = volume.disk?.source {
            return "a volume on a disk of its own has the size of that disk"
        }
        return nil
    }

    private func grow(
        _ volume: Resource, _ addition: Resource, _ accepted: AcceptedOffers
    ) -> Result<Change, Problem> {
        if let problem = problemOfResize(volume, accepted) {
            return .failure(Problem(text: problem))
        }
        guard volume.isPersistentVolume, !volume.isShared, case .scalar(let size) = volume.value,
            case .scalar(let more) = addition.value, more > .zero,
            addition.isSameKind(as: Self.space(of: volume))
        else {
            return .failure(
                Problem(text: "a volume grows by disk of its own role and source, above zero"))
        }
        var grown = volume
        grown.value = .scalar(size + more)
        return .success(Change(from: Resources([volume, addition]), to: Resources([grown])))
    }

    private func shrink(
        _ volume: Resource, _ less: Milli, _ accepted: AcceptedOffers
    ) -> Result<Change, Problem> {
        if let problem = problemOfResize(volume, accepted) {
            return .failure(Problem(text: problem))
        }
        guard volume.isPersistentVolume, !volume.isShared, case .scalar(let size) = volume.value,
            less > .zero, less < size
        else {
            return .failure(
                Problem(text: "a volume shrinks by more than nothing and less than its size"))
        }
        var smaller = volume
        smaller.value = .scalar(size - less)
        var freed = Self.space(of: volume)
        freed.value = .scalar(less)
        return .success(Change(from: Resources([volume]), to: Resources([smaller, freed])))
    }
}
