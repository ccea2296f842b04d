internal import Logging
internal import ProfferAllocation
internal import ProfferElection
internal import ProfferHTTP
@_spi(Driver) internal import ProfferKernel
internal import ProfferMaster
internal import ProfferModel
internal import ProfferRegistry
internal import ProfferSession
internal import ProfferTransport
internal import ProfferWire

/// One of several masters: stands for election, and runs a ``MasterHandler`` while it leads.
///
/// All on the thread that owns the sockets: in a turn nobody acts whose time has run out before it.
struct MasterCandidate: ReactorHandler, ~Copyable {
    /// What does not change from term to term.
    struct Setup: Sendable {
        var configuration: MasterConfiguration
        var allocator: any Allocator
        var candidacy: Candidacy
        var clock: ShiftedClock
        var sink: MasterSink
        var standing: StandingBox
        var post: @Sendable (MasterMail) -> Void
    }

    private let setup: Setup
    private var configuration: MasterConfiguration
    private var election: Election?
    private var outbox = Outbox<ElectionEffect>()
    private var master: MasterHandler?
    private var masterDeadline: Instant?
    private var isLeading = false
    private var term: EtcdTerm?
    private var epoch: UInt64 = 0
    private var head: RegistryHead?
    private var loaded: LoadedRegistry?
    private var isWatching = false
    private var isOutOfSpace = false
    private var problem: ElectionProblem?

    init(_ setup: Setup) {
        self.setup = setup
        configuration = setup.configuration
    }

    var nextDeadline: Instant? {
        earliest(election?.nextDeadline, masterDeadline)
    }

    mutating func turn(
        events: [TransportEvent], mail: [MasterMail], at now: Instant, links: inout Links
    ) {
        // First of all: whose time has run out does nothing any more.
        election?.wake(at: now, into: &outbox)
        perform(at: now, links: &links)
        var own: [MasterMail] = []
        for item in mail { take(item, at: now, links: &links, own: &own) }
        guard isLeading, election?.leads(at: now) == true else { return }
        master?.turn(events: events, mail: own, at: now, links: &links)
        masterDeadline = master?.nextDeadline
    }

    private mutating func take(
        _ item: MasterMail, at now: Instant, links: inout Links, own: inout [MasterMail]
    ) {
        switch item {
        case .stand(let contact): stand(contact, at: now)
        case .election(let input): election?.handle(input, at: now, into: &outbox)
        case .loaded(let id, let result): take(result, of: id, at: now)
        case .watchEnded:
            isWatching = false
            election?.handle(.hint, at: now, into: &outbox)
        case .outOfSpace(let isOut):
            isOutOfSpace = isOut
            if isOut { setup.sink.degraded(Self.noSpace) }
            show()
        case .operation(_, let reply):
            guard isLeading else {
                reply.refuse(NotLeading(leader: election?.leader?.contact.http))
                return
            }
            own.append(item)
        case .ofTerm(let epoch, let inner):
            guard epoch == self.epoch, isLeading else { return }
            // Told to the election by the term itself, which then ends.
            if case .commitFailed = inner { return }
            own.append(inner)
        case .whitelistRead(let hosts):
            configuration.whitelist = hosts
            if isLeading { own.append(item) }
        case .stop:
            if election == nil { links.stop() }
            election?.handle(.stop, at: now, into: &outbox)
        case .committed, .commitFailed:
            break
        }
        perform(at: now, links: &links)
    }

    private mutating func stand(_ contact: MasterContact, at now: Instant) {
        var generator = SeededGenerator(seed: SystemClock.seed())
        election = Election(
            record: LeaderRecord(candidate: generator.uuidText(), contact: contact),
            clusterID: setup.candidacy.clusterID, newClusterID: setup.candidacy.newClusterID,
            configuration: setup.candidacy.election, seenEpoch: setup.candidacy.seenEpoch,
            seed: generator.next(), at: now)
        election?.wake(at: now, into: &outbox)
    }

    private mutating func take(
        _ result: Result<LoadedRegistry, ElectionFailure>, of id: RequestID, at now: Instant
    ) {
        switch result {
        case .success(let found):
            loaded = found
            election?.handle(.answer(id, .loaded(at: found.revision)), at: now, into: &outbox)
        case .failure(let failure):
            election?.handle(.failed(id, failure), at: now, into: &outbox)
        }
    }

    // MARK: Effects of the election

    private mutating func perform(at now: Instant, links: inout Links) {
        while !outbox.isEmpty {
            for effect in outbox.takeAll() { perform(effect, at: now, links: &links) }
        }
    }

    private mutating func perform(
        _ effect: ElectionEffect, at now: Instant, links: inout Links
    ) {
        switch effect {
        case .request(let id, let request): send(request, id)
        case .watch(let revision): watch(after: revision)
        case .lead(let leadership): lead(leadership, at: now, links: &links)
        case .stepDown(let reason):
            setup.sink.steppedDown(epoch: epoch, reason: reason.description)
            endTerm()
            links.standBy([:])
        case .follow(let leader):
            if let contact = leader?.contact { setup.sink.follows(contact.http) }
            links.standBy(Self.redirects(leader?.contact))
        case .report(let new):
            problem = new
            if let new { setup.sink.degraded(Self.text(new)) }
        case .ended:
            endTerm()
            links.stop()
        }
        show()
    }

