/// A quantity in thousandths of its unit: the resolution of every scalar resource.
///
/// `cpus` count cores, `mem` and `disk` mebibytes, `gpus` whole devices. Sums are checked: a wire
/// decoder admits at most ±9,000,000,000,000 thousandths, so a sum over a cluster cannot overflow.
public struct Milli: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// Thousandths.
    public var thousandths: Int64

    /// The largest magnitude that a message may carry, in thousandths.
    public static let wireLimit: Int64 = 9_000_000_000_000

    /// Nothing.
    public static let zero = Milli(thousandths: 0)

    /// Makes a quantity from thousandths.
    public init(thousandths: Int64) { self.thousandths = thousandths }

    /// Makes a quantity from whole units.
    public init(_ units: Int) { thousandths = Int64(units) * 1000 }

    /// Rounds a wire value half away from zero; `nil` when it is not finite or too large.
    public init?(rounding value: Double) {
        let scaled = (value * 1000).rounded(.toNearestOrAwayFromZero)
        guard scaled.isFinite, abs(scaled) <= Double(Self.wireLimit) else { return nil }
        thousandths = Int64(scaled)
    }

    /// The value for the wire and for display.
    public var doubleValue: Double { Double(thousandths) / 1000 }

    /// Whether `left` is less.
    public static func < (left: Milli, right: Milli) -> Bool {
        left.thousandths < right.thousandths
    }

    /// The sum.
    public static func + (left: Milli, right: Milli) -> Milli {
        Milli(thousandths: left.thousandths + right.thousandths)
    }

    /// The difference, which may be negative.
    public static func - (left: Milli, right: Milli) -> Milli {
        Milli(thousandths: left.thousandths - right.thousandths)
    }

    /// Adds in place.
    public static func += (left: inout Milli, right: Milli) { left = left + right }

    /// Subtracts in place.
    public static func -= (left: inout Milli, right: Milli) { left = left - right }

    /// At most three decimals, without trailing zeros: `0.5`, `12`.
    public var description: String {
        let magnitude = thousandths.magnitude
        var text = (thousandths < 0 ? "-" : "") + String(magnitude / 1000)
        var fraction = magnitude % 1000
        guard fraction != 0 else { return text }
        var digits = 3
        while fraction % 10 == 0 {
            fraction /= 10
            digits -= 1
        }
        let tail = String(fraction)
        text += "." + String(repeating: "0", count: digits - tail.count) + tail
        return text
    }
}

/// One entry of a reservation stack; the last one says to which role the resource belongs.
public struct Reservation: Hashable, Sendable {
    /// Who may undo the reservation.
    public enum Kind: Hashable, Sendable {
        /// Set by the agent's operator in its resources; cannot be undone.
        case `static`
        /// Made by an operation.
        case dynamic
    }

    /// Static or dynamic.
    public var kind: Kind
    /// The role it is reserved for.
    public var role: String
    /// Who reserved it.
    public var principal: String?
    /// Free text for people and tools; part of the reservation's identity.
    public var labels: [Label]

    /// Makes a reservation.
    public init(
        kind: Kind = .dynamic, role: String, principal: String? = nil, labels: [Label] = []
    ) {
        self.kind = kind
        self.role = role
        self.principal = principal
        self.labels = labels
    }
}

/// What makes a disk resource more than plain space.
public struct DiskInfo: Hashable, Sendable {
    /// Where the space comes from.
    public enum Source: Hashable, Sendable {
        /// A directory on a file system, carved freely.
        case path(root: String?)
        /// A whole mounted file system.
        case mount(root: String?)
    }

    /// The persistent volume's id, unique per role and agent.
    public var persistenceID: String?
    /// Who created the volume.
    public var principal: String?
    /// Where a task sees the volume, relative to its sandbox.
    public var containerPath: String?
    /// The source; `nil` is the agent's root disk.
    public var source: Source?

    /// Describes a disk.
    public init(
        persistenceID: String? = nil, principal: String? = nil, containerPath: String? = nil,
        source: Source? = nil
    ) {
        self.persistenceID = persistenceID
        self.principal = principal
        self.containerPath = containerPath
        self.source = source
    }
}

/// An amount of one named resource of an agent.
///
/// Most resources are plain. What only some have (reservations, a disk, flags) is in one object
/// that copies share, so that a resource takes 40 bytes.
public struct Resource: Sendable {
    /// `cpus`, `mem`, `disk`, `gpus`, `ports` or a custom name.
    public var name: String
    /// What makes it more than a plain amount; `nil` when nothing does.
    var detail: ResourceDetail?
    /// How much.
    public var value: ResourceValue
    /// How many hold a shared volume, within ``Resources``; 0 says that it is to be removed.
    var holders: UInt32 = 1

    /// Describes a resource.
    public init(
        _ name: String, _ value: ResourceValue, reservations: [Reservation] = [],
        disk: DiskInfo? = nil, isRevocable: Bool = false, isShared: Bool = false
    ) {
        self.name = name
        self.value = value
        detail = ResourceDetail.describing(
            reservations: reservations, disk: disk, isRevocable: isRevocable, isShared: isShared)
    }

    /// For whom it is reserved, outermost first; empty when it is not.
    public var reservations: [Reservation] {
        get { detail?.reservations ?? [] }
        set {
            detail = ResourceDetail.describing(
                reservations: newValue, disk: disk, isRevocable: isRevocable, isShared: isShared)
        }
    }

