internal import DequeModule
internal import OrderedCollections
public import ProfferAllocation
public import ProfferKernel
public import ProfferModel

/// The master: knows agents, frameworks and tasks, makes offers and carries tasks to agents.
///
/// A deterministic machine. Durable facts are changed together with a `.commit` effect, behind
/// which everything that rests on them waits.
public struct Master: Machine {
    let configuration: MasterConfiguration
    let wallClock: WallClock
    let info: MasterInfo
    let startedAt: WallTime
    var allocator: any Allocator
    var frameworks: OrderedDictionary<FrameworkID, FrameworkRow> = [:]
    var removedFrameworks: OrderedDictionary<FrameworkID, FrameworkRow> = [:]
    var agents: OrderedDictionary<AgentID, AgentRow> = [:]
    var tasks: OrderedTable<TaskKey, TaskRow> = [:]
    var offers: OrderedTable<OfferID, OfferRow> = [:]
    var weights: OrderedDictionary<String, Int64> = [:]
    var quotas: OrderedDictionary<String, Quota> = [:]
    /// The highest priority of roles that have one.
    var priorityLimits: OrderedDictionary<String, Int> = [:]
    /// The hosts whose agents may be offered, in the order of their names; `nil` is every one.
    var whitelist: OrderedSet<String>?
    /// Agents of the registry that have not come back yet.
    var recovering: OrderedKeys<AgentID> = []
    /// Agents of which nothing was heard for two pings, or whose session is broken.
    var silent: OrderedKeys<AgentID> = []
    /// Agents that are unreachable or gone, the longest first.
    var lost: OrderedKeys<AgentID> = []
    /// Agents that are to be declared unreachable, and why.
    var condemned: OrderedTable<AgentID, String> = [:]
    var lastRemoval: Instant?
    /// Since when so many agents are missing that removals are slow.
    var slowSince: Instant?
    /// Until when nobody is removed after such a time: the last ones are coming back still.
    var calmUntil: Instant?
    var maintenance = MaintenanceRecord()
    /// When each machine of the plan will not be available, by its key.
    var unavailable = LookupTable<String, Unavailability>()
    /// Machines that are down, by their key.
    var downMachines: OrderedKeys<String> = []
    /// Who was asked to leave which agent for maintenance.
    var leaveRequests: OrderedTable<PlacedFramework, OfferID> = [:]
    /// Where frameworks that were asked to leave may have done so, until the end of the step.
    var vacated: OrderedKeys<PlacedFramework> = []
    /// Agents that are being drained and may be empty, until the end of the step.
    var emptied: OrderedKeys<AgentID> = []
    /// Frameworks whose time to come back has begun with this master and is not durable yet.
    var newDeadlines: [FrameworkID] = []
    /// What was asked and is not answered yet.
    var questions: OrderedTable<FrameworkID, Deque<ReconcileTask>> = [:]
    /// The outstanding offers of each gang.
    var gangs = LookupTable<GangID, OrderedKeys<OfferID>>()
    /// Gangs of which an offer has ended, until the end of the step.
    var tornGangs: OrderedSet<GangID> = []
    /// Frameworks that have stated demand.
    var demanding: OrderedKeys<FrameworkID> = []
    /// Frameworks with a stream of cluster state.
    var watchers: OrderedKeys<FrameworkID> = []
    /// Agents whose next view the watchers have not been told.
    var unseenAgents: OrderedKeys<AgentID> = []
    var lastWatchStep: Instant
    var preemptions: OrderedTable<UInt64, PreemptionRow> = [:]
    var inverseOffers: OrderedTable<OfferID, InverseOfferRow> = [:]
    /// Victims that have ended, until the end of the step.
    var endedVictims: [EndedVictim] = []
    /// When victims are looked for again after a search in vain.
    var nextSearches: OrderedDictionary<DemandKey, Instant> = [:]
    var nextPreemption: UInt64 = 0
    /// The agent at which the next search for victims begins.
    var victimCursor = 0
    /// So many agents the last one looked at.
    var victimWindow = 1
    var peerFrameworks = LookupTable<PeerID, FrameworkID>()
    var peerAgents = LookupTable<PeerID, AgentID>()
    /// The keys that the peers of open sessions have proved to have.
    var peerKeys = LookupTable<PeerID, String>()
    var timers = DeadlineQueue<MasterTimer>()
    var lastAllocation: Instant
    /// From the last allocation to the next, at least.
    var allocationPause: Duration
    /// Tasks that have ended since the last allocation.
    var releaseCount = 0
    var nextFramework: UInt64 = 0
    var nextAgent: UInt64 = 0
    var nextOffer: UInt64 = 0

