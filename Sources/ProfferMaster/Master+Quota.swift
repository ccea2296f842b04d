internal import OrderedCollections
internal import ProfferAllocation
internal import ProfferKernel
internal import ProfferModel

/// What top-level roles have of the cluster: scalars that are not revocable.
struct QuotaBooks {
    /// What agents have that nobody has reserved.
    var unreserved = ResourceQuantities()
    /// What is reserved for a role, whoever holds it.
    var reserved: OrderedDictionary<String, ResourceQuantities> = [:]
    /// What tasks and executors hold that is not reserved.
    var used: OrderedDictionary<String, ResourceQuantities> = [:]
    /// The same in offers.
    var offered: OrderedDictionary<String, ResourceQuantities> = [:]

    /// What counts towards a role's quota, offers left out.
    func consumed(_ role: String) -> ResourceQuantities {
        (reserved[role] ?? ResourceQuantities()).adding(used[role])
    }

    /// What is neither held nor offered nor reserved.
    var free: ResourceQuantities {
        var rest = unreserved
        for amounts in used.values { rest -= amounts }
        for amounts in offered.values { rest -= amounts }
        return rest
    }
}

extension ResourceQuantities {
    fileprivate func adding(_ other: ResourceQuantities?) -> ResourceQuantities {
        var sum = self
        if let other { sum += other }
        return sum
    }
}

extension Resources {
    /// What counts towards a quota although nobody has reserved it.
    var unreservedQuantities: ResourceQuantities {
        filter { !$0.isRevocable && $0.reservations.isEmpty }.quantities
    }
}

extension Master {
    /// After a restart, what looks free may be promised or held: with guarantees nothing is granted
    /// before four of five agents are back, or for ten minutes.
    mutating func awaitAgents(at now: Instant) {
        guard quotas.values.contains(where: { !$0.guarantees.entries.isEmpty }),
            !recovering.isEmpty
        else { return }
        let count = (recovering.count * 4 + 4) / 5
        allocator.awaitAgents(count, until: now + .seconds(600))
    }

    /// Adds up who has what; O(agents + tasks + executors + offers).
    func quotaBooks() -> QuotaBooks {
        var books = QuotaBooks()
        for agent in agents.values where agent.isRegistered {
            for item in agent.info.resources.items where !item.isRevocable {
                guard case .scalar(let amount) = item.value else { continue }
                if let role = item.reservedRole {
                    books.reserved[topLevelRole(role), default: ResourceQuantities()]
                        .add(amount, to: item.name)
                } else if isOfferable(agent) {
                    books.unreserved.add(amount, to: item.name)
                }
            }
            for executor in agent.executors.values {
                books.used[topLevelRole(executor.role), default: ResourceQuantities()] +=
                    executor.info.resources.unreservedQuantities
            }
        }
        for task in tasks.values where !task.isReleased {
            books.used[topLevelRole(task.role), default: ResourceQuantities()] +=
                task.info.resources.unreservedQuantities
        }
        for row in offers.values {
            books.offered[topLevelRole(row.offer.role), default: ResourceQuantities()] +=
                row.offer.resources.unreservedQuantities
        }
        return books
    }

    func quotaSummaries() -> [QuotaSummary] {
        let books = quotaBooks()
        return quotas.values
            .sorted { $0.role.utf8.lexicographicallyPrecedes($1.role.utf8) }
            .map { QuotaSummary(quota: $0, consumed: books.consumed($0.role)) }
    }

    /// Sets quotas, all or none.
    mutating func setQuotas(
        _ list: [Quota], isForced: Bool, at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) -> OperatorAnswer {
        if let problem = problemOfQuotas(list) { return .refused(problem) }
        let books = quotaBooks()
        if !isForced, let problem = overcommitment(list, books) {
            return .refused("\(problem); force it to set it all the same")
        }
        guard !list.isEmpty else { return .done }
        for quota in list {
            quotas[quota.role] = quota.isDefault ? nil : quota
            allocator.setQuota(quota)
        }
        outbox.append(
            .commit(list.map { .quota(role: $0.role, $0.isDefault ? nil : $0) }))
        rescindForQuotas(list, books, at: now, into: &outbox)
        watchForShortfalls(at: now)
        return .done
    }