    private static func redirects(_ contact: MasterContact?) -> [EndpointID: Redirect] {
        guard let contact else { return [:] }
        return [
            MasterEndpoint.frameworks: Redirect(
                address: contact.frameworks, publicKey: contact.publicKey),
            MasterEndpoint.agents: Redirect(
                address: contact.agents, publicKey: contact.publicKey),
        ]
    }

    private mutating func send(_ request: ElectionRequest, _ id: RequestID) {
        let registry = setup.candidacy.registry
        let limit = setup.candidacy.election.requestTimeout
        let post = setup.post
        if case .takeOver(_, _, let head) = request { self.head = head }
        if case .load(let revision) = request {
            let pending = head?.pending
            Task {
                do throws(StoreProblem) {
                    post(
                        .loaded(
                            id, .success(try await registry.load(at: revision, pending: pending))))
                } catch {
                    post(.loaded(id, .failure(.refused(error.because))))
                }
            }
            return
        }
        Task {
            switch await registry.carryOut(request, within: limit) {
            case .success(let answer): post(.election(.answer(id, answer)))
            case .failure(let failure): post(.election(.failed(id, failure)))
            }
        }
    }

    private mutating func watch(after revision: Revision) {
        guard !isWatching else { return }
        isWatching = true
        let registry = setup.candidacy.registry
        let post = setup.post
        Task {
            await registry.watchLeader(after: revision) { post(.election(.hint)) }
            // One that breaks at once is not begun again at once.
            try? await Task.sleep(for: .milliseconds(500))
            post(.watchEnded)
        }
    }

    private mutating func lead(
        _ leadership: Leadership, at now: Instant, links: inout Links
    ) {
        guard let loaded else { return }
        self.loaded = nil
        epoch = leadership.epoch
        let post = setup.post
        let clock = setup.clock
        let term = EtcdTerm(
            leadership, in: setup.candidacy.registry, after: loaded, now: { clock.now() },
            outcome: { Self.tell($0, of: leadership.fence, post) })
        let records: [MasterRecord]
        do {
            records = try loaded.records.map { try WireCodec.decodeMasterRecord($0) }
        } catch {
            election?.handle(
                .commitFailed(
                    leadership.fence, "a record of the registry cannot be understood: \(error)"),
                at: now, into: &outbox)
            return
        }
        self.term = term
        master = MasterHandler(
            machine: Master(
                configuration: configuration, replaying: records,
                allocator: setup.allocator, wallClock: clock.wallClock(),
                seed: SystemClock.seed(), at: now),
            store: TermStore(term: term, records: []), sink: setup.sink,
            post: { post(.ofTerm(leadership.epoch, $0)) })
        isLeading = true
        masterDeadline = now
        setup.candidacy.adopt(leadership.head.record.clusterID, epoch)
        setup.sink.leads(epoch: epoch, records: records.count)
        links.serve(clusterID: leadership.head.record.clusterID, epoch: epoch)
    }

    private static func tell(
        _ outcome: EtcdTerm.Outcome, of fence: Fence, _ post: @Sendable (MasterMail) -> Void
    ) {
        switch outcome {
        case .committed(let sent): post(.election(.committed(fence, sent: sent)))
        case .refused: post(.election(.commitRefused(fence)))
        case .failed(let because): post(.election(.commitFailed(fence, because)))
        case .outOfSpace(let isOut): post(.outOfSpace(isOut))
        }
    }

    private mutating func endTerm() {
        term?.close()
        term = nil
        master = nil
        masterDeadline = nil
        isLeading = false
        isOutOfSpace = false
        head = nil
        loaded = nil
    }

    /// Lets other threads see how it stands.
    private func show() {
        let leads = isLeading
        setup.standing.set(
            MasterStanding(
                leads: leads, leader: leads ? nil : election?.leader?.contact.http,
                epoch: leads ? epoch : nil,
                registry: setup.candidacy.registry.address.description,
                problem: isOutOfSpace ? Self.noSpace : problem.map(Self.text)))
    }

    private static let noSpace =
        "etcd has no space left: compact and defragment it, or raise its quota, then run"
        + " 'etcdctl alarm disarm'"

    static func text(_ problem: ElectionProblem) -> String {
        switch problem {
        case .failing(.unreachable(let text)): "etcd does not answer: \(text)"
        case .failing(.noSpace): noSpace
        case .failing(.refused(let text)): "etcd refused: \(text)"
        case .wentBack(let seen, 0):
            "the registry is empty, though this master has led in epoch \(seen): give the right"
                + " --registry, or restore a backup; to begin anew, give a fresh --data-dir"
        case .wentBack(let seen, let found):
            "the registry went back from epoch \(seen) to \(found): an old copy was restored; stop"
                + " the masters and run 'proffer registry raise-epoch \(seen)'"
        case .newer(let schema):
            "the registry has version \(schema), this program knows up to"
                + " \(EtcdRegistry.schema); start the version that wrote it, or a later one"
        case .foreign(let cluster):
            "the registry is that of cluster '\(cluster)', this master belongs to another; give"
                + " another --registry, or a fresh --data-dir"
        case .staleRead(let wanted, let found):
            "etcd answered as of revision \(found), though \(wanted) was wanted; asking again"
        case .termFailed(let because):
            "this master took over and could not lead: \(because); trying again, less and less"
                + " often"
        }
    }
}
