internal import ProfferModel
internal import ProfferSession

extension HealthCheck: FieldReadable, FieldWritable {
    init(_ fields: Fields) throws(WireError) {
        let probe: ProbeKind = try fields.kind(8) ?? .unknown
        let kind: CheckKind =
            switch probe {
            case .command: .command(try fields.one(7) ?? CommandInfo())
            case .http:
                try fields.http(1, scheme: fields.fields(1)?.text(3) ?? "http")
            case .tcp: .tcp(port: try fields.port(9))
            case .unknown: throw .missing("health_check.type")
            }
        self.init(
            kind: kind, delay: try fields.seconds(2, default: 15, "delay_seconds"),
            interval: try fields.seconds(3, default: 10, "interval_seconds"),
            timeout: try fields.seconds(4, default: 20, "timeout_seconds"),
            gracePeriod: try fields.seconds(6, default: 10, "grace_period_seconds"),
            consecutiveFailures: Int(try fields.uint32(5) ?? 3))
    }

    func write(to fields: inout FieldWriter) {
        if case .http(let scheme, let port, let path) = kind {
            fields.message(1) {
                $0.uint32(1, port)
                $0.text(2, path)
                $0.text(3, scheme)
            }
        }
        fields.seconds(2, delay)
        fields.seconds(3, interval)
        fields.seconds(4, timeout)
        fields.uint32(5, consecutiveFailures)
        fields.seconds(6, gracePeriod)
        if case .command(let command) = kind { fields.one(7, command) }
        fields.kind(8, kind.probe)
        if case .tcp(let port) = kind { fields.message(9) { $0.uint32(1, port) } }
    }
}

extension CheckInfo: FieldReadable, FieldWritable {
    init(_ fields: Fields) throws(WireError) {
        let probe: ProbeKind = try fields.kind(1) ?? .unknown
        let kind: CheckKind =
            switch probe {
            case .command: .command(try fields.command(2))
            case .http: try fields.http(3, scheme: "http")
            case .tcp: .tcp(port: try fields.port(7))
            case .unknown: throw .missing("check.type")
            }
        self.init(
            kind: kind, delay: try fields.seconds(4, default: 15, "delay_seconds"),
            interval: try fields.seconds(5, default: 10, "interval_seconds"),
            timeout: try fields.seconds(6, default: 20, "timeout_seconds"))
    }

    func write(to fields: inout FieldWriter) {
        fields.kind(1, kind.probe)
        switch kind {
        case .command(let command): fields.message(2) { $0.one(1, command) }
        case .http(_, let port, let path):
            fields.message(3) {
                $0.uint32(1, port)
                $0.text(2, path)
            }
        case .tcp: break
        }
        fields.seconds(4, delay)
        fields.seconds(5, interval)
        fields.seconds(6, timeout)
        if case .tcp(let port) = kind { fields.message(7) { $0.uint32(1, port) } }
    }
}

extension CheckKind {
    fileprivate var probe: ProbeKind {
        switch self {
        case .command: .command
        case .http: .http
        case .tcp: .tcp
        }
    }
}

extension Fields {
    /// The command of a check, which has a message of its own around it.
    fileprivate func command(_ number: UInt32) throws(WireError) -> CommandInfo {
        guard let fields = try fields(number) else { return CommandInfo() }
        return try fields.required(fields.one(1))
    }

    /// The question of a check by HTTP.
    fileprivate func http(_ number: UInt32, scheme: String) throws(WireError) -> CheckKind {
        .http(scheme: scheme, port: try port(number), path: try fields(number)?.text(2) ?? "/")
    }

    /// The port of a check that has one.
    fileprivate func port(_ number: UInt32) throws(WireError) -> Int {
        guard let fields = try fields(number) else { return 0 }
        return Int(try fields.required(fields.uint32(1)))
    }
}

extension KillPolicy: FieldReadable, FieldWritable {
    init(_ fields: Fields) throws(WireError) {
        self.init(gracePeriod: try fields.duration(1))
    }

    func write(to fields: inout FieldWriter) { fields.duration(1, gracePeriod) }
}

extension ExecutorInfo: FieldReadable, FieldWritable {
    init(_ fields: Fields) throws(WireError) {
        let kind: ExecutorKind? = try fields.kind(15)
        self.init(
            id: try fields.required(fields.one(1)), kind: kind == .default ? .default : .custom,
            frameworkID: try fields.one(8), command: try fields.one(7),
            container: try fields.one(11), resources: try fields.resources(5),
            name: try fields.text(9), data: try fields.data(4) ?? [],
            discovery: try fields.one(12), shutdownGracePeriod: try fields.duration(13),
            labels: try fields.labels(14))
    }

    func write(to fields: inout FieldWriter) {
        fields.one(1, id)
        fields.data(4, data.isEmpty ? nil : data)
        fields.list(5, resources.items)
        fields.one(7, command)
        fields.one(8, frameworkID)
        fields.text(9, name)
        fields.one(11, container)
        fields.one(12, discovery)
        fields.duration(13, shutdownGracePeriod)
        fields.labels(14, labels)
        fields.kind(15, kind == .default ? ExecutorKind.default : .custom)
    }
}

extension TaskInfo: FieldReadable, FieldWritable {
    init(_ fields: Fields) throws(WireError) {
        self.init(
            name: try fields.required(fields.text(1)), id: try fields.required(fields.one(2)),
            agentID: try fields.required(fields.one(3)), resources: try fields.resources(4),
            executor: try fields.one(5), command: try fields.one(7),
            container: try fields.one(9), healthCheck: try fields.one(8),
            check: try fields.one(13), killPolicy: try fields.one(12),
            data: try fields.data(6) ?? [], labels: try fields.labels(10),
            discovery: try fields.one(11), maxCompletionTime: try fields.duration(14),
            limits: try fields.limits(15), priority: try fields.small(1000, "priority"),
            launchTimeout: try fields.duration(1001))
    }

    func write(to fields: inout FieldWriter) {
        fields.text(1, name)
        fields.one(2, id)
        fields.one(3, agentID)
        fields.list(4, resources.items)
        fields.one(5, executor)
        fields.data(6, data.isEmpty ? nil : data)
        fields.one(7, command)
        fields.one(8, healthCheck)
        fields.one(9, container)
        fields.labels(10, labels)
        fields.one(11, discovery)
        fields.one(12, killPolicy)
        fields.one(13, check)
        fields.duration(14, maxCompletionTime)
        for (name, limit) in lastOfEachKey(limits, { $0.name }) {
            fields.message(15) {
                $0.text(1, name)
                $0.scalar(2, limit.amount?.doubleValue ?? .infinity)
            }
        }
        fields.int32(1000, priority)
        fields.duration(1001, launchTimeout)
    }
}

extension Fields {
    fileprivate func limits(_ number: UInt32) throws(WireError) -> [ResourceLimit] {
        var limits: [ResourceLimit] = []
        for (name, scalar) in try map(number) {
            let value = try required(scalar).number()
            limits.append(
                ResourceLimit(
                    name: name, amount: value == .infinity ? nil : try milli(value, "limits")))
        }
        return limits
    }
}
