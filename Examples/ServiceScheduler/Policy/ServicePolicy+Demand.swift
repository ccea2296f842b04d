internal import Proffer

extension ServicePolicy {
    /// Of one constraint so many agents are excluded by name; the others are refused when offered.
    private static let exclusionLimit = 100
    /// Roughly so much is stated at once: the master reads 1 MiB.
    ///
    /// The apps that have waited longest go first; the others are stated when these have what they
    /// want.
    private static let byteLimit = 600 << 10

    /// Tells the master what is missing, and whether offers are wanted, when that has changed.
    ///
    /// A master that knows nothing of demand offers what it has, so that is what is looked at.
    mutating func chooseDemand(at now: Int64) {
        let waiting = missing.keys.compactMap { path in apps[path].map { (path, $0) } }
            .filter { isWanting($0.1, at: now) }
            .sorted { ($0.1.needSince ?? 0, $0.0) < ($1.1.needSince ?? 0, $1.0) }
        // The wish for silence goes before the end of demand, and demand before the wish for
        // offers: in between the framework would be a classic one, which is offered everything.
        if waiting.isEmpty, isSuppressed != true {
            turn.calls.append(.suppress(roles: []))
            isSuppressed = true
        }
        var wanted: [Demand] = []
        var bytes = 0
        for (_, record) in waiting.prefix(Demand.countLimit) {
            let demand = demand(for: record.active, record.need)
            bytes += demand.roughBytes
            if bytes > Self.byteLimit { break }
            wanted.append(demand)
        }
        if let call = book.state(wanted) { turn.calls.append(call) }
        if !waiting.isEmpty, isSuppressed != false || wantsRevive {
            turn.calls.append(.revive(roles: []))
            isSuppressed = false
        }
        wantsRevive = false
    }

    /// The instances of an app that are missing, as far as a demand can say what they need.
    ///
    /// What it cannot say is looked at again when an offer comes: GROUP_BY, a CLUSTER whose value
    /// is not chosen yet, certain ports.
    private func demand(for app: App, _ need: Int) -> Demand {
        var resources = Resources(cpus: app.cpus, mem: app.mem, disk: app.disk).quantities
        resources.add(Milli(app.gpus), to: "gpus")
        var demand = Demand(
            id: Self.demandID(app.id), role: configuration.role, resources: resources,
            ports: app.ports.count, count: min(need, Demand.instanceLimit))
        guard !app.constraints.isEmpty else { return demand }
        let peers = members(of: app.id).filter {
            $0.configuration == app.lastConfigChangeAt && $0.state != .unreachable
        }.map(\.place)
        var all: [AttributeConstraint] = []
        for constraint in app.constraints {
            all += Self.constraints(constraint, peers)
            guard let most = Self.perAgent(constraint) else { continue }
            demand.perAgent = min(demand.perAgent ?? .max, most)
        }
        if !all.isEmpty { demand.constraints = [all] }
        return demand
    }

    /// The id of an app, or the end of it when it is too long for a name.
    static func demandID(_ path: AppPath) -> String {
        let text = path.description
        guard text.utf8.count > 255 else { return text }
        return String(decoding: text.utf8.suffix(252), as: UTF8.self).filter { $0 != "\u{FFFD}" }
    }

    /// How many instances a constraint allows on one agent.
    private static func perAgent(_ constraint: PlacementConstraint) -> Int? {
        guard constraint.field == "hostname" || constraint.field == "@hostname" else { return nil }
        switch constraint.rule {
        case .unique: return 1
        case .maxPer: return constraint.value.flatMap { Int($0) }.map { max(1, $0) }
        case .cluster, .groupBy, .like, .unlike, .isEqual: return nil
        }
    }

    private static func constraints(
        _ constraint: PlacementConstraint, _ peers: [Instance.Place]
    ) -> [AttributeConstraint] {
        let selector: AttributeConstraint.Selector =
            switch constraint.field {
            case "hostname", "@hostname": .hostname
            case "@region": .region
            case "@zone": .zone
            case let name: .attribute(name)
            }
        func one(_ predicate: AttributeConstraint.Predicate) -> [AttributeConstraint] {
            [AttributeConstraint(selector: selector, predicate: predicate)]
        }
        let used = peers.compactMap { Instance.value(of: constraint.field, in: $0) }
        switch constraint.rule {
        case .like, .unlike:
            // With a pattern that cannot be read nothing is accepted; the master would refuse it.
            guard let pattern = constraint.value, (try? TextPattern(pattern)) != nil else {
                return []
            }
            return one(
                constraint.rule == .like ? .textMatches(pattern) : .textNotMatches(pattern))
        case .isEqual: return constraint.value.map { one(.textEquals($0)) } ?? []
        case .cluster:
            let value = constraint.value.flatMap { $0.isEmpty ? nil : $0 } ?? used.first
            return value.map { one(.textEquals($0)) } ?? one(.exists)
        case .unique, .maxPer:
            let most = constraint.rule == .unique ? 1 : constraint.value.flatMap { Int($0) } ?? 0
            return one(.exists)
                + full(used, most).prefix(exclusionLimit).flatMap { one(.textNotEquals($0)) }
        case .groupBy: return one(.exists)
        }
    }

    /// The values that occur so often that no further instance is allowed, in order.
    private static func full(_ used: [String], _ most: Int) -> [String] {
        var counts: SortedMap<String, Int> = SortedMap()
        for value in used { counts[value] = (counts[value] ?? 0) + 1 }
        return zip(counts.keys, counts.values).filter { $0.1 >= most }.map(\.0)
    }
}

extension Demand {
    /// Roughly how many bytes it takes in a message: its texts, and something for each field.
    fileprivate var roughBytes: Int {
        var bytes = 256 + id.utf8.count + role.utf8.count
        for constraint in constraints.joined() {
            bytes += 32
            if case .attribute(let name) = constraint.selector { bytes += name.utf8.count }
            switch constraint.predicate {
            case .exists, .notExists: break
            case .textEquals(let text), .textNotEquals(let text), .textMatches(let text),
                .textNotMatches(let text):
                bytes += text.utf8.count
            }
        }
        return bytes
    }
}
