public import ProfferKernel

/// A candidate for leadership, and the leader it may become.
///
/// A master is elected by making the leader key, which ends with its lease. Its rules:
///
/// - A lease is no proof. Every commit, the first included that raises the epoch, is a transaction
///   on the condition that the leader key was made at the revision at which this master made it
///   (``Fence``). Whatever the coordinator says of leases, two masters cannot both write.
/// - A leader steps down by its own clock: when ``ElectionConfiguration/leaseTime`` less a margin
///   has passed since it *sent* the last renewal that was confirmed, or the last transaction that
///   proved the leader key its own, whichever is longer ago. So a renewal that is wrongly confirmed
///   does not keep a leader whose key is gone.
/// - It first writes its epoch and then reads the registry at exactly that revision, so that an
///   answer from the past is recognised.
/// - A watch is a hint: it makes the machine look, never believe.
/// - What once was seen (epoch, revision) cannot become less; a registry that went back is not led.
///
/// Requests of an earlier term may still be under way when a new one begins; they carry the fence
/// of theirs, and change nothing.
public struct Election: Machine {
    /// Where it stands.
    enum Phase: Hashable, Sendable {
        case resting(until: Instant)
        case looking
        case granting
        case campaigning
        case claiming
        case loading
        case leading
        case resigning
        case ended
    }

    /// A request that waits for its answer.
    struct Pending: Hashable, Sendable {
        var id: RequestID
        var sent: Instant
        var due: Instant
    }

    /// A lease, and what is made with it.
    struct Tenure: Hashable, Sendable {
        var lease: LeaseID
        var time: Duration
        /// When the last renewal was sent that was confirmed.
        var renewed: Instant
        /// When the last transaction was sent that proved the key; `nil` before the first.
        var proved: Instant?
        var fence: Fence?
        var head: HeadKey?
        var renewal: Pending?
        var proof: Pending?
        var renewAt: Instant
        var proveAt: Instant
        /// Since when it is led; `nil` while it is being taken over.
        var led: Instant?
    }

    let configuration: ElectionConfiguration
    let record: LeaderRecord
    let newClusterID: String
    let clusterID: String?
    var generator: SeededGenerator
    var phase: Phase
    var pending: Pending?
    var tenure: Tenure?
    var lastRequest: UInt64 = 0
    /// Attempts in a row that came to nothing; a term counts only once it has lasted.
    var failures = 0
    var seenEpoch: UInt64
    var seenRevision = Revision.zero
    var followed: LeaderRecord?
    var problem: ElectionProblem?
    /// Whether the present rest is a pause after a failure, which no hint shortens.
    var isBackingOff = false
    var retryAt: Instant?

    /// Makes a candidate that looks around at its first ``wake(at:into:)``.
    ///
    /// - Parameters:
    ///   - record: Who it is; the candidate's name must be one that no process ever had.
    ///   - clusterID: The cluster whose registry it may lead; `nil` is any.
    ///   - newClusterID: The name of the cluster if the registry is a new one.
    ///   - configuration: How it behaves.
    ///   - seenEpoch: The highest epoch that this master knows of; a registry with a lower one is
    ///     refused.
    ///   - seed: Decides its pauses.
    ///   - now: The present instant.
    public init(
        record: LeaderRecord, clusterID: String?, newClusterID: String,
        configuration: ElectionConfiguration = .init(), seenEpoch: UInt64 = 0, seed: UInt64,
        at now: Instant
    ) {
        self.record = record
        self.clusterID = clusterID
        self.newClusterID = newClusterID
        self.configuration = configuration
        self.seenEpoch = seenEpoch
        generator = SeededGenerator(seed: seed)
        phase = .resting(until: now)
    }

    /// Whether this master leads and may act at `now`.
    ///
    /// Ask before anything leaves: between two calls of the machine the time may have run out.
    public func leads(at now: Instant) -> Bool {
        guard phase == .leading, let deadline = leadershipDeadline else { return false }
        return now < deadline
    }

    /// When the leadership ends unless it is confirmed; `nil` when it has none.
    public var leadershipDeadline: Instant? {
        guard let tenure, let proved = tenure.proved else { return nil }
        return min(tenure.renewed, proved) + (tenure.time - configuration.margin)
    }

    /// The fence of the present term; `nil` when this master does not hold the key.
    public var fence: Fence? { tenure?.fence }

    /// Who leads, as far as a follower knows.
    public var leader: LeaderRecord? { followed }

    /// When ``wake(at:into:)`` is next due.
    public var nextDeadline: Instant? {
        var next: Instant?
        if case .resting(let until) = phase { next = until }
        next = earliest(next, pending?.due)
        next = earliest(next, retryAt)
        guard let tenure, tenure.fence != nil else { return next }
        next = earliest(next, leadershipDeadline)
        next = earliest(next, tenure.renewal?.due ?? tenure.renewAt)
        return earliest(next, tenure.proof?.due ?? tenure.proveAt)
    }

