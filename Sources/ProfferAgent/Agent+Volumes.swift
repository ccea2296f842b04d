internal import ProfferKernel
internal import ProfferModel

extension Agent {
    /// Takes over what the agent has now, as the master says: the master alone makes and destroys
    /// volumes.
    ///
    /// Data of volumes that are no more is put away before that is kept, not after: whoever comes
    /// later under the same name must not find it, whenever the agent's process ends. What a new
    /// volume finds in its place is no volume's that the agent knows of, and is set aside; only
    /// after the volume is kept, so that nothing that a task has written there since can be.
    mutating func take(_ resources: Resources, _ turn: inout Turn) {
        let before = wantedResources ?? info.resources
        guard resources != before else { return }
        let old = volumePlaces(in: before)
        let new = volumePlaces(in: resources)
        let gone = old.filter { !new.contains($0) }
        let fresh = new.filter { !old.contains($0) }
        if gone.isEmpty, wantedResources == nil {
            keep(resources, &turn)
            if fresh.isEmpty { return }
            volumeChanges += 1
            turn.effects.append(.changeVolumes(destroyed: [], created: fresh))
            return
        }
        wantedResources = resources
        if gone.isEmpty { return }
        volumeChanges += 1
        turn.effects.append(.changeVolumes(destroyed: gone, created: []))
        for place in gone { turn.observe(.volumeDestroyed(place)) }
    }

    /// Notes that a change of volumes is done; after the last one, what the agent has is kept.
    mutating func noteVolumeChange(_ turn: inout Turn) {
        volumeChanges -= 1
        guard volumeChanges == 0, let resources = wantedResources else { return }
        wantedResources = nil
        keep(resources, &turn)
    }

    private mutating func keep(_ resources: Resources, _ turn: inout Turn) {
        info.resources = resources
        turn.records.append(.identity(info, bootID: bootID))
    }

    private func volumePlaces(in resources: Resources) -> [VolumePlace] {
        resources.persistentVolumes.items.compactMap { $0.volumePlace(below: paths.volumes) }
            .sorted()
    }

    /// What the agent has after a start: reservations and volumes that were kept hold as long as
    /// the amounts are what the operator gives it.
    static func resources(_ given: Resources, _ kept: AgentInfo) -> Resources {
        let isChanged = kept.resources.items.contains {
            $0.isPersistentVolume || $0.reservations.last?.kind == .dynamic
        }
        guard kept.id != nil, isChanged, kept.resources.quantities == given.quantities else {
            return given
        }
        return kept.resources
    }
}
