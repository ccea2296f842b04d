internal import Proffer

extension JSON {
    static func milli(_ value: Milli) -> JSON { .number(value.description) }

    static func seconds(_ value: Duration) -> JSON {
        .number(Decimal.text(value.inNanoseconds / 1_000_000, decimals: 3))
    }

    static func millionths(_ value: Int64) -> JSON {
        .number(Decimal.text(value, decimals: 6))
    }

    static func byName(_ labels: [Label]) -> JSON {
        .object(labels.map { Member($0.key, .string($0.value ?? "")) })
    }
}

extension App {
    /// The app as Marathon writes it; read back by ``AppReader`` it is the same app.
    var json: JSON {
        var object = ObjectBuilder()
        object["id"] = .string(id.description)
        object["cmd"] = shellCommand.map { .string($0) }
        object["args"] = argumentVector.map { .texts($0) }
        object["acceptedResourceRoles"] = acceptedRoles.isEmpty ? nil : .texts(acceptedRoles)
        object["backoffFactor"] = .millionths(backoff.factor)
        object["backoffSeconds"] = .seconds(backoff.first)
        object["constraints"] = .array(constraints.map(\.json))
        object["cpus"] = .milli(cpus)
        object["dependencies"] = .texts(dependencies.map(\.description))
        object["disk"] = .milli(disk)
        object["env"] = .byName(environment)
        object["fetch"] = .array(fetch.map(\.json))
        object["gpus"] = .int(gpus)
        object["healthChecks"] = .array(healthCheck.map { [$0.json] } ?? [])
        object["instances"] = .int(instances)
        object["killSelection"] = .string(killSelection.rawValue)
        object["labels"] = .byName(labels)
        object["maxLaunchDelaySeconds"] = .seconds(backoff.longest)
        object["mem"] = .milli(mem)
        object["networks"] = [["mode": "host"]]
        object["portDefinitions"] = .array(ports.map(\.json))
        object["requirePorts"] = .bool(requirePorts)
        object["taskKillGracePeriodSeconds"] = killGrace.map { .seconds($0) }
        object["unreachableStrategy"] = unreachable.map(\.json) ?? "disabled"
        object["upgradeStrategy"] = upgrade.json
        object["user"] = user.map { .string($0) }
        object["version"] = .string(version)
        object["versionInfo"] = [
            "lastScalingAt": .string(lastScalingAt),
            "lastConfigChangeAt": .string(lastConfigChangeAt),
        ]
        return object.json
    }

    private var shellCommand: String? {
        if case .shell(let text) = command { return text }
        return nil
    }

    private var argumentVector: [String]? {
        if case .arguments(let arguments) = command { return arguments }
        return nil
    }
}

extension PlacementConstraint {
    var json: JSON { .texts([field, rule.rawValue] + (value.map { [$0] } ?? [])) }
}

extension FetchURI {
    fileprivate var json: JSON {
        .compact([
            ("uri", .string(value)), ("extract", .bool(extract)),
            ("executable", .bool(isExecutable)), ("cache", .bool(cache)),
            ("destPath", outputFile.map { .string($0) }),
        ])
    }
}

extension PortDefinition {
    fileprivate var json: JSON {
        .compact([
            ("port", .int(port)), ("protocol", .string(protocolName)),
            ("name", name.map { .string($0) }),
            ("labels", labels.isEmpty ? nil : .byName(labels)),
        ])
    }
}

extension ServiceCheck {
    fileprivate var json: JSON {
        .compact([
            ("protocol", .string(kind.rawValue)),
            ("path", path.map { .string($0) }),
            ("command", command.map { ["value": .string($0)] }),
            ("port", port.map { .int($0) }),
            ("portIndex", port == nil && kind != .command ? .int(portIndex) : nil),
            ("gracePeriodSeconds", .seconds(grace)),
            ("intervalSeconds", .seconds(interval)),
            ("timeoutSeconds", .seconds(timeout)),
            ("delaySeconds", .seconds(delay)),
            ("maxConsecutiveFailures", .int(maxFailures)),
        ])
    }
}

extension UpgradeStrategy {
    fileprivate var json: JSON {
        [
            "minimumHealthCapacity": .millionths(minimumHealth),
            "maximumOverCapacity": .millionths(maximumOver),
        ]
    }
}

extension UnreachableStrategy {
    fileprivate var json: JSON {
        [
            "inactiveAfterSeconds": .seconds(inactiveAfter),
            "expungeAfterSeconds": .seconds(expungeAfter),
        ]
    }
}
