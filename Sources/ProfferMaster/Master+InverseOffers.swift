internal import OrderedCollections
internal import ProfferKernel
internal import ProfferModel

extension Master {
    /// Asks a framework to end tasks before a deadline, or to leave an agent before maintenance.
    mutating func request(
        _ inverseOffer: InverseOffer, _ preemption: UInt64?, at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) {
        let id = inverseOffer.id
        inverseOffers[id] = InverseOfferRow(
            inverseOffer: inverseOffer, madeAt: now, preemption: preemption)
        if let preemption { preemptions[preemption]?.inverseOffers.append(id) }
        if let peer = frameworks[inverseOffer.frameworkID]?.peer {
            outbox.append(.tellFramework(.inverseOffers([inverseOffer]), peer))
        }
    }

    mutating func rescind(inverseOffer id: OfferID, into outbox: inout Outbox<MasterEffect>) {
        guard let row = inverseOffers.remove(id) else { return }
        if let preemption = row.preemption { preemptions[preemption]?.inverseOffers.remove(id) }
        if let peer = frameworks[row.inverseOffer.frameworkID]?.peer {
            outbox.append(.tellFramework(.rescindInverseOffer(id), peer))
        }
    }

    /// What a framework says to requests; it is noted and shown, and binds nobody.
    mutating func respond(
        _ response: InverseOfferResponse, to ids: [OfferID], _ framework: FrameworkID
    ) {
        for id in ids where inverseOffers[id]?.inverseOffer.frameworkID == framework {
            inverseOffers[id]?.response = response
        }
    }

    /// Tells a framework that has subscribed anew what it is asked still: the requests made before
    /// are void.
    mutating func repeatInverseOffers(
        _ framework: FrameworkID, at now: Instant, into outbox: inout Outbox<MasterEffect>
    ) {
        let rows = inverseOffers.values.filter { $0.inverseOffer.frameworkID == framework }
        for row in rows {
            var again = row.inverseOffer
            inverseOffers.remove(again.id)
            guard let id = row.preemption else {
                again.id = makeOfferID()
                if let agent = again.agentID {
                    leaveRequests[PlacedFramework(agent: agent, framework: framework)] = again.id
                }
                request(again, nil, at: now, into: &outbox)
                continue
            }
            preemptions[id]?.inverseOffers.remove(again.id)
            guard let preemption = preemptions[id] else { continue }
            again.id = makeOfferID()
            again.tasks.removeAll { !preemption.tasks.contains(TaskKey(framework, $0)) }
            request(again, row.preemption, at: now, into: &outbox)
        }
    }

    func inverseOfferSummaries(at now: Instant) -> [InverseOfferSummary] {
        inverseOffers.values.map { row in
            InverseOfferSummary(
                inverseOffer: row.inverseOffer, age: now - row.madeAt,
                reason: row.preemption.map { preemptions[$0]?.reason ?? "" } ?? "maintenance",
                response: row.response)
        }
    }
}