    /// Takes one input.
    public mutating func handle(
        _ input: ElectionInput, at now: Instant, into outbox: inout Outbox<ElectionEffect>
    ) {
        expire(at: now, into: &outbox)
        switch input {
        case .answer(let id, let answer):
            take(answer, to: id, at: now, into: &outbox)
        case .failed(let id, let failure):
            take(failure, of: id, at: now, into: &outbox)
        case .hint:
            lookInto(at: now, into: &outbox)
        case .committed(let fence, let sent):
            if tenure?.fence == fence { prove(sent: sent) }
        case .commitRefused(let fence):
            if tenure?.fence == fence { give(up: .keyLost, at: now, into: &outbox) }
        case .commitFailed(let fence, let because):
            if tenure?.fence == fence {
                give(up: .commitFailed(because), at: now, into: &outbox)
            }
        case .stop:
            stop(at: now, into: &outbox)
        }
    }

    /// Does what is due.
    public mutating func wake(at now: Instant, into outbox: inout Outbox<ElectionEffect>) {
        expire(at: now, into: &outbox)
        if let late = pending, late.due <= now {
            take(.unreachable("no answer in time"), of: late.id, at: now, into: &outbox)
        }
        if let due = retryAt, due <= now {
            retryAt = nil
            retry(at: now, into: &outbox)
        }
        if case .resting(let until) = phase, until <= now {
            phase = .looking
            ask(.readLeader, at: now, into: &outbox)
        }
        confirm(at: now, into: &outbox)
    }

    // MARK: Requests

    /// Sends the request that the machine waits for.
    mutating func ask(
        _ request: ElectionRequest, at now: Instant, into outbox: inout Outbox<ElectionEffect>
    ) {
        var patience = configuration.requestTimeout
        if case .load = request { patience = configuration.loadTimeout }
        pending = send(request, patience, at: now, into: &outbox)
    }

    private mutating func send(
        _ request: ElectionRequest, _ patience: Duration, at now: Instant,
        into outbox: inout Outbox<ElectionEffect>
    ) -> Pending {
        lastRequest += 1
        let id = RequestID(lastRequest)
        outbox.append(.request(id, request))
        return Pending(id: id, sent: now, due: now + patience)
    }

    /// The pause before the next attempt: doubling, with half of it by chance.
    private mutating func pause(upTo last: Duration) -> Duration {
        var pause = configuration.retryFirst
        for _ in 0..<min(failures, 16) where pause < last { pause = pause * 2 }
        failures += 1
        pause = min(pause, last)
        return pause / 2 + generator.duration(upTo: pause / 2)
    }

    mutating func rest(at now: Instant, upTo last: Duration? = nil) {
        phase = .resting(until: now + pause(upTo: last ?? configuration.retryLast))
        isBackingOff = true
        pending = nil
        retryAt = nil
    }

    mutating func report(
        _ new: ElectionProblem?, into outbox: inout Outbox<ElectionEffect>
    ) {
        guard new != problem else { return }
        problem = new
        outbox.append(.report(new))
    }

    /// A step of taking over went well; that terms fail is over only when one has lasted.
    mutating func reportProgress(into outbox: inout Outbox<ElectionEffect>) {
        if case .termFailed = problem { return }
        report(nil, into: &outbox)
    }

    /// Whether the present term has been led for as long as a lease.
    private func hasLasted(at now: Instant) -> Bool {
        guard let led = tenure?.led else { return false }
        return led + configuration.leaseTime <= now
    }

    mutating func follow(
        _ leader: LeaderRecord?, into outbox: inout Outbox<ElectionEffect>
    ) {
        guard leader != followed else { return }
        followed = leader
        outbox.append(.follow(leader))
    }

    // MARK: Confirmation of a term

    /// Renews the lease and proves the key, each for itself, as long as the key is held.
    private mutating func confirm(at now: Instant, into outbox: inout Outbox<ElectionEffect>) {
        if case .termFailed = problem, hasLasted(at: now) { report(nil, into: &outbox) }
        guard var tenure, let fence = tenure.fence else { return }
        let patience = configuration.requestTimeout
        if let late = tenure.renewal, late.due <= now {
            tenure.renewal = nil
            tenure.renewAt = now
        }
        if let late = tenure.proof, late.due <= now {
            tenure.proof = nil
            tenure.proveAt = now
        }
        if tenure.renewal == nil, tenure.renewAt <= now {
            tenure.renewal = send(.keepAlive(tenure.lease), patience, at: now, into: &outbox)
        }
        if tenure.proof == nil, tenure.proveAt <= now {
            tenure.proof = send(.prove(fence), patience, at: now, into: &outbox)
        }
        self.tenure = tenure
    }

    mutating func prove(sent: Instant) {
        guard let proved = tenure?.proved, sent > proved else { return }
        tenure?.proved = sent
        let next = sent + configuration.confirmInterval
        if let planned = tenure?.proveAt, planned < next { tenure?.proveAt = next }
    }

