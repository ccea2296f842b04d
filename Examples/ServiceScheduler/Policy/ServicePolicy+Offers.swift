internal import Proffer

/// An offer while instances are taken out of it.
struct OpenOffer {
    let offer: Offer
    let place: Instance.Place
    var remaining: Resources
    var tasks: [TaskInfo] = []
    /// Roughly what the tasks take in the message that launches them.
    var bytes = 0

    /// Whether another task could make the message larger than the master reads (1 MiB).
    var isFull: Bool { bytes >= 600 << 10 || tasks.count >= 1000 }

    init(_ offer: Offer) {
        self.offer = offer
        place = Instance.Place(offer)
        remaining = offer.resources
    }
}

extension ServicePolicy {
    /// An offer that nobody wants is refused for so long; REVIVE ends that.
    private static let longRefusal = Duration.seconds(3600)
    /// Offers that do not do are refused for so long while instances are missing.
    private static let shortRefusal = Duration.seconds(30)

    /// Whether instances of the app may be launched now.
    func isWanting(_ record: AppRecord, at now: Int64) -> Bool {
        record.need > 0 && (record.delay?.until ?? 0) <= now
    }

    /// Launches what is missing from what is offered, spread over the agents, and gives the rest
    /// back.
    mutating func use(_ offers: [Offer], at now: Int64) {
        var open = offers.map(OpenOffer.init)
        let waiting = missing.keys.compactMap { path in apps[path].map { (path, $0) } }
            .filter { isWanting($0.1, at: now) }
            .sorted { ($0.1.needSince ?? 0, $0.0) < ($1.1.needSince ?? 0, $1.0) }
        for (path, _) in waiting { fill(path, from: &open, at: now) }
        settleTouched(at: now)
        updateIndex()
        let isMissing = !missing.isEmpty
        let refusal = isMissing ? Self.shortRefusal : Self.longRefusal
        for one in open {
            if one.tasks.isEmpty {
                turn.calls.append(
                    .decline(offers: [one.offer.id], filters: Filters(refuse: refusal)))
            } else {
                book.launched(one.tasks.count, on: one.offer)
                turn.calls.append(
                    .accept(
                        offers: [one.offer.id],
                        operations: [Operation(action: .launch(one.tasks))],
                        filters: Filters(refuse: one.isFull && isMissing ? .zero : refusal)))
            }
        }
    }

    private mutating func fill(_ path: AppPath, from open: inout [OpenOffer], at now: Int64) {
        guard let record = apps[path] else { return }
        let app = record.active
        var placement = Placement(
            app: app,
            peers: members(of: path).filter {
                $0.configuration == app.lastConfigChangeAt && $0.state != .unreachable
            }.map(\.place), candidates: open.map(\.place))
        var isFirstRound = true
        var isUsed = Array(repeating: false, count: open.count)
        var reasons: [RejectReason?] = []
        for _ in 0..<record.need {
            let judged = open.map { reason(against: $0, app, placement) }
            if isFirstRound { reasons = judged }
            isFirstRound = false
            let fitting = judged.indices.filter { judged[$0] == nil && !open[$0].isFull }
            let loads = open.map { one in
                placement.peers.count { $0.host == one.place.host }
            }
            guard let index = fitting.min(by: { loads[$0] < loads[$1] }),
                launch(app, from: &open[index], at: now)
            else { break }
            isUsed[index] = true
            placement.peers.append(open[index].place)
        }
        apps.change(path) { $0.offers.add(reasons, isUsed: isUsed, at: now) }
    }

    /// Why an instance cannot be launched from an offer, or `nil`.
    private func reason(
        against open: OpenOffer, _ app: App, _ placement: Placement
    ) -> RejectReason? {
        let usable = Self.usable(open.remaining, by: app)
        if usable.isEmpty, !open.remaining.isEmpty { return .role }
        if !placement.accepts(open.place) { return .constraint }
        if usable.cpus < app.cpus { return .cpus }
        if usable.mem < app.mem { return .mem }
        if usable.disk < app.disk { return .disk }
        if usable.scalar("gpus") < Milli(app.gpus) { return .gpus }
        return choosePorts(for: app, from: usable.ports, { $0.first }) == nil ? .ports : nil
    }

