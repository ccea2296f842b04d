internal import ProfferModel
internal import ProfferSchema

extension PBResource.ReservationInfo {
    init(_ reservation: Reservation) {
        self.init()
        type = reservation.kind == .static ? .static : .dynamic
        role = reservation.role
        if let principal = reservation.principal { self.principal = principal }
        if !reservation.labels.isEmpty { labels = PBLabels(reservation.labels) }
    }

    var model: Reservation {
        Reservation(
            kind: type == .static ? .static : .dynamic, role: role,
            principal: hasPrincipal ? principal : nil, labels: labels.model)
    }
}

extension PBResource.DiskInfo {
    init(_ disk: ProfferModel.DiskInfo) {
        self.init()
        if let id = disk.persistenceID {
            persistence.id = id
            if let principal = disk.principal { persistence.principal = principal }
        }
        if let path = disk.containerPath {
            volume.containerPath = path
            volume.mode = .rw
        }
        switch disk.source {
        case .path(let root):
            source.type = .path
            if let root { source.path.root = root }
        case .mount(let root):
            source.type = .mount
            if let root { source.mount.root = root }
        case nil: break
        }
    }

    var model: ProfferModel.DiskInfo {
        var disk = ProfferModel.DiskInfo()
        if hasPersistence {
            disk.persistenceID = persistence.id
            disk.principal = persistence.hasPrincipal ? persistence.principal : nil
        }
        if hasVolume { disk.containerPath = volume.containerPath }
        guard hasSource else { return disk }
        switch source.type {
        case .path: disk.source = .path(root: source.path.hasRoot ? source.path.root : nil)
        case .mount, .block, .raw, .unknown:
            disk.source = .mount(root: source.mount.hasRoot ? source.mount.root : nil)
        }
        return disk
    }
}

extension PBResource {
    init(_ resource: Resource, allocatedTo role: String? = nil) {
        self.init()
        name = resource.name
        switch resource.value {
        case .scalar(let amount):
            type = .scalar
            scalar = PBValue.Scalar(amount)
        case .ranges(let intervals):
            type = .ranges
            ranges = PBValue.Ranges(intervals)
        case .set(let items):
            type = .set
            set.item = items
        }
        reservations = resource.reservations.map(PBResource.ReservationInfo.init)
        if let disk = resource.disk { self.disk = PBResource.DiskInfo(disk) }
        if resource.isRevocable { revocable = PBResource.RevocableInfo() }
        if resource.isShared { shared = PBResource.SharedInfo() }
        if let role { allocationInfo.role = role }
    }

    func model() throws(WireError) -> Resource {
        let field = "resource \(shown(name))"
        let value: ResourceValue =
            switch type {
            case .scalar: .scalar(try milli(scalar.value, field))
            case .ranges: .ranges(try ranges.model(field))
            case .set: .set(try members(set.item, field))
            case .text: throw .outOfRange(field)
            }
        var stack = reservations.map(\.model)
        // The older form: a role on the resource itself, and who reserved it if that can be undone.
        if stack.isEmpty, hasRole, role != "*" {
            var older = reservation.model
            older.kind = hasReservation ? .dynamic : .static
            older.role = role
            stack = [older]
        }
        return Resource(
            name, value, reservations: stack, disk: hasDisk ? disk.model : nil,
            isRevocable: hasRevocable, isShared: hasShared)
    }
}

func coded(_ resources: Resources, allocatedTo role: String? = nil) -> [PBResource] {
    resources.items.map { PBResource($0, allocatedTo: role) }
}

/// The resources of a message.
///
/// A negative scalar is kept: it is the receiver's to refuse it, with a reason. Totals are bounded
/// like single amounts, so that no later sum can overflow.
func model(_ resources: [PBResource]) throws(WireError) -> Resources {
    guard resources.count <= WireLimits.resources else { throw .outOfRange("resources") }
    var result = Resources()
    var totals: [String: Int64] = [:]
    for coded in resources {
        let resource = try coded.model()
        if case .scalar(let amount) = resource.value {
            // At most 4096 amounts within the limit: the sum fits.
            let total = totals[resource.name, default: 0] + abs(amount.thousandths)
            guard total <= Milli.wireLimit else {
                throw .outOfRange("resource \(shown(resource.name))")
            }
            totals[resource.name] = total
        }
        result += resource
    }
    return result
}

extension PBOfferFilters.ResourceQuantities {
    init(_ quantities: ResourceQuantities) {
        self.init()
        for entry in quantities.entries {
            self.quantities[entry.name] = PBValue.Scalar(entry.amount)
        }
    }

    func model() throws(WireError) -> ResourceQuantities {
        try ProfferWire.quantities(quantities, "quantity")
    }
}
