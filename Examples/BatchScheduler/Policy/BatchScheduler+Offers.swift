internal import Proffer

/// An offer while instances are taken out of it.
struct OpenOffer {
    let offer: Offer
    /// An index into the place table.
    let place: Int
    var budget: OfferBudget
    var tasks: [TaskInfo] = []
    var bytes = 0
    /// Whether more would have fitted than one message may launch.
    var isCut = false
    var isAnswered = false

    /// What a task could take: no whole volumes or disks.
    var room: Demand { Self.room(in: budget.remaining) }

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

extension BatchScheduler {
    mutating func use(_ offers: [Offer], at now: Instant) {
        largestRest = nil
        var open: [OpenOffer] = []
        for offer in offers {
            let place = places.index(
                of: Place(
                    framework: offer.frameworkID, agent: offer.agentID,
                    hostname: offer.hostname, port: offer.agentPort))
            open.append(OpenOffer(offer: offer, place: place, budget: OfferBudget(offer)))
        }
        useGangs(&open, at: now)
        fillGangs(&open, before: queue.head, at: now)
        for index in open.indices where !open[index].isAnswered { fill(&open[index], at: now) }
        fillGangs(&open, before: nil, at: now)
        for one in open where !one.isAnswered { answer(one) }
    }

    private mutating func fill(_ open: inout OpenOffer, at now: Instant) {
        while let lane = queue.first(fitting: open.room) {
            if isFull(open) {
                open.isCut = true
                return
            }
            guard let task = launch(lane, on: &open, at: now) else { return }
            open.bytes += jobs[lane.job]?.tasks[lane.position].launchBytes ?? 0
            open.tasks.append(task)
        }
    }

    private func isFull(_ open: OpenOffer) -> Bool {
        open.tasks.count >= options.launchesPerOffer || open.bytes >= options.launchBytesPerOffer
    }

    private mutating func answer(_ open: OpenOffer) {
        var filters: Filters?
        if open.isCut {
            filters = Filters(refuse: .zero)
        } else if queue.isEmpty {
            filters = Filters(refuse: options.idleRefusal)
        } else {
            // Who is offered what it states needs no revival: the next statement brings offers.
            if open.offer.demandID == nil { hasRefused = true }
            let rest = open.room
            let largest = largestRest ?? rest
            largestRest = Demand(
                cpus: max(largest.cpus, rest.cpus), mem: max(largest.mem, rest.mem),
                disk: max(largest.disk, rest.disk))
        }
        let id = open.offer.id
        if open.tasks.isEmpty {
            pending.calls.append(.decline(offers: [id], filters: filters))
        } else {
            book.launched(open.tasks.count, on: open.offer)
            pending.calls.append(
                .accept(
                    offers: [id], operations: [Operation(action: .launch(open.tasks))],
                    filters: filters))
        }
    }

    private mutating func launch(
        _ lane: Lane, on open: inout OpenOffer, at now: Instant
    ) -> TaskInfo? {
        guard let demand = jobs[lane.job]?.tasks[lane.position].specification.demand,
            let resources = open.budget.take(
                cpus: demand.cpus, mem: demand.mem, disk: demand.disk)
        else { return nil }
        let time = options.clock.time(at: now)
        guard
            let index = jobs[lane.job]?.tasks[lane.position].takeNext(place: open.place, at: time)
        else { return nil }
        let ref = InstanceRef(job: lane.job, task: lane.position, index: index)
        return start(ref, on: open, resources, at: time)
    }

    private mutating func start(
        _ ref: InstanceRef, on open: OpenOffer, _ resources: Resources, at time: WallTime
    ) -> TaskInfo? {
        change(ref) { instance in
            instance.phase = .running
            instance.attempts += 1
            instance.place = open.place
            instance.isUnreachable = false
            instance.isOvertime = false
            instance.exitCode = nil
            instance.message = nil
            instance.started = time
            instance.ended = nil
        }
        jobs[ref.job]?.move(of: ref.task, from: .ready, to: .running)
        updateLane(ref.job, ref.task)
        if jobs[ref.job]?.state == .queued {
            jobs[ref.job]?.state = .running
            jobs[ref.job]?.started = time
            keep(ref.job)
        }
        keep(ref)
        return describe(ref, on: open.offer, resources)
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
        let priority = stated(task.priority ?? job.priority)
        return TaskInfo(
            name: "\(job.name).\(task.name)", id: id, agentID: offer.agentID,
            resources: resources,
            command: CommandInfo(value: task.command, environment: environment),
            maxCompletionTime: task.timeLimit, priority: priority == 0 ? nil : priority)
    }
}

// MARK: Gangs

extension BatchScheduler {
    /// How many gangs that do not fit are tried with one round of offers.
    private static let gangTries = 100

