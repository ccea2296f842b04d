internal import ProfferElection
internal import ProfferKernel
internal import ProfferMaster
internal import ProfferModel
internal import ProfferSession

/// One of several masters as it stands for election: what the daemon's candidate does with the
/// election machine, over the modelled coordinator.
final class CandidateModel {
    private unowned let master: MasterProcess
    private var election: Election
    private var outbox = Outbox<ElectionEffect>()
    private var loaded: [MasterRecord]?
    private(set) var isWatching = false
    private let requestTimeout: Int64
    private let loadTimeout: Int64

    init(_ master: MasterProcess) {
        self.master = master
        let world = master.world
        var configuration = ElectionConfiguration()
        requestTimeout = configuration.requestTimeout.inNanoseconds
        loadTimeout = configuration.loadTimeout.inNanoseconds
        // Its own deadline never comes.
        if world.bug == .leaseNotWatched { configuration.margin = .seconds(-100_000) }
        // The simulator's addresses are the numbers of processes.
        let address = "\(master.index)"
        election = Election(
            record: LeaderRecord(
                candidate: "\(master.name)-\(master.incarnation)",
                contact: MasterContact(frameworks: address, agents: address)),
            clusterID: nil, newClusterID: "sim", configuration: configuration,
            seed: world.chance.seeds.next(), at: master.instant)
    }

    var nextDeadline: Instant? { election.deadline() }

    /// Where a master that does not lead sends its peers.
    var redirect: Redirect {
        election.leader.map { Redirect(address: $0.contact.agents) } ?? .nobody
    }

    func leads(at now: Instant) -> Bool { election.leads(at: now) }

    func wake(at now: Instant) {
        if let due = election.deadline(), due <= now { election.wake(at: now, into: &outbox) }
        perform(at: now)
    }

    func take(_ input: ElectionInput, at now: Instant) {
        election.handle(input, at: now, into: &outbox)
        perform(at: now)
    }

    func take(_ records: [MasterRecord], of revision: Revision, to id: RequestID, at now: Instant) {
        loaded = records
        take(.answer(id, .loaded(at: revision)), at: now)
    }

    private func perform(at now: Instant) {
        while !outbox.isEmpty {
            for effect in outbox.all() { perform(effect, at: now) }
        }
    }

    private func perform(_ effect: ElectionEffect, at now: Instant) {
        let world = master.world
        switch effect {
        case .request(let id, let request): send(request, id)
        case .watch(let revision):
            isWatching = true
            // What has changed meanwhile is told at once.
            if world.coordinator.leaderChanged > revision { world.hint(master) }
        case .lead(let leadership):
            guard let records = loaded else { return }
            loaded = nil
            master.lead(leadership, records)
        case .stepDown(let reason):
            if reason == .deadline { world.hit(.leadershipGivenUp) }
            world.transcript.append("\(master.name) steps down: \(reason)", at: world.now)
            master.endTerm(at: now)
        case .report(let problem):
            world.transcript.append(
                "\(master.name): \(problem.map { "\($0)" } ?? "all is well")", at: world.now)
            if case .staleRead = problem { world.hit(.staleReadRefused) }
        case .follow, .ended: break
        }
    }

    private func send(_ request: ElectionRequest, _ id: RequestID) {
        let master = master
        let sent = master.world.bug.map { $0.mutate(request) } ?? request
        var limit = requestTimeout
        if case .load = request { limit = loadTimeout }
        master.world.consult(master, within: limit, isWrite: request.isWrite) { world in
            let reply = world.coordinator.carryOut(
                sent, at: world.now, by: &world.chance.coordinator)
            if case .takeOver(let fence, _, let head) = sent,
                case .answer(.transaction(held: true, _, _, _)) = reply
            {
                world.note(
                    .masterDurable(
                        master.index, epoch: head.epoch, fence: fence, [.epoch(head.epoch)]))
            }
            return reply
        } then: { reply in
            master.arrive(.mail(Self.mail(reply, id, request, master.world.bug)))
        }
    }

    private static func mail(
        _ reply: Coordinator.Reply?, _ id: RequestID, _ request: ElectionRequest,
        _ bug: PlantedBug?
    ) -> Mail {
        switch reply {
        case nil: return .election(.failed(id, .unreachable("no answer in time")))
        case .failed(let failure): return .election(.failed(id, failure))
        case .answer(let answer): return .election(.answer(id, answer))
        case .loaded(let records, let revision):
            if bug == .staleReadBelieved, case .load(let wanted) = request {
                return .loaded(id, records, at: wanted)
            }
            return .loaded(id, records, at: revision)
        }
    }
}

extension ElectionRequest {
    /// Whether it changes something by a transaction.
    var isWrite: Bool {
        switch self {
        case .campaign, .takeOver: true
        case .readLeader, .grantLease, .load, .keepAlive, .prove, .resign: false
        }
    }
}
