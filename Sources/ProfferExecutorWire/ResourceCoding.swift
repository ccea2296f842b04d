internal import ProfferModel
internal import ProfferSession

extension Reservation: FieldReadable, FieldWritable {
    init(_ fields: Fields) throws(WireError) {
        let kind: ReservationKind? = try fields.kind(4)
        self.init(
            kind: kind == .static ? .static : .dynamic, role: try fields.text(3) ?? "",
            principal: try fields.text(1), labels: try fields.labels(2))
    }

    func write(to fields: inout FieldWriter) {
        fields.text(1, principal)
        fields.labels(2, labels)
        fields.text(3, role)
        fields.kind(4, kind == .static ? ReservationKind.static : .dynamic)
    }
}

extension DiskInfo: FieldReadable, FieldWritable {
    init(_ fields: Fields) throws(WireError) {
        self.init()
        if let persistence = try fields.fields(1) {
            persistenceID = try persistence.required(persistence.text(1))
            principal = try persistence.text(2)
        }
        if let volume: Volume = try fields.one(2) { containerPath = volume.containerPath }
        guard let source = try fields.fields(3) else { return }
        let kind: DiskSourceKind = try source.required(source.kind(1))
        switch kind {
        case .path: self.source = .path(root: try source.fields(2)?.text(1))
        case .mount, .block, .raw, .unknown:
            self.source = .mount(root: try source.fields(3)?.text(1))
        }
    }

    func write(to fields: inout FieldWriter) {
        if let persistenceID {
            fields.message(1) {
                $0.text(1, persistenceID)
                $0.text(2, principal)
            }
        }
        fields.one(2, containerPath.map { Volume(containerPath: $0) })
        switch source {
        case .path(let root): writeSource(.path, root, at: 2, to: &fields)
        case .mount(let root): writeSource(.mount, root, at: 3, to: &fields)
        case nil: break
        }
    }

    private func writeSource(
        _ kind: DiskSourceKind, _ root: String?, at number: UInt32, to fields: inout FieldWriter
    ) {
        fields.message(3) { source in
            source.kind(1, kind)
            if let root { source.message(number) { $0.text(1, root) } }
        }
    }
}

extension Resource: FieldReadable, FieldWritable {
    init(_ fields: Fields) throws(WireError) {
        let name = try fields.required(fields.text(1))
        let field = "resource \(shown(name))"
        let kind: ValueKind = try fields.required(fields.kind(2))
        let value: ResourceValue =
            switch kind {
            case .scalar: .scalar(try fields.scalar(3, field))
            case .ranges: .ranges(try fields.intervals(4, field))
            case .set: .set(try fields.members(5, field))
            case .text: throw .outOfRange(field)
            }
        var stack: [Reservation] = try fields.list(13)
        // The older form: a role on the resource itself, and who reserved it if that can be undone.
        if stack.isEmpty, let role = try fields.text(6), role != "*" {
            let reservation: Reservation? = try fields.one(8)
            var older = reservation ?? Reservation(kind: .static, role: role)
            older.kind = reservation == nil ? .static : .dynamic
            older.role = role
            stack = [older]
        }
        self.init(
            name, value, reservations: stack, disk: try fields.one(7),
            isRevocable: try fields.fields(9) != nil, isShared: try fields.fields(10) != nil)
    }

    func write(to fields: inout FieldWriter) {
        fields.text(1, name)
        switch value {
        case .scalar(let amount):
            fields.kind(2, ValueKind.scalar)
            fields.scalar(3, amount.doubleValue)
        case .ranges(let intervals):
            fields.kind(2, ValueKind.ranges)
            fields.intervals(4, intervals)
        case .set(let items):
            fields.kind(2, ValueKind.set)
            fields.message(5) { $0.texts(1, items) }
        }
        fields.one(7, disk)
        if isRevocable { fields.message(9) { _ in } }
        if isShared { fields.message(10) { _ in } }
        fields.list(13, reservations)
    }
}

extension Fields {
    /// A list of resources.
    ///
    /// A negative scalar is kept: it is the receiver's to refuse it, with a reason. Totals are
    /// bounded like single amounts, so that no later sum can overflow.
    func resources(_ number: UInt32) throws(WireError) -> Resources {
        guard try count(number) <= WireLimits.resources else { throw .outOfRange("resources") }
        let list: [Resource] = try list(number)
        var totals: [String: Int64] = [:]
        for resource in list {
            guard case .scalar(let amount) = resource.value else { continue }
            // At most 4096 amounts within the limit: the sum fits.
            let total = totals[resource.name, default: 0] + abs(amount.thousandths)
            guard total <= Milli.wireLimit else {
                throw .outOfRange("resource \(shown(resource.name))")
            }
            totals[resource.name] = total
        }
        return Resources(list)
    }
}
