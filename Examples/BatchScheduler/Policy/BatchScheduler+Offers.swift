internal import Proffer

extension BatchScheduler {
    mutating func use(_ offers: [Offer], at now: Instant) {
        largestRest = nil
        for offer in offers { use(offer, at: now) }
    }

    private mutating func use(_ offer: Offer, at now: Instant) {
        var budget = OfferBudget(offer)
        var tasks: [TaskInfo] = []
        var bytes = 0
        var isCut = false
        let place = places.index(
            of: Place(
                framework: offer.frameworkID, agent: offer.agentID, hostname: offer.hostname,
                port: offer.agentPort))
        while let lane = queue.first(fitting: Self.room(in: budget.remaining)) {
            if tasks.count >= options.launchesPerOffer || bytes >= options.launchBytesPerOffer {
                isCut = true
                break
            }
            guard let task = launch(lane, on: offer, place, from: &budget, at: now) else { break }
            bytes += jobs[lane.job]?.tasks[lane.position].launchBytes ?? 0
            tasks.append(task)
        }
        answer(offer, tasks, isCut: isCut, rest: Self.room(in: budget.remaining))
    }

    private mutating func answer(
        _ offer: Offer, _ tasks: [TaskInfo], isCut: Bool, rest: Demand
    ) {
        var filters: Filters?
        if isCut {
            filters = Filters(refuse: .zero)
        } else if queue.isEmpty {
            filters = Filters(refuse: options.idleRefusal)
        } else {
            hasRefused = true
            let largest = largestRest ?? rest
            largestRest = Demand(
                cpus: max(largest.cpus, rest.cpus), mem: max(largest.mem, rest.mem),
                disk: max(largest.disk, rest.disk))
        }
        if tasks.isEmpty {
            pending.calls.append(.decline(offers: [offer.id], filters: filters))
        } else {
            pending.calls.append(
                .accept(
                    offers: [offer.id], operations: [Operation(action: .launch(tasks))],
                    filters: filters))
        }
    }

    private mutating func launch(
        _ lane: Lane, on offer: Offer, _ place: Int, from budget: inout OfferBudget,
        at now: Instant
    ) -> TaskInfo? {
        guard let demand = jobs[lane.job]?.tasks[lane.position].specification.demand,
            let resources = budget.take(
                cpus: demand.cpus, mem: demand.mem, disk: demand.disk)
        else { return nil }
        let time = options.clock.time(at: now)
        guard
            let index = jobs[lane.job]?.tasks[lane.position].takeNext(place: place, at: time)
        else { return nil }
        let ref = InstanceRef(job: lane.job, task: lane.position, index: index)
        change(ref) { instance in
            instance.phase = .running
            instance.attempts += 1
            instance.place = place
            instance.isUnreachable = false
            instance.isOvertime = false
            instance.exitCode = nil
            instance.message = nil
            instance.started = time
            instance.ended = nil
        }
        jobs[lane.job]?.move(of: lane.position, from: .ready, to: .running)
        updateLane(lane.job, lane.position)
        if jobs[lane.job]?.state == .queued {
            jobs[lane.job]?.state = .running
            jobs[lane.job]?.started = time
            keep(lane.job)
        }
        keep(ref)
        return describe(ref, on: offer, resources)
    }

    private mutating func describe(
        _ ref: InstanceRef, on offer: Offer, _ resources: Resources
    ) -> TaskInfo? {
        guard let job = jobs[ref.job], let attempt = self[ref]?.attempts,
            let id = taskID(ref, attempt: attempt)
        else { return nil }
        live[id] = ref
        let task = job.tasks[ref.task].specification
        var environment = [
            EnvironmentVariable(name: "PROFFER_JOB_ID", value: job.id),
            EnvironmentVariable(name: "PROFFER_TASK", value: task.name),
            EnvironmentVariable(name: "PROFFER_ARRAY_INDEX", value: "\(ref.index)"),
            EnvironmentVariable(name: "PROFFER_ARRAY_COUNT", value: "\(task.count)"),
            EnvironmentVariable(name: "PROFFER_ATTEMPT", value: "\(attempt)"),
        ]
        for variable in options.environment + task.environment {
            environment.append(
                EnvironmentVariable(name: variable.name, value: variable.value))
        }
        return TaskInfo(
            name: "\(job.name).\(task.name)", id: id, agentID: offer.agentID,
            resources: resources,
            command: CommandInfo(value: task.command, environment: environment),
            maxCompletionTime: task.timeLimit)
    }

    /// What a task could take: no whole volumes or disks.
    private static func room(in resources: Resources) -> Demand {
        var room = Demand(cpus: .zero, mem: .zero, disk: .zero)
        for item in resources.items where !item.isIndivisible {
            guard case .scalar(let amount) = item.value else { continue }
            switch item.name {
            case "cpus": room.cpus += amount
            case "mem": room.mem += amount
            case "disk": room.disk += amount
            case _: break
            }
        }
        return room
    }
}