    private static func usable(_ resources: Resources, by app: App) -> Resources {
        guard !app.acceptedRoles.isEmpty else { return resources }
        return resources.filter { app.acceptedRoles.contains($0.reservedRole ?? "*") }
    }

    /// A host port for each definition, or `nil` when there are not enough.
    private func choosePorts(
        for app: App, from free: IntervalSet, _ pick: (IntervalSet) -> UInt64?
    ) -> [UInt64]? {
        var left = free
        var chosen: [UInt64?] = []
        for definition in app.ports {
            guard app.requirePorts, definition.port != 0 else {
                chosen.append(nil)
                continue
            }
            let port = UInt64(definition.port)
            guard left.contains(port) else { return nil }
            left = left.subtracting(IntervalSet([port...port]))
            chosen.append(port)
        }
        for index in chosen.indices where chosen[index] == nil {
            guard let port = pick(left) else { return nil }
            left = left.subtracting(IntervalSet([port...port]))
            chosen[index] = port
        }
        return chosen.compactMap { $0 }
    }

    private mutating func launch(_ app: App, from open: inout OpenOffer, at now: Int64) -> Bool {
        var part = open.offer
        part.resources = Self.usable(open.remaining, by: app)
        var random = generator.split()
        // Any free port, not the lowest: a client that is late must not meet another app.
        let ports = choosePorts(for: app, from: part.resources.ports) { $0.member(using: &random) }
        var budget = OfferBudget(part)
        guard let ports,
            let taken = budget.take(
                cpus: app.cpus, mem: app.mem, disk: app.disk, gpus: Milli(app.gpus),
                exactPorts: ports)
        else { return false }
        open.remaining -= taken
        let id = TaskID("\(app.id.flatName).instance-\(generator.uuidText())._app.1")
        let instance = Instance(
            id: id, app: app.id, version: app.version, configuration: app.lastConfigChangeAt,
            agent: open.offer.agentID, place: open.place, ports: ports.map { Int($0) },
            hasHealthCheck: app.hasHealthCheck, stagedAt: now)
        let building = TaskBuilding(
            app: app, id: id, agent: instance.agent, host: instance.place.host,
            resources: taken, ports: instance.ports)
        open.tasks.append(building.task)
        open.bytes += building.task.roughBytes
        instances[id] = instance
        membership[app.id] = (membership[app.id] ?? []) + [id]
        store(id)
        touch(app.id)
        tellStatus(id, .staging, message: "", at: now)
        return true
    }
}

extension TaskInfo {
    /// Roughly how many bytes the task takes in a message: its texts, and something for each field.
    fileprivate var roughBytes: Int {
        var bytes = 1024 + (command?.value?.utf8.count ?? 0)
        for argument in command?.arguments ?? [] { bytes += argument.utf8.count + 8 }
        for variable in command?.environment ?? [] {
            bytes += variable.name.utf8.count + variable.value.utf8.count + 16
        }
        for uri in command?.uris ?? [] { bytes += uri.value.utf8.count + 32 }
        for label in labels + (discovery?.labels ?? []) {
            bytes += label.key.utf8.count + (label.value?.utf8.count ?? 0) + 16
        }
        return bytes
    }
}

extension OfferStatistics {
    /// Counts one round of offers.
    fileprivate mutating func add(_ reasons: [RejectReason?], isUsed: [Bool], at now: Int64) {
        lastRound = RejectCounts()
        for (reason, isUsed) in zip(reasons, isUsed) {
            processed += 1
            attempt.add(reason)
            lastRound.add(reason)
            if isUsed {
                lastUsedAt = now
            } else {
                unused += 1
                lastUnusedAt = now
            }
        }
    }
}

extension IntervalSet {
    fileprivate var first: UInt64? { intervals.first?.lowerBound }

    /// Any member.
    fileprivate func member(using generator: inout SeededGenerator) -> UInt64? {
        guard count > 0 else { return nil }
        var index = UInt64.random(in: 0..<count, using: &generator)
        for interval in intervals {
            let size = interval.upperBound - interval.lowerBound + 1
            if index < size { return interval.lowerBound + index }
            index -= size
        }
        return nil
    }
}
