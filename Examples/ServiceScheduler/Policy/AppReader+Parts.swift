internal import Proffer

extension AppReader {
    mutating func readPorts(_ json: JSON, into app: inout App) {
        app.requirePorts = fields.flag(json, "requirePorts", at: path) ?? false
        let plain = fields.list(json, "ports", at: path)
        let definitions = fields.list(json, "portDefinitions", at: path)
        if plain != nil, definitions != nil {
            fields.refuse("\(path)/ports", "only one of 'ports' and 'portDefinitions' is allowed")
        }
        if let definitions {
            app.ports = definitions.enumerated().map { index, definition in
                readPort(definition, at: "\(path)/portDefinitions/\(index)")
            }
        } else if let plain {
            app.ports = plain.enumerated().map { index, value in
                let object: JSON = ["\(index)": value]
                let port = fields.count(object, "\(index)", at: "\(path)/ports", in: 0...65535)
                return PortDefinition(port: port ?? 0, name: index == 0 ? "default" : nil)
            }
        }
        let field = "\(path)/\(plain == nil ? "portDefinitions" : "ports")"
        let fixed = app.ports.map(\.port).filter { $0 != 0 }
        if Set(fixed).count != fixed.count { fields.refuse(field, "a port is given twice") }
        let names = app.ports.compactMap(\.name)
        if Set(names).count != names.count { fields.refuse(field, "a name is given twice") }
        if app.ports.count > Limit.ports {
            fields.refuse(field, "there may be \(Limit.ports) ports at most")
        }
    }

    private mutating func readPort(_ json: JSON, at field: String) -> PortDefinition {
        fields.checkNames(of: json, at: field, known: ["port", "name", "protocol", "labels"])
        var port = PortDefinition(name: fields.text(json, "name", at: field))
        port.port = fields.count(json, "port", at: field, in: 0...65535) ?? 0
        port.protocolName = fields.text(json, "protocol", at: field) ?? "tcp"
        port.labels = fields.texts(byName: json, "labels", at: field) ?? []
        if !["tcp", "udp", "udp,tcp"].contains(port.protocolName) {
            fields.refuse("\(field)/protocol", "must be one of tcp, udp, udp,tcp")
        }
        let isName = port.name?.utf8.allSatisfy {
            (0x61...0x7A).contains($0) || (0x41...0x5A).contains($0)
                || (0x30...0x39).contains($0) || $0 == 0x2D || $0 == 0x5F
        }
        if port.name?.isEmpty ?? false || isName == false {
            fields.refuse("\(field)/name", "may only hold letters, digits, '-' and '_'")
        }
        return port
    }

    mutating func readTimes(_ json: JSON, into app: inout App) {
        app.backoff.first = fields.seconds(json, "backoffSeconds", at: path) ?? app.backoff.first
        app.backoff.longest =
            fields.seconds(json, "maxLaunchDelaySeconds", at: path) ?? app.backoff.longest
        app.backoff.factor =
            fields.number(json, "backoffFactor", at: path, decimals: 6, in: 1...1000)
            ?? app.backoff.factor
        app.killGrace = fields.seconds(json, "taskKillGracePeriodSeconds", at: path)
        if let strategy = fields.object(json, "upgradeStrategy", at: path) {
            app.upgrade = readUpgrade(strategy, at: "\(path)/upgradeStrategy")
        }
        if json["unreachableStrategy"]?.text == "disabled" {
            app.unreachable = nil
        } else if let strategy = fields.object(json, "unreachableStrategy", at: path) {
            app.unreachable = readUnreachable(strategy, at: "\(path)/unreachableStrategy")
        }
    }