    private func problemOfQuotas(_ list: [Quota]) -> String? {
        var seen: Set<String> = []
        for quota in list {
            if let problem = problemOfRole(quota.role) ?? quota.problem { return problem }
            if !seen.insert(quota.role).inserted {
                return "the role '\(quota.role)' is named twice"
            }
            let names = quota.guarantees.entries.map(\.name) + quota.limits.map(\.name)
            if names.contains("") {
                return "the quota of '\(quota.role)' names a resource without a name"
            }
            let amounts = quota.guarantees.entries.map(\.amount) + quota.limits.map(\.amount)
            if amounts.contains(where: { $0.thousandths > Milli.wireLimit }) {
                return "the quota of '\(quota.role)' names more than there can be"
            }
        }
        return nil
    }

    /// What is promised that is not there, or limited that is held already, or `nil`.
    private func overcommitment(_ list: [Quota], _ books: QuotaBooks) -> String? {
        for quota in list {
            let consumed = books.consumed(quota.role)
            for limit in quota.limits where consumed[limit.name] > limit.amount {
                return "the role '\(quota.role)' has \(consumed[limit.name]) \(limit.name), which "
                    + "is above the limit of \(limit.amount)"
            }
        }
        guard list.contains(where: { !$0.guarantees.entries.isEmpty }) else { return nil }
        var after = quotas
        for quota in list { after[quota.role] = quota }
        // Each guarantee rests on what is reserved for its role first.
        var needed = ResourceQuantities()
        for quota in after.values {
            let reserved = books.reserved[quota.role] ?? ResourceQuantities()
            for entry in quota.guarantees.entries {
                needed.add(max(.zero, entry.amount - reserved[entry.name]), to: entry.name)
            }
        }
        return needed.entries.first { $0.amount > books.unreserved[$0.name] }.map {
            "the guarantees need \($0.amount) \($0.name) beyond what is reserved for their roles, "
                + "and active agents have \(books.unreserved[$0.name])"
        }
    }

    /// Takes offers back that stand in the way of new quotas: those of a role beyond its limit, and
    /// so many of other roles as a guarantee lacks.
    private mutating func rescindForQuotas(
        _ list: [Quota], _ books: QuotaBooks, at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) {
        var books = books
        for quota in list where !quota.isDefault {
            let held = books.consumed(quota.role).adding(books.offered[quota.role])
            var over = ResourceQuantities()
            for limit in quota.limits {
                over.add(max(.zero, held[limit.name] - limit.amount), to: limit.name)
            }
            rescind(over, &books, at: now, into: &outbox) { role, _ in role == quota.role }
            let free = books.free
            let promised = quotas
            let has = books.consumed(quota.role).adding(books.offered[quota.role])
            var lacking = ResourceQuantities()
            for entry in quota.guarantees.entries {
                let rest = entry.amount - has[entry.name] - max(.zero, free[entry.name])
                lacking.add(max(.zero, rest), to: entry.name)
            }
            rescind(lacking, &books, at: now, into: &outbox) { role, after in
                // What another role is guaranteed itself stays with it.
                role != quota.role && after.contains(promised[role]?.guarantees ?? .init())
            }
        }
    }

    /// Rescinds offers, the oldest first, until so much is back.
    ///
    /// An offer stays unless `mayEnd` allows its end, which is told the offer's top-level role and
    /// what that would have and be offered without it.
    private mutating func rescind(
        _ amounts: ResourceQuantities, _ books: inout QuotaBooks, at now: Instant,
        into outbox: inout Outbox<MasterEffect>,
        where mayEnd: (String, ResourceQuantities) -> Bool
    ) {
        guard !amounts.entries.isEmpty else { return }
        var missing = amounts
        for row in offers.values {
            guard missing.entries.contains(where: { $0.amount > .zero }) else { return }
            let role = topLevelRole(row.offer.role)
            let held = row.offer.resources.unreservedQuantities
            guard
                missing.entries.contains(where: { $0.amount > .zero && held[$0.name] > .zero })
            else { continue }
            var after = books.consumed(role).adding(books.offered[role])
            after -= held
            guard mayEnd(role, after) else { continue }
            end(offer: row.offer.id, .rescinded, at: now, into: &outbox)
            books.offered[role]? -= held
            missing -= held
        }
    }
}
