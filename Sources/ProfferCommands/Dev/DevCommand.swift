internal import ArgumentParser
internal import Foundation
internal import Glibc

/// Options of the commands that start a cluster on this machine.
struct DevOptions: ParsableArguments, Sendable {
    static let agentLimit = 32

    @Option(help: "How many agents share this machine.")
    var agents = 3

    @Option(help: ArgumentHelp("Where keys, data and logs are.", valueName: "directory"))
    var dataDir: String?

    func validate() throws {
        guard (1...Self.agentLimit).contains(agents) else {
            throw ValidationError("--agents must be between 1 and \(Self.agentLimit)")
        }
    }

    /// The directory as an absolute path.
    var directory: String? {
        dataDir.map { URL(fileURLWithPath: $0).standardizedFileURL.path }
    }
}

struct DevCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dev",
        abstract: "Run a whole cluster on this machine until Ctrl-C.",
        discussion: """
            A master, agents that share this machine's cores and memory, a service scheduler \
            and a batch scheduler, as real processes on loopback addresses. It needs no root \
            and no network. Everything it started ends with it.

            With --masters 3 --etcd there are three masters that share a registry in an etcd of \
            three members; 'proffer dev fault' harms them.
            """, subcommands: [DevFault.self])

    @OptionGroup
    var options: DevOptions

    @Option(help: "How many masters there are; more than one needs --etcd.")
    var masters = 1

    @Flag(help: "Keep the registry in an etcd of three members, which is started too.")
    var etcd = false

    @Flag(help: "Keep the data directory at the end, and go on with it the next time.")
    var keep = false

    func validate() throws {
        guard (1...7).contains(masters) else {
            throw ValidationError("--masters must be between 1 and 7")
        }
        guard masters == 1 || etcd else {
            throw ValidationError("several masters share a registry in etcd: give --etcd, too")
        }
    }

    func run() async throws {
        let home = homeDirectory + "/.proffer"
        let path = options.directory ?? home + "/dev"
        let shared = options.directory == nil ? home + "/context.json" : nil
        Terminal.output.write(
            "proffer \(profferVersion) dev cluster, data in \(tilde(path))\n\n")
        let begin = ContinuousClock.now
        let isUsed = Published(shared, directory: path)
        let isInterrupted: Bool
        do {
            isInterrupted = try await withDevCluster(
                in: path, keep ? .continued : .run, agentCount: options.agents,
                masterCount: masters, usesEtcd: etcd, report: say
            ) { cluster, context in
                let isShared = try isUsed.publish(context)
                say("\n  ready in \(brief(ContinuousClock.now - begin)); Ctrl-C stops it")
                say(hints(cluster, context, isShared: isShared))
                try await Task.sleep(for: .seconds(1_000_000_000))
            }
        } catch {
            isUsed.withdraw()
            throw error
        }
        isUsed.withdraw()
        if isInterrupted {
            say(
                "\n  stopped; "
                    + (FileManager.default.fileExists(atPath: path)
                        ? "data kept in \(tilde(path))" : "nothing is left"))
        }
    }

    private func hints(
        _ cluster: DevCluster, _ context: ClusterContext, isShared: Bool
    ) -> String {
        var lines = [""]
        if !isShared {
            lines += [
                "  in other shells first:",
                "    export PROFFER_CONTEXT=\(cluster.contextPath)", "",
            ]
        }
        if cluster.masterCount > 1 {
            lines += ["  see a failover:", "    proffer dev fault kill-leader", ""]
        }
        lines += [
            "  try next:",
            "    proffer status",
            "    proffer run --name hello --ports 1 -- python3 -m http.server '$PORT'",
            "    proffer ps",
            "    proffer logs -f hello",
            "    proffer stop hello", "",
            "  frameworks connect to \(context.master.joined(separator: ","))",
            "  logs are in \(tilde(cluster.directory.path))/logs",
        ]
        return lines.joined(separator: "\n")
    }
}

/// The cluster file that every command reads unless told otherwise, while this cluster runs.
private struct Published: Sendable {
    let path: String?
    let directory: String

    init(_ path: String?, directory: String) {
        self.path = path
        self.directory = directory
    }

    /// - Returns: Whether the file describes this cluster now; one of another cluster stays.
    func publish(_ context: ClusterContext) throws -> Bool {
        guard let path else { return false }
        guard isOurs(path) || !FileManager.default.fileExists(atPath: path) else {
            say("      \(tilde(path)) describes another cluster and stays as it is")
            return false
        }
        try context.save(path)
        return true
    }

    func withdraw() {
        guard let path else { return }
        if isOurs(path) { unlink(path) }
        // Only when nothing else is in it.
        rmdir(URL(fileURLWithPath: path).deletingLastPathComponent().path)
    }

    private func isOurs(_ path: String) -> Bool {
        (try? ClusterContext.load(path))?.keyFile.hasPrefix(directory + "/") == true
    }
}

/// A path as people write it.
func tilde(_ path: String) -> String {
    let home = homeDirectory
    return home.count > 1 && path.hasPrefix(home + "/") ? "~" + path.dropFirst(home.count) : path
}
