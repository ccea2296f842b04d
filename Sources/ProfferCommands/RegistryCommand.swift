internal import ArgumentParser
internal import Foundation
internal import ProfferRegistry
internal import ProfferWire

struct RegistryCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "registry",
        abstract: "Look after what masters must not forget.",
        discussion: """
            EXAMPLES:
              proffer registry check --registry etcd://10.0.0.1:2379,10.0.0.2:2379
              proffer registry backup --registry etcd://10.0.0.1:2379 registry.json
              proffer registry restore --registry sqlite:/var/lib/proffer/registry.sqlite \
            registry.json
              proffer registry migrate --from sqlite:/var/lib/proffer/registry.sqlite \
            --to etcd://10.0.0.1:2379

            'check' and 'backup' may run beside masters. The others write, and are refused while a \
            master has the registry: stop the masters first.
            """,
        subcommands: [
            RegistryCheck.self, RegistryBackupCommand.self, RegistryRestore.self,
            RegistryMigrate.self, RegistryAdopt.self, RegistryRaiseEpoch.self,
        ])
}

/// How a registry in etcd lets one in.
struct EtcdOptions: ParsableArguments, Sendable {
    @Option(name: .customLong("etcd-user"), help: "The user that etcd knows.")
    var user: String?

    @Option(
        name: .customLong("etcd-password-file"),
        help: "A file with that user's password, readable by its owner only.")
    var passwordFile: String?

    @Option(
        name: .customLong("etcd-ca"),
        help: "A PEM file with the authority that vouches for the etcd members.")
    var authority: String?

    @Option(name: .customLong("etcd-cert"), help: "A PEM file with a certificate for etcd.")
    var certificate: String?

    @Option(
        name: .customLong("etcd-key"), help: "A PEM file with the private key of that certificate.")
    var key: String?

    /// Runs `body` with the registry at a place.
    func with<Result>(
        _ text: String, _ body: (any Registry) async throws -> Result
    ) async throws -> Result {
        do {
            switch try RegistryPlace(text) {
            case .embedded(let path?): return try await body(SQLiteRegistry(path: path))
            case .embedded(nil):
                throw StoreProblem(
                    .address, path: text,
                    because: "it names no file: write sqlite:/path/registry.sqlite")
            case .etcd(var address):
                try address.add(
                    .init(
                        user: user, passwordFile: passwordFile, authorityFile: authority,
                        certificateFile: certificate, keyFile: key))
                let registry = try EtcdRegistry(address)
                do {
                    let result = try await body(registry)
                    await registry.close()
                    return result
                } catch {
                    await registry.close()
                    throw error
                }
            }
        } catch let problem as StoreProblem {
            throw CommandProblem(problem)
        }
    }
}

extension CommandProblem {
    /// A failure of a registry as the command line shows it.
    init(_ problem: StoreProblem) {
        let code: Code =
            switch problem.kind {
            case .unusable, .full, .closed, .newer: .failed
            case .foreign: .invalidFile
            case .address: .invalidConfiguration
            case .unreachable: .unreachable
            case .denied: .refused
            case .fenced, .taken: .conflict
            }
        self.init(
            code, "the registry cannot be used", because: problem.description,
            try: problem.advice)
    }
}

private let registryHelp = ArgumentHelp(
    "The registry: sqlite:/path/registry.sqlite or etcd://host:port,host:port/prefix.",
    valueName: "address")

/// The contents, or a failure that says that there are none.
private func found(_ registry: any Registry) async throws -> RegistryContents {
    guard let contents = try await registry.contents() else {
        throw CommandProblem(
            .notFound, "there is no registry at \(registry.place)",
            because: "nothing was ever written there",
            try: "compare the address with that of the masters, also what follows the last '/'")
    }
    return contents
}

struct RegistryCheck: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Read a registry whole and say what is in it and what is wrong with it.",
        discussion: "Ends with code 8 when something is wrong.")

    @Option(help: registryHelp)
    var registry: String

    @OptionGroup
    var etcd: EtcdOptions

    func run() async throws {
        try await etcd.with(registry) { registry in
            let contents = try await found(registry)
            say("registry  \(registry.place)")
            say("version   \(contents.schema)")
            say("cluster   \(contents.clusterID ?? "unknown")")
            say("epoch     \(contents.epoch)")
            var problems: [String] = []
            if let registry = registry as? EtcdRegistry {
                problems = try await look(at: registry)
            }
            var counts: [String: Int] = [:]
            for record in contents.records {
                counts[record.kind, default: 0] += 1
                do {
                    _ = try WireCodec.decodeMasterRecord(record)
                } catch {
                    problems.append("the record \(record.kind)/\(record.key) is damaged: \(error)")
                }
            }
            for (kind, count) in counts.sorted(by: { $0.key < $1.key }) {
                say("\(padded(kind, 10))\(count)")
            }
            guard let first = problems.first else {
                say("sound")
                return
            }
            for problem in problems { note("warning: \(problem)") }
            throw CommandProblem(
                .degraded, "the registry is not well", because: first,
                try: "mend it; a damaged record comes back with 'proffer registry restore'")
        }
    }

    private func look(at registry: EtcdRegistry) async throws -> [String] {
        var problems: [String] = []
        let version = try await registry.version()
        say("etcd      \(version)")
        if let warning = EtcdRegistry.warning(version: version) { note("warning: \(warning)") }
        let leader = try await registry.leader()
        say("leader    \(leader ?? "none")")
        if try await registry.isOutOfSpace() {
            problems.append(
                "etcd has no space left: compact and defragment it, or raise its quota, then run"
                    + " 'etcdctl alarm disarm'")
        }
        return problems
    }
}