    /// Takes over a registry.
    ///
    /// - Parameters:
    ///   - configuration: How to behave.
    ///   - records: What earlier masters have made durable.
    ///   - allocator: Who decides what is offered to whom.
    ///   - wallClock: Turns instants into time stamps.
    ///   - seed: Must differ from one start to the next: ids follow from it.
    ///   - now: The present instant.
    public init(
        configuration: MasterConfiguration, replaying records: [MasterRecord] = [],
        allocator: any Allocator = HierarchicalAllocator(), wallClock: WallClock, seed: UInt64,
        at now: Instant
    ) {
        self.configuration = configuration
        self.wallClock = wallClock
        self.allocator = allocator
        var generator = SeededGenerator(seed: seed)
        info = MasterInfo(
            id: generator.uuidText(), hostname: configuration.hostname,
            port: configuration.httpPort, version: configuration.version,
            clusterName: configuration.clusterName, domain: configuration.domain)
        startedAt = wallClock.time(at: now)
        lastAllocation = now - configuration.allocationWindow
        allocationPause = configuration.allocationWindow
        lastWatchStep = lastAllocation
        for record in records { recover(record, at: now) }
        if configuration.whitelistFile != nil {
            whitelist = configuration.whitelist.map(Self.ordered(hosts:))
        }
        // Frameworks may have come before the limits of their roles.
        if !priorityLimits.isEmpty {
            for row in frameworks.values { tellAllocator(row, isActive: false) }
        }
        sortLost()
        timers.set(.collection, to: now + configuration.registryGCInterval)
        awaitAgents(at: now)
    }

    private mutating func recover(_ record: MasterRecord, at now: Instant) {
        switch record {
        case .agent(let id, let entry?):
            var row = AgentRow(id: id, info: entry.info, state: .recovered)
            row.info.id = id
            if let resources = entry.resources { row.info.resources = resources }
            row.isDeactivated = entry.isDeactivated
            row.drain = entry.drain
            row.publicKey = entry.publicKey
            switch entry.admission {
            case .admitted:
                recovering.append(id)
                timers.set(.agentReturn(id), to: now + configuration.agentReturnWindow)
            case .unreachable(let since):
                row.state = .unreachable
                row.unreachableSince = since
                lost.append(id)
            case .gone(let since):
                row.state = .gone
                row.unreachableSince = since
                lost.append(id)
            }
            agents[id] = row
        case .framework(let id, let entry?):
            var row = FrameworkRow(id: id, info: entry.info)
            row.info.id = id
            row.publicKey = entry.publicKey
            if entry.isRemoved {
                removedFrameworks[id] = row
                return
            }
            // One that was connected when the last master ended has the whole time from now on,
            // and every one has the time to find the new master.
            let since = entry.disconnectedSince ?? wallClock.time(at: now)
            row.disconnectedSince = since
            if entry.disconnectedSince == nil { newDeadlines.append(id) }
            let gone = Duration.nanoseconds(
                wallClock.time(at: now).nanosecondsSince1970 - since.nanosecondsSince1970)
            let window = entry.info.failoverTimeout - max(.zero, gone)
            timers.set(.failover(id), to: now + max(window, configuration.heartbeatInterval))
            frameworks[id] = row
            tellAllocator(row, isActive: false)
        case .weight(let role, let weight?):
            weights[role] = weight
            allocator.setWeight(role: role, thousandths: weight)
        case .quota(let role, let quota?):
            quotas[role] = quota
            allocator.setQuota(quota)
        case .whitelist(let hosts?): whitelist = OrderedSet(hosts)
        case .priorityLimit(let role, let limit?): priorityLimits[role] = limit
        case .maintenance(let record?): plan(record)
        case .agent(_, nil), .framework(_, nil), .weight(_, nil), .quota(_, nil), .whitelist(nil),
            .priorityLimit(_, nil), .maintenance(nil), .epoch:
            break
        }
    }

