internal import OrderedCollections
internal import ProfferKernel
internal import ProfferModel

extension Master {
    /// Why a peer is not whom it says it is, or `nil`.
    ///
    /// An id belongs to the key that made it: whoever may connect at all could otherwise take over
    /// any framework or agent. An id without a key, from an older registry or learned from an
    /// agent, belongs to the first who uses it.
    mutating func problemOfKey(
        _ claimed: ClaimedIdentity, _ peer: PeerID, into outbox: inout Outbox<MasterEffect>
    ) -> String? {
        let owner: String?
        let advice: String
        switch claimed {
        case .framework(let id):
            owner = (frameworks[id] ?? removedFrameworks[id])?.publicKey
            advice =
                "the framework id '\(id)' was made with another key than this peer has; come back "
                + "with that key, or subscribe without an id as a new framework"
        case .agent(let id):
            owner = agents[id]?.publicKey
            advice =
                "the agent id '\(id)' was made with another key than this peer has; come back with "
                + "that key, or with a new data directory as a new agent"
        }
        guard let owner, owner != peerKeys[peer] else { return nil }
        outbox.append(.observe(.identityRefused(claimed, publicKey: peerKeys[peer])))
        return advice
    }

    // MARK: Other keys

    /// Gives the id of an agent to another key; a session of the old one ends.
    mutating func rebind(
        agent id: AgentID, to key: String?, at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) -> OperatorAnswer {
        guard var row = agents[id] else { return .notFound("there is no agent '\(id)'") }
        if let problem = Self.problemOfKey(key) { return .refused(problem) }
        guard row.publicKey != key else { return .done }
        row.publicKey = key
        outbox.append(.commit([.agent(id, entry(row))]))
        agents[id]?.publicKey = key
        if let peer = row.peer, peerKeys[peer] != key {
            let reason = "the operator gave the agent's id to another key"
            disconnect(agent: id, peer, reason, at: now, into: &outbox)
            peerAgents.remove(peer)
            outbox.append(.closePeer(peer, reason: reason))
        }
        return .done
    }

    /// Gives the id of a framework to another key; a session of the old one ends, and its tasks
    /// live on for the failover time-out, at least for a heartbeat's time.
    mutating func rebind(
        framework id: FrameworkID, to key: String?, at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) -> OperatorAnswer {
        guard var row = frameworks[id] else {
            return .notFound("there is no framework '\(id)'")
        }
        if let problem = Self.problemOfKey(key) { return .refused(problem) }
        guard row.publicKey != key else { return .done }
        row.publicKey = key
        outbox.append(.commit([.framework(id, row.entry())]))
        frameworks[id]?.publicKey = key
        if let peer = row.peer, peerKeys[peer] != key {
            let reason = "the operator gave the framework's id to another key"
            outbox.append(.tellFramework(.error(reason), peer))
            peerFrameworks.remove(peer)
            disconnect(
                framework: id, peer, reason, atLeast: configuration.heartbeatInterval, at: now,
                into: &outbox)
            outbox.append(.closePeer(peer, reason: reason))
        }
        return .done
    }

    /// A CURVE key in Z85 has 40 characters.
    private static func problemOfKey(_ key: String?) -> String? {
        guard let key, key.utf8.count != 40 else { return nil }
        return "a public key has 40 characters; this one has \(key.utf8.count)"
    }
}
