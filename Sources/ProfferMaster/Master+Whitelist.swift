internal import OrderedCollections
internal import ProfferAllocation
internal import ProfferKernel
internal import ProfferModel

/// Which hosts' agents may be offered.
extension Master {
    /// So many hosts at most are listed, with so many bytes: the registry has to read them again.
    static let whitelistLimit = (hosts: 100_000, bytes: 4 << 20)

    /// Whether agents of a host may be offered.
    func isListed(_ hostname: String) -> Bool { whitelist?.contains(hostname) ?? true }

    /// Whether something of an agent may be offered.
    func isOfferable(_ row: AgentRow) -> Bool {
        row.state == .active && isListed(row.info.hostname)
    }

    /// Tells the allocator what an agent has, whether it may be offered and, if not, why.
    mutating func tellAllocator(_ row: AgentRow) {
        allocator.setAgent(row.offerableInfo, isActive: isOfferable(row))
        if row.state == .active, !isListed(row.info.hostname) {
            allocator.deactivate(agent: row.id, because: .whitelist)
        }
    }

    /// Takes the whitelist of an operator.
    mutating func order(
        whitelist hosts: [String]?, at now: Instant, into outbox: inout Outbox<MasterEffect>
    ) -> OperatorAnswer {
        if let file = configuration.whitelistFile {
            return .refused("the whitelist is kept in the file '\(file)'; change it there")
        }
        if let problem = problemOfWhitelist(hosts ?? []) { return .refused(problem) }
        let list = hosts.map(Self.ordered(hosts:))
        guard list != whitelist else { return .done }
        outbox.append(.commit([.whitelist(list.map(Array.init))]))
        set(whitelist: list, at: now, into: &outbox)
        return .done
    }

    /// Hosts in the order of their names, byte by byte.
    static func ordered(hosts: [String]) -> OrderedSet<String> {
        OrderedSet(hosts.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) })
    }

    private func problemOfWhitelist(_ hosts: [String]) -> String? {
        let limit = Self.whitelistLimit
        if hosts.count > limit.hosts {
            return "\(hosts.count) hosts are named; \(limit.hosts) can be"
        }
        if hosts.reduce(0, { $0 + $1.utf8.count }) > limit.bytes {
            return "the names of all hosts have more than \(limit.bytes) bytes"
        }
        var seen: Set<String> = []
        for host in hosts {
            if host.isEmpty || host.utf8.count > 255 {
                return "a host's name has 1 to 255 bytes, and '\(host.prefix(32))' has "
                    + "\(host.utf8.count)"
            }
            if host.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7F }) {
                return "the host '\(host)' contains white space or a control character"
            }
            if !seen.insert(host).inserted { return "the host '\(host)' is named twice" }
        }
        return nil
    }

    /// Takes what the whitelist's file says now.
    mutating func take(
        whitelist hosts: [String]?, at now: Instant, into outbox: inout Outbox<MasterEffect>
    ) {
        let list = hosts.map(Self.ordered(hosts:))
        guard list != whitelist else { return }
        set(whitelist: list, at: now, into: &outbox)
    }

    /// O(agents), and what is offered of those that are not listed any more comes back.
    private mutating func set(
        whitelist list: OrderedSet<String>?, at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) {
        let before = whitelist
        whitelist = list
        for row in agents.values where row.state == .active {
            let wasListed = before?.contains(row.info.hostname) ?? true
            guard wasListed != isListed(row.info.hostname) else { continue }
            if wasListed {
                allocator.deactivate(agent: row.id, because: .whitelist)
                for offer in row.offers { end(offer: offer, .rescinded, at: now, into: &outbox) }
            } else {
                allocator.setActive(agent: row.id, true)
            }
            noteSeen(row.id)
        }
    }
}
