internal import ProfferKernel

/// How a candidate becomes a leader, step by step.
extension Election {
    /// Goes on with the answer to the request that was waited for.
    mutating func advance(
        with answer: ElectionAnswer, sent: Instant, at now: Instant,
        into outbox: inout Outbox<ElectionEffect>
    ) {
        switch (phase, answer) {
        case (.looking, .leader(let key, let revision)):
            look(at: key, revision, at: now, into: &outbox)
        case (.granting, .lease(let lease, let time)):
            tenure = Tenure(
                lease: lease, time: min(time, configuration.leaseTime), renewed: sent,
                renewAt: sent + configuration.confirmInterval, proveAt: now)
            phase = .campaigning
            ask(.campaign(record, lease), at: now, into: &outbox)
        case (.campaigning, .transaction(let held, let leader, let head, let revision)):
            endCampaign(
                held: held, leader, head, revision, sent: sent, at: now, into: &outbox)
        case (.claiming, .transaction(let held, let leader, let head, let revision)):
            endClaim(held: held, leader, head, revision, sent: sent, at: now, into: &outbox)
        case (.loading, .loaded(let revision)):
            endLoad(revision, at: now, into: &outbox)
        case (.resigning, _):
            finish(into: &outbox)
        default:
            // An answer to something else than what was asked.
            tenure = nil
            rest(at: now)
        }
    }

    /// Asks again what had no answer, after a pause.
    mutating func retry(at now: Instant, into outbox: inout Outbox<ElectionEffect>) {
        guard let tenure else {
            rest(at: now)
            return
        }
        switch phase {
        case .campaigning:
            ask(.campaign(record, tenure.lease), at: now, into: &outbox)
        case .claiming:
            claim(at: now, into: &outbox)
        case .loading:
            load(at: now, into: &outbox)
        case .resting, .looking, .granting, .leading, .resigning, .ended:
            break
        }
    }

    private mutating func look(
        at key: LeaderKey?, _ revision: Revision, at now: Instant,
        into outbox: inout Outbox<ElectionEffect>
    ) {
        guard let key else {
            follow(nil, into: &outbox)
            phase = .granting
            ask(.grantLease(configuration.leaseTime), at: now, into: &outbox)
            return
        }
        // A key of its own that it does not know to have made ends by itself; nobody leads then.
        let isOwn = key.record.candidate == record.candidate
        if key.record == followed {
            // Somebody leads and stays: what went wrong here is over.
            failures = 0
            if case .termFailed = problem { report(nil, into: &outbox) }
        }
        isBackingOff = false
        follow(isOwn ? nil : key.record, into: &outbox)
        outbox.append(.watch(after: revision))
        let pause = configuration.lookInterval
        phase = .resting(until: now + pause / 2 + generator.duration(upTo: pause / 2))
    }

    // MARK: Campaign

    private mutating func endCampaign(
        held: Bool, _ leader: LeaderKey?, _ head: HeadKey?, _ revision: Revision, sent: Instant,
        at now: Instant, into outbox: inout Outbox<ElectionEffect>
    ) {
        guard let lease = tenure?.lease else { return }
        if held {
            tenure?.fence = Fence(revision)
        } else if let leader, leader.record.candidate == record.candidate, leader.lease == lease {
            // An earlier attempt of this campaign made the key, and its answer was lost.
            tenure?.fence = Fence(leader.creation)
        } else {
            tenure = nil
            if leader == nil {
                // The condition failed, but nobody has the key: the answer makes no sense.
                rest(at: now)
            } else {
                look(at: leader, revision, at: now, into: &outbox)
            }
            return
        }
        follow(nil, into: &outbox)
        tenure?.proved = sent
        tenure?.proveAt = sent + configuration.confirmInterval
        tenure?.head = head
        if let obstacle = obstacle(head, revision) {
            report(obstacle, into: &outbox)
            give(up: .keyLost, at: now, into: &outbox)
            return
        }
        seenRevision = max(seenRevision, revision)
        reportProgress(into: &outbox)
        phase = .claiming
        claim(at: now, into: &outbox)
    }

    /// Why the registry with this head may not be led; `nil` when it may.
    private func obstacle(_ head: HeadKey?, _ revision: Revision) -> ElectionProblem? {
        let foundEpoch = head?.record.epoch ?? 0
        if foundEpoch < seenEpoch || revision < seenRevision {
            return .wentBack(seenEpoch: seenEpoch, foundEpoch: foundEpoch)
        }
        guard let head else { return nil }
        if head.record.schema > configuration.schema {
            return .newer(schema: head.record.schema)
        }
        if let clusterID, head.record.clusterID != clusterID {
            return .foreign(clusterID: head.record.clusterID)
        }
        return nil
    }

    // MARK: The epoch, then the registry

    private mutating func claim(at now: Instant, into outbox: inout Outbox<ElectionEffect>) {
        guard let fence = tenure?.fence else { return }
        let expected = tenure?.head?.modified ?? .zero
        ask(
            .takeOver(fence, expecting: expected, ownHead(fence)), at: now, into: &outbox)
    }

    /// The head with which the term begins.
    private func ownHead(_ fence: Fence) -> RegistryHead {
        let found = tenure?.head?.record
        return RegistryHead(
            schema: configuration.schema,
            clusterID: found?.clusterID ?? clusterID ?? newClusterID,
            epoch: (found?.epoch ?? 0) + 1, fence: fence, pending: found?.pending)
    }

    private mutating func endClaim(
        held: Bool, _ leader: LeaderKey?, _ head: HeadKey?, _ revision: Revision, sent: Instant,
        at now: Instant, into outbox: inout Outbox<ElectionEffect>
    ) {
        guard let fence = tenure?.fence else { return }
        if held {
            let own = HeadKey(record: ownHead(fence), modified: revision)
            tenure?.head = own
        } else if let head, head.record.fence == fence, leader?.creation == fence.creation {
            // An earlier attempt went through, and its answer was lost.
            tenure?.head = head
        } else {
            give(up: .keyLost, at: now, into: &outbox)
            return
        }
        prove(sent: sent)
        seenEpoch = max(seenEpoch, tenure?.head?.record.epoch ?? 0)
        seenRevision = max(seenRevision, tenure?.head?.modified ?? .zero)
        phase = .loading
        load(at: now, into: &outbox)
    }

    private mutating func load(at now: Instant, into outbox: inout Outbox<ElectionEffect>) {
        guard let head = tenure?.head else { return }
        ask(.load(at: head.modified), at: now, into: &outbox)
    }

    private mutating func endLoad(
        _ revision: Revision, at now: Instant, into outbox: inout Outbox<ElectionEffect>
    ) {
        guard let fence = tenure?.fence, let head = tenure?.head else { return }
        guard revision >= head.modified else {
            report(.staleRead(wanted: head.modified, found: revision), into: &outbox)
            retryAt = now + configuration.retryFirst
            return
        }
        reportProgress(into: &outbox)
        tenure?.led = now
        phase = .leading
        outbox.append(.watch(after: head.modified))
        outbox.append(
            .lead(Leadership(epoch: head.record.epoch, fence: fence, head: head)))
    }
}
