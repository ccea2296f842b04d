internal import ProfferModel
internal import ProfferSession

// What an agent tells its executor of the framework and of itself; only read here.

/// One thing that a framework can cope with.
private struct Capability: FieldReadable {
    var kind: CapabilityKind

    init(_ fields: Fields) throws(WireError) { kind = try fields.kind(1) ?? .unknown }
}

extension FrameworkInfo: FieldReadable {
    init(_ fields: Fields) throws(WireError) {
        var capabilities: FrameworkCapabilities = []
        let list: [Capability] = try fields.list(10)
        for capability in list where capability.kind != .unknown {
            capabilities.insert(.init(rawValue: 1 << UInt32(capability.kind.rawValue)))
        }
        var roles = try fields.texts(12)
        let role = try fields.text(6) ?? "*"
        if roles.isEmpty, !capabilities.contains(.multiRole) { roles = [role] }
        self.init(
            user: try fields.required(fields.text(1)), name: try fields.required(fields.text(2)),
            id: try fields.one(3),
            failoverTimeout: try fields.seconds(4, default: 0, "failover_timeout"),
            checkpoint: try fields.bool(5) ?? false, roles: roles, hostname: try fields.text(7),
            principal: try fields.text(8), webUIURL: try fields.text(9),
            capabilities: capabilities, labels: try fields.labels(11),
            minimumOffers: try fields.minimumOffers(13),
            priority: try fields.small(1000, "priority") ?? 0)
    }
}

extension ResourceQuantities: FieldReadable {
    init(_ fields: Fields) throws(WireError) {
        self.init()
        let entries = try fields.map(1)
        guard entries.count <= WireLimits.quantities else { throw .outOfRange("quantity") }
        for (name, scalar) in entries {
            let value = try fields.required(scalar).number()
            add(try milli(value, "quantity \(shown(name))"), to: name)
        }
    }
}

extension Fields {
    fileprivate func minimumOffers(_ number: UInt32) throws(WireError) -> [MinimumOffer] {
        var minimums: [MinimumOffer] = []
        for (role, filters) in try map(number) {
            let quantities: [ResourceQuantities] = try filters?.fields(1)?.list(1) ?? []
            minimums.append(MinimumOffer(role: role, quantities: quantities))
        }
        return minimums
    }
}

extension FaultDomain: FieldReadable {
    init(_ fields: Fields) throws(WireError) {
        let region = try fields.required(fields.fields(1))
        let zone = try fields.required(fields.fields(2))
        self.init(
            region: try region.required(region.text(1)), zone: try zone.required(zone.text(1)))
    }
}

extension Attribute: FieldReadable {
    init(_ fields: Fields) throws(WireError) {
        let name = try fields.required(fields.text(1))
        let field = "attribute \(shown(name))"
        let kind: ValueKind = try fields.required(fields.kind(2))
        let value: AttributeValue =
            switch kind {
            case .scalar: .scalar(try fields.scalar(3, field))
            case .ranges: .ranges(try fields.intervals(4, field))
            case .set: .set(try fields.members(6, field))
            case .text: .text(try fields.content(5))
            }
        self.init(name: name, value: value)
    }
}

extension Fields {
    /// The text of a text value.
    fileprivate func content(_ number: UInt32) throws(WireError) -> String {
        guard let fields = try fields(number) else { return "" }
        return try fields.required(fields.text(1))
    }
}

/// What an agent can cope with.
private struct AgentCapability: FieldReadable {
    var kind: AgentCapabilityKind

    init(_ fields: Fields) throws(WireError) { kind = try fields.kind(1) ?? .unknown }
}

extension Fields {
    /// Without an entry an agent can do everything.
    fileprivate func agentCapabilities(_ number: UInt32) throws(WireError) -> AgentCapabilities {
        let list: [AgentCapability] = try list(number)
        guard !list.isEmpty else { return .all }
        var capabilities: AgentCapabilities = []
        for capability in list where capability.kind != .unknown {
            capabilities.insert(.init(rawValue: 1 << UInt32(capability.kind.rawValue)))
        }
        return capabilities
    }
}

extension AgentInfo: FieldReadable {
    init(_ fields: Fields) throws(WireError) {
        self.init(
            hostname: try fields.required(fields.text(1)), port: Int(try fields.int32(8) ?? 5051),
            resources: try fields.resources(3), attributes: try fields.list(5),
            id: try fields.one(6), domain: try fields.fields(10)?.one(1),
            capabilities: try fields.agentCapabilities(1000))
    }
}