    /// What makes it a volume or a particular disk.
    public var disk: DiskInfo? {
        get { detail?.disk }
        set {
            detail = ResourceDetail.describing(
                reservations: reservations, disk: newValue, isRevocable: isRevocable,
                isShared: isShared)
        }
    }

    /// Whether it can be taken away at any time.
    public var isRevocable: Bool {
        get { detail?.isRevocable ?? false }
        set {
            detail = ResourceDetail.describing(
                reservations: reservations, disk: disk, isRevocable: newValue, isShared: isShared)
        }
    }

    /// Whether several tasks may hold it at once (persistent volumes only).
    public var isShared: Bool {
        get { detail?.isShared ?? false }
        set {
            detail = ResourceDetail.describing(
                reservations: reservations, disk: disk, isRevocable: isRevocable,
                isShared: newValue)
        }
    }

    /// The role it is reserved for, or `nil`.
    public var reservedRole: String? { detail?.reservations.last?.role }

    /// Whether it is reserved for any role.
    public var isReserved: Bool { detail.map { !$0.reservations.isEmpty } ?? false }

    /// Whether this is a persistent volume.
    public var isPersistentVolume: Bool { detail?.disk?.persistenceID != nil }

    /// Whether it is used whole or not at all.
    public var isIndivisible: Bool { detail?.isIndivisible ?? false }

    /// Whether its holders are counted: it is one thing, however many hold it.
    var isCounted: Bool { detail.map { $0.isIndivisible && $0.isShared } ?? false }

    /// Whether amounts of `self` and `other` are the same kind of thing.
    public func isSameKind(as other: Resource) -> Bool {
        name == other.name && ResourceDetail.areEqual(detail, other.detail)
            && value.isSameType(as: other.value)
    }

    /// Whether a framework in `role` may be offered it: unreserved, or reserved for `role` or an
    /// ancestor of it.
    public func isAllocatable(to role: String) -> Bool {
        guard let reserved = reservedRole else { return true }
        return role == reserved || role.hasPrefix(reserved + "/")
    }
}

extension Resource: Hashable {
    /// Whether they are the same amounts of the same kind.
    public static func == (left: Resource, right: Resource) -> Bool {
        left.name == right.name && left.value == right.value
            && ResourceDetail.areEqual(left.detail, right.detail)
    }

    /// Hashes kind and amount.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(name)
        hasher.combine(detail?.hash ?? 0)
        hasher.combine(value)
    }
}

extension Resource: CustomStringConvertible {
    /// Everything about it: `disk(reservations: [(DYNAMIC,eng)])[MOUNT:/m,v:data]<SHARED>:64`.
    public var description: String {
        var text = name
        if isReserved {
            let stack = reservations.map { one in
                let labels = one.labels.map { "\($0.key)" + ($0.value.map { ": \($0)" } ?? "") }
                return "(" + (one.kind == .static ? "STATIC" : "DYNAMIC") + ",\(one.role)"
                    + (one.principal.map { ",\($0)" } ?? "")
                    + (labels.isEmpty ? "" : ",{\(labels.joined(separator: ", "))}") + ")"
            }
            text += "(reservations: [\(stack.joined(separator: ","))])"
        }
        if let disk {
            var parts: [String] = []
            switch disk.source {
            case .path(let root): parts.append("PATH" + (root.map { ":\($0)" } ?? ""))
            case .mount(let root): parts.append("MOUNT" + (root.map { ":\($0)" } ?? ""))
            case nil: break
            }
            if let id = disk.persistenceID { parts.append("\(id):\(disk.containerPath ?? "")") }
            if let principal = disk.principal { parts.append("by \(principal)") }
            text += "[\(parts.joined(separator: ","))]"
        }
        return text + (isRevocable ? "{REV}" : "") + (isShared ? "<SHARED>" : "") + ":\(value)"
    }
}

/// What makes a resource more than a plain amount; never changed.
final class ResourceDetail: Sendable {
    let reservations: [Reservation]
    let disk: DiskInfo?
    let isRevocable: Bool
    let isShared: Bool
    let isIndivisible: Bool
    /// Different hashes are the fast way to see that two are not equal.
    let hash: Int

    private init(reservations: [Reservation], disk: DiskInfo?, isRevocable: Bool, isShared: Bool) {
        self.reservations = reservations
        self.disk = disk
        self.isRevocable = isRevocable
        self.isShared = isShared
        if case .mount = disk?.source {
            isIndivisible = true
        } else {
            isIndivisible = disk?.persistenceID != nil
        }
        var hasher = Hasher()
        hasher.combine(reservations)
        hasher.combine(disk)
        hasher.combine(isRevocable)
        hasher.combine(isShared)
        hash = hasher.finalize()
    }

    /// The detail, or `nil` for a plain resource.
    static func describing(
        reservations: [Reservation], disk: DiskInfo?, isRevocable: Bool, isShared: Bool
    ) -> ResourceDetail? {
        if reservations.isEmpty, disk == nil, !isRevocable, !isShared { return nil }
        return ResourceDetail(
            reservations: reservations, disk: disk, isRevocable: isRevocable, isShared: isShared)
    }

    static func areEqual(_ left: ResourceDetail?, _ right: ResourceDetail?) -> Bool {
        if left === right { return true }
        guard let left, let right, left.hash == right.hash else { return false }
        return left.isRevocable == right.isRevocable && left.isShared == right.isShared
            && left.reservations == right.reservations && left.disk == right.disk
    }
}
