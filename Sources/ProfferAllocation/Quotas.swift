internal import ProfferKernel
public import ProfferModel

/// The quotas of top-level roles, and what must stay free for them.
struct QuotaTable: Sendable {
    struct Row: Sendable {
        var node: Int
        var quota: Quota
        var guarantee: Amounts
        var limit: Amounts
        /// The columns with a limit, one bit each.
        var limited: UInt64
        /// What is missing to the guarantee.
        var unmet: Amounts
    }

    var rows: [Row] = []
    private var places = LookupTable<Int, Int>()
    /// The sum of what is missing to guarantees.
    var required = Amounts()
    /// Roles whose guarantee is not met.
    var unmetCount = 0

    init() {}

    var isEmpty: Bool { rows.isEmpty }
    var hasGuarantees: Bool { rows.contains { !$0.guarantee.isZero } }

    func place(_ node: Int) -> Int? { rows.isEmpty ? nil : places[node] }

    mutating func append(_ row: Row) {
        places[row.node] = rows.count
        rows.append(row)
    }

    mutating func remove(_ place: Int) {
        places.remove(rows[place].node)
        rows.remove(at: place)
        for index in place..<rows.count { places[rows[index].node] = index }
    }

    /// Notes what a role has, and so what is missing to its guarantee.
    mutating func set(_ place: Int, unmet: Amounts) {
        let before = rows[place].unmet
        guard before != unmet else { return }
        required -= before
        required += unmet
        unmetCount += (unmet.isZero ? 0 : 1) - (before.isZero ? 0 : 1)
        rows[place].unmet = unmet
    }
}

extension HierarchicalAllocator {
    /// Sets what a top-level role is promised and the most it may hold.
    ///
    /// Consumption is what the role and those below it hold of unreserved resources, offers
    /// included, and all that is reserved for them. Names that no column is left for have no
    /// effect.
    public mutating func setQuota(_ quota: Quota) {
        guard quota.problem == nil else { return }
        let node = tree.makeRole(quota.role)
        if let place = quotas.place(node) {
            quotas.set(place, unmet: Amounts())
            quotas.remove(place)
            tree.setQuotaState(node, unmet: Amounts(), isAtLimit: false)
        }
        if quota.isDefault {
            tree.pin(node, false)
        } else {
            tree.pin(node, true)
            var limit = Amounts()
            var limited: UInt64 = 0
            for entry in quota.limits {
                guard let column = columns.intern(entry.name) else { continue }
                limit[column] = entry.amount.thousandths
                limited |= 1 << UInt64(column)
            }
            for entry in quota.guarantees.entries { _ = columns.intern(entry.name) }
            quotas.append(
                QuotaTable.Row(
                    node: node, quota: quota, guarantee: columns.amounts(quota.guarantees),
                    limit: limit, limited: limited, unmet: Amounts()))
            refreshQuota(node)
        }
        markWaitingSlots()
    }

    /// What a top-level role holds or has reserved.
    func consumed(_ node: Int) -> Amounts {
        tree.nodes[node].reserved + tree.nodes[node].unreservedHeld
    }

    mutating func refreshQuota(_ node: Int) {
        guard let place = quotas.place(node) else { return }
        let row = quotas.rows[place]
        let has = consumed(node)
        let unmet = (row.guarantee - has).raisedToZero
        // What a guarantee lacks is offered beyond what one may hold in offers.
        if !cappedSlots.isEmpty, !row.unmet.covers(unmet) { markCapped() }
        quotas.set(place, unmet: unmet)
        let wasAtLimit = tree.nodes[node].isAtLimit
        // The columns of cpus and mem: without either of them no classic offer is worthwhile.
        let isAtLimit =
            row.limited & 3 == 3 && row.limit[0] <= has[0] && row.limit[1] <= has[1]
        tree.setQuotaState(
            node, unmet: unmet, isAtLimit: isAtLimit && !hasUnusualNeeds)
        if wasAtLimit, !tree.nodes[node].isAtLimit { markBelow(node) }
    }

    /// Roles at their limit are not visited, so nobody below has been noted; O(those who wait).
    private mutating func markBelow(_ top: Int) {
        var rest = [top]
        while let node = rest.popLast() {
            for entry in tree.nodes[node].order.members {
                if tree.nodes[node].isLeaf { dirtySlots.insert(entry) } else { rest.append(entry) }
            }
        }
    }