    /// Uses offers that are of use only together, each set for the gang it was made for.
    private mutating func useGangs(_ open: inout [OpenOffer], at now: Instant) {
        var sets: [(gang: GangID, members: [Int])] = []
        for (index, one) in open.enumerated() {
            guard let gang = one.offer.gang else { continue }
            if let known = sets.firstIndex(where: { $0.gang == gang }) {
                sets[known].members.append(index)
            } else {
                sets.append((gang, [index]))
            }
        }
        for set in sets {
            let demand = set.members.first.flatMap { open[$0].offer.demandID }
            if let lane = demand.flatMap(gangLane) {
                // All of it is one message.
                while bytes(of: set.members, open) < options.launchBytesPerOffer / 2,
                    place(lane, over: &open, set.members, at: now)
                {}
            }
            for index in set.members { open[index].isAnswered = true }
            answer(set.members.map { open[$0] })
        }
    }

    private func bytes(of members: [Int], _ open: [OpenOffer]) -> Int {
        members.reduce(0) { $0 + open[$1].bytes }
    }

    /// Answers the offers of one gang: all at once when they are used, all the same when not.
    private mutating func answer(_ set: [OpenOffer]) {
        guard set.contains(where: { !$0.tasks.isEmpty }) else {
            pending.calls.append(.decline(offers: set.map(\.offer.id), filters: nil))
            return
        }
        for one in set { book.launched(one.tasks.count, on: one.offer) }
        pending.calls.append(
            .acceptTogether(
                set.map { one in
                    OfferAcceptance(
                        offers: [one.offer.id],
                        operations: one.tasks.isEmpty
                            ? [] : [Operation(action: .launch(one.tasks))])
                }, filters: Filters(refuse: .zero)))
    }

    /// Launches gangs from offers that were not made for them, as a master makes that knows
    /// nothing of demand: those that go before `head`, or all.
    private mutating func fillGangs(
        _ open: inout [OpenOffer], before head: Lane?, at now: Instant
    ) {
        let members = open.indices.filter { !open[$0].isAnswered }
        guard !members.isEmpty else { return }
        for lane in queue.firstGangs(Self.gangTries) {
            if let head, head < lane { return }
            while place(lane, over: &open, members, at: now) {}
        }
    }

    /// Launches one gang over some of the offers, when all of it fits.
    ///
    /// O(the gang + offers).
    private mutating func place(
        _ lane: Lane, over open: inout [OpenOffer], _ members: [Int], at now: Instant
    ) -> Bool {
        guard let task = jobs[lane.job]?.tasks[lane.position], task.canLaunchGang else {
            return false
        }
        let demand = task.specification.demand
        var trial = open
        var parts: [(offer: Int, resources: Resources)] = []
        for index in members {
            var tasks = trial[index].tasks.count
            while parts.count < task.gang, tasks < options.launchesPerOffer,
                trial[index].bytes < options.launchBytesPerOffer,
                let resources = trial[index].budget.take(
                    cpus: demand.cpus, mem: demand.mem, disk: demand.disk)
            {
                tasks += 1
                trial[index].bytes += task.launchBytes
                parts.append((index, resources))
            }
        }
        guard parts.count == task.gang else { return false }
        open = trial
        let time = options.clock.time(at: now)
        for part in parts {
            guard
                let index = jobs[lane.job]?.tasks[lane.position].takeNextOfGang(
                    place: open[part.offer].place, at: time)
            else { continue }
            let ref = InstanceRef(job: lane.job, task: lane.position, index: index)
            if let task = start(ref, on: open[part.offer], part.resources, at: time) {
                open[part.offer].tasks.append(task)
            }
        }
        return true
    }

    /// The task whose gangs a demand names.
    private func gangLane(_ demand: String) -> Lane? {
        let parts = demand.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, let slot = jobsByID[String(parts[0])],
            let position = jobs[slot]?.tasks.firstIndex(where: {
                $0.specification.name == parts[1]
            })
        else { return nil }
        return gangLane(slot, position)
    }
}