    private mutating func readUpgrade(_ json: JSON, at field: String) -> UpgradeStrategy {
        let names = ["minimumHealthCapacity", "maximumOverCapacity"]
        fields.checkNames(of: json, at: field, known: names)
        var strategy = UpgradeStrategy()
        strategy.minimumHealth =
            fields.number(json, names[0], at: field, decimals: 6, in: 0...1)
            ?? strategy.minimumHealth
        strategy.maximumOver =
            fields.number(json, names[1], at: field, decimals: 6, in: 0...1)
            ?? strategy.maximumOver
        return strategy
    }

    private mutating func readUnreachable(_ json: JSON, at field: String) -> UnreachableStrategy {
        let names = ["inactiveAfterSeconds", "expungeAfterSeconds"]
        fields.checkNames(of: json, at: field, known: names)
        var strategy = UnreachableStrategy()
        strategy.inactiveAfter = fields.seconds(json, names[0], at: field) ?? .zero
        strategy.expungeAfter =
            fields.seconds(json, names[1], at: field) ?? strategy.inactiveAfter
        if strategy.expungeAfter < strategy.inactiveAfter {
            fields.refuse("\(field)/\(names[1])", "may not be less than \(names[0])")
        }
        return strategy
    }

    mutating func readConstraints(_ json: JSON) -> [PlacementConstraint] {
        (fields.list(json, "constraints", at: path) ?? []).enumerated().compactMap {
            index, entry in
            readConstraint(entry, at: "\(path)/constraints/\(index)")
        }
    }

    private mutating func readConstraint(
        _ json: JSON, at field: String
    ) -> PlacementConstraint? {
        let texts = json.elements.compactMap { element -> String? in
            if case .number(let digits) = element { return digits }
            return element.text
        }
        guard (2...3).contains(texts.count), texts.count == json.elements.count else {
            fields.refuse(field, "must be a list of a field, an operator and perhaps a value")
            return nil
        }
        guard let rule = PlacementConstraint.Operator(rawValue: texts[1]) else {
            let names = PlacementConstraint.Operator.allCases.map(\.rawValue)
            fields.refuse(
                field, "'\(texts[1])' is none of \(names.joined(separator: ", "))")
            return nil
        }
        let value = texts.count == 3 ? texts[2] : nil
        let constraint = PlacementConstraint(field: texts[0], rule: rule, value: value)
        if texts[0].isEmpty { fields.refuse(field, "the field may not be empty") }
        if let problem = problem(of: constraint) { fields.refuse(field, problem) }
        return constraint
    }

    private func problem(of constraint: PlacementConstraint) -> String? {
        let name = constraint.rule.rawValue
        switch constraint.rule {
        case .unique: return constraint.value == nil ? nil : "\(name) takes no value"
        case .cluster: return nil
        case .groupBy:
            guard let value = constraint.value else { return nil }
            return Int(value).map { $0 >= 1 } ?? false
                ? nil : "\(name) takes a whole number of groups, at least 1"
        case .maxPer:
            return constraint.value.flatMap { Int($0) }.map { $0 >= 1 } ?? false
                ? nil : "\(name) needs a whole number, at least 1"
        case .like, .unlike:
            guard let value = constraint.value else { return "\(name) needs an expression" }
            do throws(TextPatternProblem) {
                _ = try TextPattern(value)
                return nil
            } catch {
                return "its regular expression cannot be used: \(error)"
            }
        case .isEqual:
            guard let value = constraint.value else { return "\(name) needs a value" }
            return value.hasPrefix("{") || value.hasPrefix("[")
                ? "\(name) compares text and numbers, not sets and ranges" : nil
        }
    }

