internal import ProfferKernel

/// How a master gets and keeps the lock of the leader.
///
/// It gives the lead up by its own clock, a good while before its lease can end: two thirds of it
/// after the last renewal that was confirmed was asked for.
final class CandidateModel {
    private var campaignAt: Instant?
    private var renewAt: Instant?
    private var giveUpAt: Instant?
    private var revision: UInt64?
    /// When the lock was asked for last.
    private var asked = Instant.zero

    private static let retry = Duration.milliseconds(900)
    private static let renewal = Duration.seconds(1)
    private static let patience = Duration.nanoseconds(Coordinator.lease / 3 * 2)

    var nextDeadline: Instant? { earliest(campaignAt, earliest(renewAt, giveUpAt)) }

    func begin(_ master: MasterProcess) {
        let span = master.world.chance.coordinator.below(Span.second)
        campaignAt = master.instant + .nanoseconds(span)
    }

    func wake(_ master: MasterProcess, at now: Instant) {
        if master.world.bug == .leaseNotWatched { giveUpAt = nil }
        if let due = giveUpAt, due <= now {
            giveUpAt = nil
            master.world.hit(.leadershipGivenUp)
            master.stop()
            return
        }
        if let due = campaignAt, due <= now {
            campaignAt = now + Self.retry
            if revision == nil { campaign(master) }
        }
        if let due = renewAt, due <= now, let revision {
            renewAt = now + Self.renewal
            renew(master, revision, at: now)
        }
    }

    /// Asks something of the coordinator; the answer comes after a while, or never.
    private func ask(
        _ master: MasterProcess, _ request: @escaping (World) -> Mail?
    ) {
        let world = master.world
        let incarnation = master.incarnation
        let span = world.chance.coordinator.span(around: world.coordinator.weather.meanLatency)
        world.after(span) {
            if world.coordinator.downUntil > world.now || master.isCutOff {
                world.hit(.coordinatorDown)
                return
            }
            guard let mail = request(world) else { return }
            let back = world.chance.coordinator.span(
                around: world.coordinator.weather.meanLatency)
            world.after(back) {
                if master.isUp, master.incarnation == incarnation { master.arrive(.mail(mail)) }
            }
        }
    }

    private func campaign(_ master: MasterProcess) {
        let (index, incarnation) = (master.index, master.incarnation)
        giveUpAt = nil
        let now = master.instant
        asked = now
        ask(master) { world in
            guard world.coordinator.isShared else { return .elected(revision: 1) }
            guard world.processes[index].isUp else { return nil }
            let revision = world.coordinator.acquire(index, incarnation, at: world.now)
            return .elected(revision: revision)
        }
    }

    func elected(_ master: MasterProcess, _ revision: UInt64?, at now: Instant) {
        guard let revision, self.revision == nil else { return }
        self.revision = revision
        campaignAt = nil
        if master.world.coordinator.isShared {
            renewAt = now + Self.renewal
            giveUpAt = asked + Self.patience
        } else {
            master.world.coordinator.hold(master.index, master.incarnation)
        }
        master.takeOver(revision: revision)
    }

    private func renew(_ master: MasterProcess, _ revision: UInt64, at now: Instant) {
        ask(master) { world in
            var isRenewed = world.coordinator.renew(revision, at: world.now)
            if !isRenewed, world.coordinator.renewsFalsely {
                world.coordinator.renewsFalsely = false
                world.hit(.falseRenewal)
                isRenewed = true
            }
            return .renewed(isRenewed, asked: now)
        }
    }

    func renewed(
        _ master: MasterProcess, _ isRenewed: Bool, asked: Instant, at now: Instant
    ) {
        guard revision != nil else { return }
        if isRenewed {
            giveUpAt = asked + Self.patience
        } else if master.world.bug != .leaseNotWatched {
            master.stop()
        }
    }
}