    /// Notes what somebody wants at least, in case that is neither cpus nor mem.
    mutating func noteNeeds(_ needs: [Amounts]) {
        guard !hasUnusualNeeds, needs.contains(where: { $0[0] <= 0 && $0[1] <= 0 }) else {
            return
        }
        hasUnusualNeeds = true
        for row in quotas.rows { refreshQuota(row.node) }
    }

    /// Counts unreserved resources for the top-level role of a framework in a role.
    mutating func consume(_ slot: Int, plus: Amounts = Amounts(), minus: Amounts = Amounts()) {
        let top = markedRole(slot)
        tree.changeConsumption(top, unreserved: plus - minus)
        guard let place = quotas.place(top) else { return }
        refreshQuota(top)
        if !minus.isZero, quotas.rows[place].limited != 0 { markRole(top) }
    }

    /// Whoever waits below a role may have something now.
    private mutating func markRole(_ top: Int) {
        for slot in limitedSlots.members where slots[slot].isUsed && markedRole(slot) == top {
            dirtySlots.insert(slot)
            limitedSlots.remove(slot)
        }
    }

    /// Counts the reservations in what an agent has.
    mutating func reserve(_ parcel: Parcel, isThere: Bool) {
        guard !parcel.extras.isEmpty else { return }
        for item in parcel.extras.items where !item.isRevocable {
            guard let role = item.reservations.last?.role, case .scalar(let amount) = item.value,
                let column = columns.find(item.name)
            else { continue }
            let top = tree.makeRole(String(role.prefix { $0 != "/" }))
            var amounts = Amounts()
            amounts[column] = isThere ? amount.thousandths : 0 &- amount.thousandths
            tree.changeConsumption(top, reserved: amounts)
            refreshQuota(top)
            if !isThere {
                markRole(top)
                tree.removeIfEmpty(top)
            }
        }
    }

    /// What of a parcel counts for the quota of its role although it is reserved for nobody:
    /// everything but revocable and shared resources.
    func unreserved(_ parcel: Parcel) -> Amounts {
        if !parcel.hasScalarExtras { return parcel.plain }
        return parcel.plain + columns.amounts(parcel.extras) { $0.countsForQuota }
    }

    /// Lowers a parcel to what a role may be given.
    ///
    /// It stays within its limit and leaves what other roles are guaranteed. Particular disks are
    /// given whole or not at all.
    ///
    /// - Returns: The check that made it less, if one did.
    func restrict(_ slot: Int, _ parcel: inout Parcel) -> PlacementCheck? {
        if quotas.isEmpty { return nil }
        var check: PlacementCheck?
        var own = Amounts()
        if let place = quotas.place(markedRole(slot)) {
            let row = quotas.rows[place]
            own = row.unmet
            let has = consumed(row.node)
            var left = Amounts()
            for column in 0..<columns.names.count {
                let isLimited = row.limited & (1 << UInt64(column)) != 0
                left[column] = isLimited ? max(0, row.limit[column] &- has[column]) : .max
            }
            if lower(&parcel, to: left) { check = .quotaLimit }
        }
        guard quotas.unmetCount > 0 else { return check }
        var left = Amounts()
        for column in 0..<columns.names.count {
            left[column] =
                quotas.required[column] > 0
                ? max(0, available[column] &- quotas.required[column]) &+ own[column] : .max
        }
        if lower(&parcel, to: left) { check = check ?? .headroom }
        return check
    }

    /// Whether anything had to be left out.
    private func lower(_ parcel: inout Parcel, to most: Amounts) -> Bool {
        var left = most
        var isLess = false
        if parcel.hasScalarExtras, parcel.extras.items.contains(where: \.countsForQuota) {
            parcel.extras = parcel.extras.filter { item in
                guard item.countsForQuota, case .scalar(let amount) = item.value,
                    let column = columns.find(item.name)
                else { return true }
                if amount.thousandths > left[column] {
                    isLess = true
                    return false
                }
                if left[column] != .max { left[column] -= amount.thousandths }
                return true
            }
        }
        if !left.covers(parcel.plain) {
            parcel.plain = parcel.plain.lowered(to: left)
            isLess = true
        }
        return isLess
    }
}

extension Resource {
    /// Whether it is an unreserved scalar that is not plain and yet is held by a role for good.
    fileprivate var countsForQuota: Bool {
        guard case .scalar = value else { return false }
        return reservations.isEmpty && !isRevocable && !isShared
    }
}
