internal import ProfferModel

/// How large the description of an agent may become, so that its record can always be read again.
///
/// The bytes are an upper bound of what the wire takes, not its exact size: every text has room for
/// its tag and length, every number for its longest form. Kinds and intervals are as many as a
/// message may have.
enum AgentSize {
    /// Bytes; a quarter of what a message of state may have.
    static let limit = 2 << 20
    static let itemLimit = 4096
    static let intervalLimit = 16_384
    static let memberLimit = 4096

    /// What is too large, in words; `nil` when nothing is.
    ///
    /// Linear in the size.
    static func problem(of info: AgentInfo) -> String? {
        let resources = info.resources.items
        if resources.count > itemLimit {
            return "the agent has \(resources.count) kinds of resources; \(itemLimit) are allowed"
        }
        if info.attributes.count > itemLimit {
            return "the agent has \(info.attributes.count) attributes; \(itemLimit) are allowed"
        }
        for item in resources {
            switch item.value {
            case .ranges(let set) where set.intervals.count > intervalLimit:
                return "'\(item.name)' has \(set.intervals.count) ranges; \(intervalLimit) are "
                    + "allowed"
            case .set(let members) where members.count > memberLimit:
                return "'\(item.name)' has \(members.count) members; \(memberLimit) are allowed"
            case .scalar, .ranges, .set: break
            }
        }
        let size =
            64 + bytes(info.hostname) + bytes(info.id?.value) + bytes(info.domain?.region)
            + bytes(info.domain?.zone) + resources.reduce(0) { $0 + bytes($1) }
            + info.attributes.reduce(0) { $0 + bytes($1) }
        guard size > limit else { return nil }
        return "the description of the agent takes \(size) bytes; \(limit) are allowed"
    }

    private static func bytes(_ text: String?) -> Int {
        text.map { 8 + $0.utf8.count } ?? 0
    }

    private static func bytes(_ item: Resource) -> Int {
        var size = 64 + bytes(item.name)
        switch item.value {
        case .scalar: size += 16
        case .ranges(let set): size += bytes(set)
        case .set(let members): size += members.reduce(0) { $0 + bytes($1) }
        }
        for reservation in item.reservations {
            size += 32 + bytes(reservation.role) + bytes(reservation.principal)
            for label in reservation.labels { size += 16 + bytes(label.key) + bytes(label.value) }
        }
        if let disk = item.disk {
            size += 64 + bytes(disk.persistenceID) + bytes(disk.principal)
            size += bytes(disk.containerPath)
            switch disk.source {
            case .path(let root), .mount(let root): size += bytes(root)
            case nil: break
            }
        }
        return size
    }

    private static func bytes(_ attribute: Attribute) -> Int {
        let size = 32 + bytes(attribute.name)
        switch attribute.value {
        case .scalar: return size + 16
        case .ranges(let set): return size + bytes(set)
        case .set(let members): return size + members.reduce(0) { $0 + bytes($1) }
        case .text(let text): return size + bytes(text)
        }
    }

    private static func bytes(_ set: IntervalSet) -> Int { 32 * set.intervals.count }
}