struct RegistryBackupCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup",
        abstract: "Write a registry to a file.",
        discussion: "May run beside masters: the file holds everything as of one moment.")

    @Option(help: registryHelp)
    var registry: String

    @OptionGroup
    var etcd: EtcdOptions

    @Argument(help: "The file to make; it must not be there yet.")
    var file: String

    func run() async throws {
        try await etcd.with(registry) { registry in
            let contents = try await found(registry)
            let data = try RegistryBackup(contents).encoded()
            guard !FileManager.default.fileExists(atPath: file),
                FileManager.default.createFile(
                    atPath: file, contents: data, attributes: [.posixPermissions: 0o600])
            else {
                throw CommandProblem(
                    .failed, "the file \(file) cannot be made",
                    because: "it is there already, or its directory cannot be written",
                    try: "name another file")
            }
            say("\(contents.records.count) facts of epoch \(contents.epoch) are in \(file)")
        }
    }
}

struct RegistryRestore: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore",
        abstract: "Write the contents of a backup into a registry.",
        discussion: """
            All of it or nothing. The epoch goes on from the higher one of backup and registry, so \
            that agents obey the next master.
            """)

    @Option(help: registryHelp)
    var registry: String

    @OptionGroup
    var etcd: EtcdOptions

    @Flag(help: "Replace what is in the registry.")
    var force = false

    @Argument(help: "The file that 'proffer registry backup' made.")
    var file: String

    func run() async throws {
        guard let data = FileManager.default.contents(atPath: file) else {
            throw CommandProblem(
                .notFound, "the file \(file) cannot be read", because: "it is not there, or closed",
                try: "name a file that 'proffer registry backup' made")
        }
        try await etcd.with(registry) { registry in
            let backup = try RegistryBackup(data, path: file)
            let epoch = try await registry.restore(backup.contents, replaces: force)
            say("\(backup.contents.records.count) facts are restored under epoch \(epoch)")
        }
    }
}

struct RegistryMigrate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "migrate",
        abstract: "Copy a registry from one place to another.",
        discussion: """
            From SQLite to etcd, to go from one master to several, or back. Stop the masters \
            first; start them with the new --registry afterwards. What is copied stays where it \
            was: do not start a master on it again.
            """)

    @Option(help: ArgumentHelp("Where it is now.", valueName: "address"))
    var from: String

    @Option(help: ArgumentHelp("Where it shall be.", valueName: "address"))
    var to: String

    @OptionGroup
    var etcd: EtcdOptions

    @Flag(help: "Replace what is there.")
    var force = false

    func run() async throws {
        try await etcd.with(from) { source in
            let before = try await found(source)
            // Nobody may write to it any more while it is copied.
            let owner = try await source.claim(clusterID: nil, above: before.epoch)
            do {
                try await copy(before.records.count, from: source)
                await owner.release()
            } catch {
                await owner.release()
                throw error
            }
        }
    }

    private func copy(_ count: Int, from source: any Registry) async throws {
        try await etcd.with(to) { target in
            let contents = try await found(source)
            let epoch = try await target.restore(contents, replaces: force)
            say("\(contents.records.count) facts are at \(target.place) under epoch \(epoch)")
        }
    }
}

struct RegistryAdopt: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "adopt",
        abstract: "Let a copied registry take the place of its original.",
        discussion: """
            A master refuses a registry file that was copied, because the master of the original \
            may still run. Make sure that it does not, then run this.
            """)

    @Option(help: registryHelp)
    var registry: String

    @OptionGroup
    var etcd: EtcdOptions

    func run() async throws {
        try await etcd.with(registry) { registry in
            let contents = try await found(registry)
            let writer = try await registry.claim(clusterID: nil, above: contents.epoch)
            await writer.release()
            say("\(registry.place) may be used by a master now")
        }
    }
}

struct RegistryRaiseEpoch: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "raise-epoch",
        abstract: "Repair a registry that went back to an older state.",
        discussion: """
            When etcd was restored from an old copy, agents and frameworks refuse its masters: \
            they have obeyed a later epoch, which the log of the refused master names. With one of \
            at least that one, they obey again.
            """)

    @Option(help: registryHelp)
    var registry: String

    @OptionGroup
    var etcd: EtcdOptions

    @Argument(help: "The latest epoch that anybody has obeyed.")
    var epoch: UInt64

    func validate() throws {
        // A registry counts in signed numbers, and goes on from there.
        guard epoch < UInt64(Int64.max) else {
            throw ValidationError("'\(epoch)' is no epoch that a master could have reached")
        }
    }

    func run() async throws {
        try await etcd.with(registry) { registry in
            _ = try await found(registry)
            let writer = try await registry.claim(clusterID: nil, above: epoch)
            do {
                try await writer.commit([])
                await writer.release()
            } catch {
                await writer.release()
                throw error
            }
            say("the epoch is \(writer.epoch) now")
        }
    }
}
