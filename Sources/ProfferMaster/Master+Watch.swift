internal import OrderedCollections
internal import ProfferAllocation
internal import ProfferKernel
internal import ProfferModel

extension Master {
    /// So many agents at most are told in one step, which has to stay below a message's limit.
    static let agentsPerStep = 1000

    /// Begins a framework's stream of cluster state anew, or ends it.
    mutating func watchCluster(
        _ id: FrameworkID, _ isWanted: Bool, at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) {
        guard isWanted else {
            watchers.remove(id)
            frameworks[id]?.watchSerial = nil
            if watchers.isEmpty { unseenAgents.removeAll() }
            return
        }
        // What happened before the snapshot is in it; whoever watched before is told first.
        watchers.remove(id)
        takeChanges()
        if watchers.isEmpty {
            unseenAgents.removeAll()
        } else if !unseenAgents.isEmpty {
            tellWatchers(at: now, into: &outbox)
        }
        watchers.append(id)
        frameworks[id]?.watchSerial = 1
        let roles = frameworks[id]?.info.roles ?? []
        let views = agents.values.compactMap { view($0, roles) }
        tell(id, views, removed: [], isSnapshot: true, into: &outbox)
    }

    /// Tells every watcher what has changed; changes within the allocation window make one step.
    mutating func tellWatchersIfDue(at now: Instant, into outbox: inout Outbox<MasterEffect>) {
        guard !watchers.isEmpty else { return }
        takeChanges()
        guard !unseenAgents.isEmpty else { return }
        let due = lastWatchStep + configuration.allocationWindow
        guard due <= now else {
            timers.set(.watch, to: due)
            return
        }
        tellWatchers(at: now, into: &outbox)
    }

    private mutating func takeChanges() {
        for agent in allocator.takeChangedAgents() { unseenAgents.append(agent) }
    }

    private mutating func tellWatchers(
        at now: Instant, into outbox: inout Outbox<MasterEffect>
    ) {
        lastWatchStep = now
        timers.set(.watch, to: nil)
        let changed = unseenAgents
        unseenAgents.removeAll()
        for id in watchers {
            let roles = frameworks[id]?.info.roles ?? []
            var views: [AgentView] = []
            var removed: [AgentID] = []
            for agent in changed {
                if let view = agents[agent].flatMap({ view($0, roles) }) {
                    views.append(view)
                } else {
                    removed.append(agent)
                }
            }
            tell(id, views, removed: removed, isSnapshot: false, into: &outbox)
        }
    }

    /// An agent as a framework in these roles sees it; `nil` when it cannot be used.
    private func view(_ agent: AgentRow, _ roles: [String]) -> AgentView? {
        guard isOfferable(agent) else { return nil }
        return AgentView(
            id: agent.id, hostname: agent.info.hostname, attributes: agent.info.attributes,
            domain: agent.info.domain, free: allocator.free(agent.id, roles: roles))
    }

    /// Tells one watcher; what was known before is void with the first step of a snapshot.
    private mutating func tell(
        _ id: FrameworkID, _ views: [AgentView], removed: [AgentID], isSnapshot: Bool,
        into outbox: inout Outbox<MasterEffect>
    ) {
        guard let peer = frameworks[id]?.peer else { return }
        let count = max(views.count, removed.count)
        var start = 0
        repeat {
            let end = start + Self.agentsPerStep
            let serial = frameworks[id]?.watchSerial ?? 1
            frameworks[id]?.watchSerial = serial + 1
            outbox.append(
                .tellFramework(
                    .cluster(
                        ClusterState(
                            serial: serial, isSnapshot: isSnapshot && start == 0,
                            isComplete: end >= count,
                            agents: Array(views.dropFirst(start).prefix(Self.agentsPerStep)),
                            removed: Array(removed.dropFirst(start).prefix(Self.agentsPerStep)))),
                    peer))
            start = end
        } while start < count
    }

    /// Notes that an agent came, went or changed.
    mutating func noteSeen(_ id: AgentID) {
        if !watchers.isEmpty { unseenAgents.append(id) }
    }
}
