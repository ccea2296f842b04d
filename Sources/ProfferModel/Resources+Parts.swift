extension Resources {
    /// The resources for which `isIncluded` holds.
    ///
    /// O(items); nothing is copied when it holds for all of them.
    public func filter(_ isIncluded: (Resource) -> Bool) -> Resources {
        guard let firstOut = items.firstIndex(where: { !isIncluded($0) }) else { return self }
        var kept = Resources()
        if firstOut > 0 {
            kept.items.reserveCapacity(min(items.count - 1, firstOut + 15))
            kept.items += items[..<firstOut]
        }
        for index in (firstOut + 1)..<items.count where isIncluded(items[index]) {
            if kept.items.isEmpty { kept.items.reserveCapacity(min(items.count - index, 16)) }
            kept.items.append(items[index])
        }
        return kept
    }

    /// What a framework in `role` may be offered: what is unreserved, or reserved for `role` or an
    /// ancestor of it.
    public func allocatable(to role: String) -> Resources {
        filter { $0.isAllocatable(to: role) }
    }

    /// What belongs to nobody.
    public var unreserved: Resources { filter { !$0.isReserved } }

    /// What is reserved, for whichever role.
    public var reserved: Resources { filter(\.isReserved) }

    /// What is reserved for exactly `role`.
    public func reserved(for role: String) -> Resources {
        filter { $0.detail?.reservations.last?.role == role }
    }

    /// What can be taken away at any time.
    public var revocable: Resources { filter(\.isRevocable) }

    /// What cannot be taken away at any time.
    public var nonRevocable: Resources { filter { !$0.isRevocable } }

    /// What several tasks may hold at once.
    public var shared: Resources { filter(\.isShared) }

    /// What one task at a time may hold.
    public var nonShared: Resources { filter { !$0.isShared } }

    /// The persistent volumes.
    public var persistentVolumes: Resources { filter(\.isPersistentVolume) }

    /// The shared volumes of `other` that are here, as often as holders for them are missing here.
    ///
    /// Whoever is given a shared volume may let several tasks hold it. Adding these holders first
    /// makes these resources contain `other`, as far as shared volumes go.
    ///
    /// O(items of both) expected.
    public func missingHolders(for other: Resources) -> Resources {
        var missing = Resources()
        var finder = ResourceFinder()
        for item in other.items where item.isCounted {
            guard let index = finder.position(of: item, in: items),
                items[index].holders < item.holders
            else { continue }
            var more = item
            more.holders = item.holders - items[index].holders
            missing.items.append(more)
        }
        return missing
    }

    /// The same amounts without reservations and disk identities: what a demand for them costs.
    ///
    /// A shared volume counts once.
    public var flattened: Resources {
        changed { detail in
            ResourceDetail.describing(
                reservations: [], disk: nil, isRevocable: detail.isRevocable, isShared: false)
        }
    }

    /// The same resources, reserved for nobody.
    ///
    /// O(items) expected.
    public func toUnreserved() -> Resources {
        changed { detail in
            ResourceDetail.describing(
                reservations: [], disk: detail.disk, isRevocable: detail.isRevocable,
                isShared: detail.isShared)
        }
    }

    /// The same resources with `reservation` on top of the reservations of each.
    ///
    /// Whether the new role is below the old one is for the caller to check. O(items) expected.
    public func pushReservation(_ reservation: Reservation) -> Resources {
        let plain = ResourceDetail.describing(
            reservations: [reservation], disk: nil, isRevocable: false, isShared: false)
        return changed(plain: plain) { detail in
            ResourceDetail.describing(
                reservations: detail.reservations + [reservation], disk: detail.disk,
                isRevocable: detail.isRevocable, isShared: detail.isShared)
        }
    }

    /// The same resources without the last reservation of each, or `nil` when one has none.
    ///
    /// O(items) expected.
    public func popReservation() -> Resources? {
        guard items.allSatisfy(\.isReserved) else { return nil }
        return changed { detail in
            ResourceDetail.describing(
                reservations: detail.reservations.dropLast(), disk: detail.disk,
                isRevocable: detail.isRevocable, isShared: detail.isShared)
        }
    }

    /// As much of these resources as there may be by `target`, name by name.
    ///
    /// Scalars whose name is limited are taken until the amount in `target` is reached; an absent
    /// name has the amount zero. Indivisible things come first and are taken whole or not at all,
    /// so that the result may fall short of `target`, but never goes beyond. A shared volume counts
    /// once, ranges and sets are kept whole, and negative amounts are left out.
    /// - Parameters:
    ///   - target: The most there may be of each name.
    ///   - isLimited: Which names `target` is about; the others are kept whole.
    /// - Returns: The part, in the order of the items.
    public func shrunk(
        to target: ResourceQuantities, limiting isLimited: (String) -> Bool = { _ in true }
    ) -> Resources {
        var left = target
        var parts: [Resource?] = items
        for takesWhole in [true, false] {
            for index in items.indices where items[index].isIndivisible == takesWhole {
                guard case .scalar(let amount) = items[index].value,
                    isLimited(items[index].name)
                else { continue }
                let available = left[items[index].name]
                let taken = takesWhole && amount > available ? .zero : min(amount, available)
                guard taken > .zero else {
                    parts[index] = nil
                    continue
                }
                parts[index]?.value = .scalar(taken)
                left.add(.zero - taken, to: items[index].name)
            }
        }
        var shrunk = Resources()
        shrunk.items = parts.compactMap { $0 }
        return shrunk
    }

    /// Replaces the details of all items: `plain` for those that have none.
    private func changed(
        plain: ResourceDetail? = nil, _ change: (ResourceDetail) -> ResourceDetail?
    ) -> Resources {
        var result = Resources()
        var finder = ResourceFinder()
        // Neighbours mostly share one object, and do so afterwards.
        var last: (from: ResourceDetail, to: ResourceDetail?)?
        for item in items {
            var new = item
            if let detail = item.detail {
                if last?.from !== detail { last = (detail, change(detail)) }
                new.detail = last?.to
            } else {
                new.detail = plain
            }
            result.add(new, holders: new.isCounted ? item.holders : 1, with: &finder)
        }
        result.items.removeAll { $0.holders == 0 }
        return result
    }
}
