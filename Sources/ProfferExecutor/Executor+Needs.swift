internal import OrderedCollections
internal import ProfferKernel
internal import ProfferModel

/// A secret cannot be had in the way that a task wants it.
struct SecretProblem: Error, CustomStringConvertible {
    let description: String
}

/// What a task's program finds, with secrets in their places.
struct Needs {
    var environment: [EnvironmentVariable]
    var files: [SecretFileWish]
    /// The container without volumes that are secrets.
    var container: ContainerInfo?
}

extension Executor {
    /// How many ports of a task have variables of their own.
    private static let portVariableLimit = 64

    /// Puts a task's secrets where it wants them.
    func needs(of row: TaskRow, _ command: CommandInfo) throws(SecretProblem) -> Needs {
        var files: [SecretFileWish] = []
        var container = row.info.container
        for volume in container?.volumes ?? [] {
            guard let secret = volume.secret else { continue }
            files.append(
                SecretFileWish(path: volume.containerPath, value: try value(of: secret, row)))
        }
        if !files.isEmpty { container?.volumes.removeAll { $0.secret != nil } }
        return Needs(
            environment: try environment(of: row, command), files: files, container: container)
    }

    private func value(
        of secret: Secret, _ row: TaskRow
    ) throws(SecretProblem) -> SecretValue {
        let found = row.secrets.first { $0.reference == secret.reference }
        guard let found else {
            let name = secret.reference?.name ?? ""
            throw SecretProblem(
                description: "the agent has not handed over the secret '\(name)'")
        }
        return found
    }

    /// The whole environment of a task: what every task has, its ports, what it was given.
    ///
    /// The sandbox comes last because the processes of a task are recognised by it.
    private func environment(
        of row: TaskRow, _ command: CommandInfo
    ) throws(SecretProblem) -> [EnvironmentVariable] {
        var table: OrderedDictionary<String, String> = [
            "PATH": configuration.searchPath,
            "HOME": row.sandbox,
            "PROFFER_FRAMEWORK_ID": configuration.frameworkID.value,
            "PROFFER_EXECUTOR_ID": configuration.executorID.value,
            "PROFFER_TASK_ID": row.info.id.value,
            "MESOS_TASK_ID": row.info.id.value,
            "MESOS_SANDBOX": row.sandbox,
        ]
        for variable in Self.ports(of: row.info) { table[variable.name] = variable.value }
        for variable in command.environment {
            table[variable.name] = variable.value
            guard let secret = variable.secret else { continue }
            let bytes = try value(of: secret, row).bytes
            guard let text = String(validating: bytes, as: UTF8.self), !bytes.contains(0) else {
                throw SecretProblem(
                    description: "the secret '\(secret.reference?.name ?? "")' cannot be the value"
                        + " of '\(variable.name)': it is no text; ask for it as a file")
            }
            table[variable.name] = text
        }
        table["PROFFER_SANDBOX"] = nil
        table["PROFFER_SANDBOX"] = row.sandbox
        return table.map { EnvironmentVariable(name: $0.key, value: $0.value) }
    }

    /// The ports of a task: `PORT` is the first of those that it has taken, `PORT0` and so on are
    /// all of them, `PORTS` is the list; `PORT_NAME` is one that its discovery information names.
    static func ports(of info: TaskInfo) -> [EnvironmentVariable] {
        let ports = info.resources.ports.intervals.lazy.flatMap { $0 }.prefix(portVariableLimit)
        var list: [EnvironmentVariable] = []
        if let first = ports.first {
            list.append(EnvironmentVariable(name: "PORT", value: "\(first)"))
            let all = ports.map { "\($0)" }.joined(separator: ",")
            list.append(EnvironmentVariable(name: "PORTS", value: all))
        }
        for (index, port) in ports.enumerated() {
            list.append(EnvironmentVariable(name: "PORT\(index)", value: "\(port)"))
        }
        for port in info.discovery?.ports.prefix(portVariableLimit) ?? [] {
            guard let name = port.name, !name.isEmpty else { continue }
            list.append(
                EnvironmentVariable(name: "PORT_" + variableName(name), value: "\(port.number)"))
        }
        return list
    }

    /// A name in capitals, with an underscore for whatever is neither letter nor digit.
    private static func variableName(_ name: String) -> String {
        String(
            decoding: name.utf8.map { byte in
                switch byte {
                case 0x61...0x7A: byte - 0x20
                case 0x30...0x39, 0x41...0x5A: byte
                default: UInt8(0x5F)
                }
            }, as: UTF8.self)
    }
}
