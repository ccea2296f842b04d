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
}