    /// Whether an answer or failure was one of a confirmation, and then taken in.
    private mutating func takeConfirmation(
        _ result: Result<ElectionAnswer, ElectionFailure>, of id: RequestID, at now: Instant,
        into outbox: inout Outbox<ElectionEffect>
    ) -> Bool {
        if let renewal = tenure?.renewal, renewal.id == id {
            tenure?.renewal = nil
            tenure?.renewAt = now + configuration.retryFirst
            guard case .success(.alive(let left)) = result else { return true }
            if left <= .zero {
                give(up: .leaseLost, at: now, into: &outbox)
            } else {
                // One at a time is under way, so this one was sent last.
                tenure?.renewed = renewal.sent
                tenure?.renewAt = renewal.sent + configuration.confirmInterval
            }
            return true
        }
        if let proof = tenure?.proof, proof.id == id {
            tenure?.proof = nil
            tenure?.proveAt = now + configuration.retryFirst
            guard case .success(.proof(let holds)) = result else { return true }
            if holds {
                prove(sent: proof.sent)
                tenure?.proveAt = proof.sent + configuration.confirmInterval
            } else {
                give(up: .keyLost, at: now, into: &outbox)
            }
            return true
        }
        return false
    }

    private mutating func take(
        _ answer: ElectionAnswer, to id: RequestID, at now: Instant,
        into outbox: inout Outbox<ElectionEffect>
    ) {
        if takeConfirmation(.success(answer), of: id, at: now, into: &outbox) { return }
        guard let request = pending, request.id == id else { return }
        pending = nil
        if case .failing = problem { report(nil, into: &outbox) }
        advance(with: answer, sent: request.sent, at: now, into: &outbox)
    }

    private mutating func take(
        _ failure: ElectionFailure, of id: RequestID, at now: Instant,
        into outbox: inout Outbox<ElectionEffect>
    ) {
        if takeConfirmation(.failure(failure), of: id, at: now, into: &outbox) { return }
        guard pending?.id == id else { return }
        pending = nil
        report(.failing(failure), into: &outbox)
        switch phase {
        case .campaigning, .claiming, .loading:
            // Whether it was carried out is unknown; asked again, the answer tells.
            retryAt = now + pause(upTo: configuration.retryLast)
        case .resigning:
            finish(into: &outbox)
        case .resting, .looking, .granting, .leading, .ended:
            // Nothing is known of a leader that has not been seen for so long.
            follow(nil, into: &outbox)
            tenure = nil
            rest(at: now)
        }
    }

    /// Steps down when the time has run out, before anything else is considered.
    private mutating func expire(at now: Instant, into outbox: inout Outbox<ElectionEffect>) {
        if let deadline = leadershipDeadline, deadline <= now {
            give(up: .deadline, at: now, into: &outbox)
        } else if let tenure, tenure.fence == nil,
            tenure.renewed + (tenure.time - configuration.margin) <= now
        {
            // A campaign without an answer for so long: its lease is of no use any more.
            self.tenure = nil
            rest(at: now)
        }
    }

    /// Ends a term, whether it was led already or only being taken over.
    mutating func give(
        up reason: StepDownReason, at now: Instant, into outbox: inout Outbox<ElectionEffect>
    ) {
        let fence = tenure?.fence
        if phase == .leading { outbox.append(.stepDown(reason)) }
        let hasLasted = hasLasted(at: now)
        tenure = nil
        if hasLasted { failures = 0 }
        if case .commitFailed(let because) = reason, !hasLasted {
            // Whatever made this term fail may well make the next one fail; each is a new epoch
            // and reads the whole registry.
            report(.termFailed(because), into: &outbox)
            rest(at: now, upTo: configuration.takeOverRetryLast)
        } else {
            rest(at: now)
        }
        // Deletes only a key of this very term: so the next leader need not wait for the lease.
        if let fence {
            _ = send(.resign(fence), configuration.requestTimeout, at: now, into: &outbox)
        }
    }

    // MARK: Hints and the end

    private mutating func lookInto(at now: Instant, into outbox: inout Outbox<ElectionEffect>) {
        switch phase {
        case .resting(let until):
            guard !isBackingOff else { return }
            phase = .resting(until: min(until, now + generator.duration(upTo: hintDelay)))
        case .leading, .claiming, .loading:
            guard let planned = tenure?.proveAt else { return }
            let soon = now + generator.duration(upTo: hintDelay)
            tenure?.proveAt = min(planned, soon)
        case .looking, .granting, .campaigning, .resigning, .ended:
            break
        }
    }

    /// Keeps a watch that ends again and again from making a storm of requests.
    private var hintDelay: Duration { configuration.retryFirst / 2 }

    private mutating func stop(at now: Instant, into outbox: inout Outbox<ElectionEffect>) {
        guard phase != .ended, phase != .resigning else { return }
        guard let fence = tenure?.fence else {
            finish(into: &outbox)
            return
        }
        if phase == .leading { outbox.append(.stepDown(.stopping)) }
        tenure = nil
        retryAt = nil
        phase = .resigning
        ask(.resign(fence), at: now, into: &outbox)
    }

    mutating func finish(into outbox: inout Outbox<ElectionEffect>) {
        tenure = nil
        pending = nil
        retryAt = nil
        phase = .ended
        outbox.append(.ended)
    }
}
