internal import ProfferElection
internal import ProfferKernel

/// The way of the masters to their coordinator and back.
extension World {
    /// Takes a request to the coordinator and tells a thread of the master what came of it; `nil`
    /// is no answer in time, whether it was carried out or not.
    func consult<Answer>(
        _ master: MasterProcess, within limit: Int64, isWrite: Bool,
        _ carryOut: @escaping (World) -> Answer, then: @escaping (Answer?) -> Void
    ) {
        let incarnation = master.incarnation
        let sent = now
        let answer = { [self] (answer: Answer?, span: Int64) in
            after(span) { master.onThread(incarnation) { then(answer) } }
        }
        let there = wayToCoordinator()
        if there > limit { answer(nil, limit) }
        after(there) { [self] in
            let isLate = there > limit
            guard isReachable(master) else {
                hit(.coordinatorDown)
                // Refused at once, or never answered.
                let isRefused = chance.coordinator.hits(500)
                if !isLate { answer(nil, isRefused ? there : limit - there) }
                return
            }
            let result = carryOutAtCoordinator(carryOut)
            if isLate { return }
            var isLost = !isReachable(master)
            if isWrite, coordinator.weather.losesAnswer {
                coordinator.weather.losesAnswer = false
                hit(.commitAnswerLost)
                isLost = true
            }
            let back = wayToCoordinator()
            if isLost || now + back > sent + limit {
                answer(nil, sent + limit - now)
            } else {
                answer(result, back)
            }
        }
    }

    private func isReachable(_ master: MasterProcess) -> Bool {
        coordinator.weather.downUntil <= now && !master.isCutOff
    }

    private func wayToCoordinator() -> Int64 {
        var span = chance.coordinator.span(around: coordinator.weather.meanLatency)
        if coordinator.weather.slowUntil > now {
            hit(.coordinatorSlow)
            span += chance.coordinator.below(2 * Span.second)
            // What lies in a queue may come after its sender is forgotten.
            if chance.coordinator.hits(50) { span += chance.coordinator.below(70 * Span.second) }
        }
        return span
    }

    private func carryOutAtCoordinator<Answer>(_ body: (World) -> Answer) -> Answer {
        coordinator.expire(at: now)
        let before = coordinator.leaderChanged
        let lies = coordinator.weather.lies
        let result = body(self)
        if coordinator.weather.lies > lies { hit(.falseRenewal) }
        if coordinator.leaderChanged != before { leaderKeyChanged() }
        return result
    }

    /// Ends the lease of the leader by mistake.
    func revokeLease() {
        coordinator.revoke()
        deceive(until: now + 2 * Coordinator.lease)
        leaderKeyChanged()
    }

    /// From now on until then a master may believe to lead that does not.
    func deceive(until end: Int64) {
        coordinator.weather.deceivesUntil = max(coordinator.weather.deceivesUntil, end)
    }

    /// Tells everybody who watches; what is cut off misses it.
    private func leaderKeyChanged() {
        for master in masters where master.isWatching { hint(master) }
        guard let end = coordinator.leaderEnds else { return }
        awaitEnd(at: end)
    }

    func hint(_ master: MasterProcess) {
        let incarnation = master.incarnation
        after(wayToCoordinator()) { [self] in
            guard isReachable(master) else { return }
            master.onThread(incarnation) { master.arrive(.mail(.election(.hint))) }
        }
    }

    private func awaitEnd(at end: Int64) {
        let changed = coordinator.leaderChanged
        after(end - now) { [self] in
            guard coordinator.leaderChanged == changed else { return }
            if let later = coordinator.leaderEnds, later > now {
                awaitEnd(at: later)
                return
            }
            coordinator.expire(at: now)
            leaderKeyChanged()
        }
    }
}
