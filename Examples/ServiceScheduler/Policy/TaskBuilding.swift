internal import Proffer

/// Makes the task of one instance.
struct TaskBuilding {
    let app: App
    let id: TaskID
    let agent: AgentID
    let host: String
    let resources: Resources
    /// On the host, one for each port definition.
    let ports: [Int]

    var task: TaskInfo {
        TaskInfo(
            name: app.id.reversedName, id: id, agentID: agent, resources: resources,
            command: command(for: app.command), healthCheck: healthCheck,
            killPolicy: app.killGrace.map { KillPolicy(gracePeriod: $0) },
            labels: app.labels, discovery: discovery)
    }

    private func command(for command: AppCommand) -> CommandInfo {
        switch command {
        case .shell(let text):
            CommandInfo(
                value: text, environment: environment, user: app.user, uris: app.fetch)
        case .arguments(let list):
            CommandInfo(
                value: list.first, shell: false, arguments: list, environment: environment,
                user: app.user, uris: app.fetch)
        }
    }

    /// What Marathon injects; what the app says itself wins.
    var environment: [EnvironmentVariable] {
        var table: SortedMap<String, String> = SortedMap()
        table["HOST"] = host
        table["MESOS_TASK_ID"] = id.value
        table["MARATHON_APP_ID"] = app.id.description
        table["MARATHON_APP_VERSION"] = app.version
        table["MARATHON_APP_RESOURCE_CPUS"] = app.cpus.description
        table["MARATHON_APP_RESOURCE_MEM"] = app.mem.description
        table["MARATHON_APP_RESOURCE_DISK"] = app.disk.description
        table["MARATHON_APP_RESOURCE_GPUS"] = String(app.gpus)
        addLabels(to: &table)
        addPorts(to: &table)
        for variable in app.environment { table[variable.key] = variable.value ?? "" }
        return zip(table.keys, table.values).map { EnvironmentVariable(name: $0, value: $1) }
    }

    private func addLabels(to table: inout SortedMap<String, String>) {
        let short = app.labels.filter { ($0.value ?? "").utf8.count < 512 }
        table["MARATHON_APP_LABELS"] =
            short.map { Self.variableName($0.key) }.joined(separator: " ")
        for label in short {
            table["MARATHON_APP_LABEL_" + Self.variableName(label.key)] = label.value ?? ""
        }
    }

    private func addPorts(to table: inout SortedMap<String, String>) {
        guard let first = ports.first else { return }
        table["PORT"] = String(first)
        table["PORTS"] = ports.map(String.init).joined(separator: ",")
        for (index, port) in ports.enumerated() {
            table["PORT\(index)"] = String(port)
            let definition = app.ports[index]
            if definition.port != 0 { table["PORT_\(definition.port)"] = String(port) }
            if let name = definition.name {
                table["PORT_" + Self.variableName(name)] = String(port)
            }
        }
    }

    /// Upper case, with `_` for everything that a shell does not take in a name.
    private static func variableName(_ text: String) -> String {
        String(
            decoding: text.uppercased().utf8.map { byte in
                (0x41...0x5A).contains(byte) || (0x30...0x39).contains(byte) ? byte : 0x5F
            }, as: UTF8.self)
    }

    private var healthCheck: HealthCheck? {
        guard let check = app.healthCheck, let kind = kind(of: check) else { return nil }
        return HealthCheck(
            kind: kind, delay: check.delay, interval: check.interval, timeout: check.timeout,
            gracePeriod: check.grace,
            consecutiveFailures: check.maxFailures == 0 ? Int(Int32.max) : check.maxFailures)
    }

    private func kind(of check: ServiceCheck) -> CheckKind? {
        let port =
            check.port ?? (ports.indices.contains(check.portIndex) ? ports[check.portIndex] : nil)
        switch check.kind {
        case .command:
            return .command(CommandInfo(value: check.command, environment: environment))
        case .http, .nodeHTTP:
            return port.map { .http(scheme: "http", port: $0, path: check.path ?? "/") }
        case .tcp, .nodeTCP: return port.map { .tcp(port: $0) }
        }
    }

    private var discovery: DiscoveryInfo {
        DiscoveryInfo(
            name: app.id.reversedName, version: app.version,
            ports: zip(app.ports, ports).map { definition, port in
                DiscoveryPort(
                    number: port, name: definition.name,
                    protocolName: definition.protocolName, labels: definition.labels)
            })
    }
}