    /// When ``wake(at:into:)`` is next due.
    public var nextDeadline: Instant? {
        if !newDeadlines.isEmpty { return .distantPast }
        let free = lastAllocation + allocationPause
        let allocation = allocator.needsAllocation ? free : allocator.nextDeadline
        return earliest(timers.next, allocation.map { max($0, free) })
    }

    /// Takes one input to completion.
    public mutating func handle(
        _ input: MasterInput, at now: Instant, into outbox: inout Outbox<MasterEffect>
    ) {
        keepDeadlines(into: &outbox)
        switch input {
        case .peerOpened(let peer, let key): peerKeys[peer] = key
        case .framework(let call, let peer): take(call, from: peer, at: now, into: &outbox)
        case .agent(let message, let peer): take(message, from: peer, at: now, into: &outbox)
        case .peerClosed(let peer, let reason): close(peer, reason, at: now, into: &outbox)
        case .operation(let call, let query): answer(call, query, at: now, into: &outbox)
        case .whitelistRead(let hosts): take(whitelist: hosts, at: now, into: &outbox)
        }
        finish(at: now, into: &outbox)
    }

    /// What every step ends with.
    private mutating func finish(at now: Instant, into outbox: inout Outbox<MasterEffect>) {
        removeCondemned(at: now, into: &outbox)
        endDrains(at: now, into: &outbox)
        endVacated(into: &outbox)
        endTornGangs(at: now, into: &outbox)
        settleVictims(at: now, into: &outbox)
        allocateIfDue(at: now, into: &outbox)
        tellBackOffs(into: &outbox)
        tellWatchersIfDue(at: now, into: &outbox)
    }

    /// Does what is due.
    public mutating func wake(at now: Instant, into outbox: inout Outbox<MasterEffect>) {
        keepDeadlines(into: &outbox)
        while let timer = timers.popDue(at: now) {
            switch timer {
            case .offer(let id): end(offer: id, .timedOut, at: now, into: &outbox)
            case .ping(let id): ping(id, at: now, into: &outbox)
            case .agentReturn(let id):
                condemn(id, "it did not come back")
            case .failover(let id):
                remove(framework: id, "its failover time-out passed", at: now, into: &outbox)
            case .heartbeat(let id): heartbeat(id, at: now, into: &outbox)
            case .kill(let key): repeatKill(key, at: now, into: &outbox)
            case .watch, .removal: break
            case .collection: collectLost(at: now, into: &outbox)
            case .reconcile(let id): answerQuestions(of: id, at: now, into: &outbox)
            case .shortfalls: checkShortfalls(at: now, into: &outbox)
            case .preempt(let id): preempt(id, at: now, into: &outbox)
            }
        }
        finish(at: now, into: &outbox)
    }

    private mutating func close(
        _ peer: PeerID, _ reason: String, at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) {
        peerKeys.remove(peer)
        if let id = peerFrameworks.remove(peer) {
            disconnect(framework: id, peer, reason, at: now, into: &outbox)
        }
        if let id = peerAgents.remove(peer) {
            disconnect(agent: id, peer, reason, at: now, into: &outbox)
        }
    }

    /// A random prefix keeps ids of different masters apart; the number keeps ids of one apart.
    mutating func makeFrameworkID() -> FrameworkID {
        defer { nextFramework += 1 }
        let number = String(nextFramework)
        let zeros = String(repeating: "0", count: max(0, 4 - number.count))
        return FrameworkID("\(info.id)-\(zeros)\(number)")
    }

    mutating func makeAgentID() -> AgentID {
        defer { nextAgent += 1 }
        return AgentID("\(info.id)-S\(nextAgent)")
    }

    mutating func makeOfferID() -> OfferID {
        defer { nextOffer += 1 }
        return OfferID("\(info.id)-O\(nextOffer)")
    }
}