    mutating func readFetch(_ json: JSON) -> [FetchURI] {
        var list: [FetchURI] = []
        for (index, entry) in (fields.list(json, "fetch", at: path) ?? []).enumerated() {
            let field = "\(path)/fetch/\(index)"
            fields.checkNames(
                of: entry, at: field,
                known: ["uri", "extract", "executable", "cache", "destPath"])
            guard let uri = fields.text(entry, "uri", at: field), !uri.isEmpty else {
                fields.refuse("\(field)/uri", "is missing")
                continue
            }
            list.append(
                FetchURI(
                    value: uri,
                    isExecutable: fields.flag(entry, "executable", at: field) ?? false,
                    extract: fields.flag(entry, "extract", at: field) ?? true,
                    cache: fields.flag(entry, "cache", at: field) ?? false,
                    outputFile: fields.text(entry, "destPath", at: field)))
        }
        let plain = fields.texts(json, "uris", at: path) ?? []
        if !plain.isEmpty, !list.isEmpty {
            fields.refuse("\(path)/uris", "only one of 'uris' and 'fetch' is allowed")
        }
        return list + plain.map { FetchURI(value: $0) }
    }

    mutating func readHealthCheck(_ json: JSON, ports: Int) -> ServiceCheck? {
        let list = fields.list(json, "healthChecks", at: path) ?? []
        if list.count > 1 {
            fields.refuse(
                "\(path)/healthChecks",
                "only one health check is possible: the executor runs it beside the instance; "
                    + "combine several in one COMMAND")
        }
        guard let first = list.first else { return nil }
        return readCheck(first, at: "\(path)/healthChecks/0", ports: ports)
    }

    private mutating func readCheck(
        _ json: JSON, at field: String, ports: Int
    ) -> ServiceCheck {
        fields.checkNames(
            of: json, at: field,
            known: [
                "protocol", "path", "command", "port", "portIndex", "gracePeriodSeconds",
                "intervalSeconds", "timeoutSeconds", "delaySeconds", "maxConsecutiveFailures",
                "ignoreHttp1xx", "ipProtocol",
            ])
        var check = ServiceCheck()
        if let text = fields.text(json, "protocol", at: field), text.hasSuffix("HTTPS") {
            fields.refuse(
                "\(field)/protocol", "\(text) is not supported; use COMMAND with curl, or HTTP")
        } else {
            check.kind =
                fields.word(json, "protocol", at: field, of: ServiceCheck.Kind.self) ?? .http
        }
        check.path = fields.text(json, "path", at: field)
        if let path = check.path, !path.hasPrefix("/") {
            fields.refuse("\(field)/path", "must begin with '/'")
        }
        if let command = fields.object(json, "command", at: field) {
            fields.checkNames(of: command, at: "\(field)/command", known: ["value"])
            check.command = fields.text(command, "value", at: "\(field)/command")
        }
        check.port = fields.count(json, "port", at: field, in: 1...65535)
        check.portIndex = fields.count(json, "portIndex", at: field, in: 0...Limit.ports) ?? 0
        readTimes(of: json, at: field, into: &check)
        if check.kind == .command {
            if check.command?.isEmpty ?? true {
                fields.refuse("\(field)/command", "COMMAND needs {\"value\": \"...\"}")
            }
        } else {
            if check.command != nil {
                fields.refuse("\(field)/command", "only the protocol COMMAND has one")
            }
            if check.port == nil, check.portIndex >= ports {
                fields.refuse("\(field)/portIndex", "the app has only \(ports) ports")
            }
        }
        return check
    }

    private mutating func readTimes(
        of json: JSON, at field: String, into check: inout ServiceCheck
    ) {
        check.grace = fields.seconds(json, "gracePeriodSeconds", at: field) ?? check.grace
        check.interval = fields.seconds(json, "intervalSeconds", at: field) ?? check.interval
        check.timeout = fields.seconds(json, "timeoutSeconds", at: field) ?? check.timeout
        check.delay =
            fields.seconds(json, "delaySeconds", at: field) ?? min(check.delay, check.interval)
        check.maxFailures =
            fields.count(json, "maxConsecutiveFailures", at: field, in: 0...1_000_000)
            ?? check.maxFailures
        if check.interval == .zero { fields.refuse("\(field)/intervalSeconds", "may not be 0") }
        if check.timeout == .zero { fields.refuse("\(field)/timeoutSeconds", "may not be 0") }
    }
}
