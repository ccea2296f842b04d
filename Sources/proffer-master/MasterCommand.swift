internal import ArgumentParser
internal import ProfferRuntime

@main
struct MasterCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "proffer-master",
        abstract: "The master: knows agents, frameworks and tasks, and makes the offers.",
        usage: """
            proffer-master --data-dir /var/lib/proffer/master --host 10.0.0.1
            proffer-master --data-dir DIR --http-port 0 --framework-port 0 --agent-port 0
            proffer-master --data-dir DIR --host 10.0.0.1 \
            --registry etcd://10.0.0.1:2379,10.0.0.2:2379,10.0.0.3:2379
            """,
        discussion: """
            Every setting is taken from its flag, else from the environment variable \
            PROFFER_MASTER_<NAME> (such as PROFFER_MASTER_HTTP_PORT), else from the JSON file \
            given by --config (such as {"http-port": 5050}).

            With --registry etcd://... several masters share one registry, and one of them leads; \
            the others send whoever asks to it. TERM hands over at once.

            Files in the data directory: registry.sqlite (what the master must not forget), \
            master.key (its key pair, made at the first start), operator.token (for orders over \
            HTTP), frameworks.allow and agents.allow (the public keys that may connect, one per \
            line, read again when they change), endpoints.json (what it serves, while it does).

            Exit codes: 0 stopped on request, 1 unexpected, 78 configuration, 100 data directory, \
            101 key, 102 address in use, 103 disk.
            """,
        version: MasterDaemonConfiguration.version)

    @Option(name: .customLong("data-dir"), help: "The directory of registry, keys and allow-lists.")
    var dataDir: String?

    @Option(help: "The address to listen on (default: 127.0.0.1).")
    var host: String?

    @Option(name: .customLong("http-port"), help: "The port of the HTTP server (default: 5050).")
    var httpPort: String?

    @Option(
        name: .customLong("framework-port"), help: "The port for frameworks (default: 5060).")
    var frameworkPort: String?

    @Option(name: .customLong("agent-port"), help: "The port for agents (default: 5061).")
    var agentPort: String?

    @Option(
        name: .customLong("cluster-name"),
        help: "The name of the cluster, for people (default: proffer).")
    var clusterName: String?

    @Option(help: "The name under which others reach the master (default: the host).")
    var hostname: String?

    @Option(
        name: .customLong("offer-timeout"),
        help: "How long a framework may hold an offer: 500ms, 60s, 5m or none (default: 60s).")
    var offerTimeout: String?

    @Option(
        name: .customLong("ping-interval"), help: "Pause between two pings of an agent (15s).")
    var pingInterval: String?

    @Option(
        name: .customLong("pings-missed"),
        help: "So many unanswered pings make an agent unreachable (5).")
    var pingsMissed: String?

    @Option(
        name: .customLong("agent-return-window"),
        help: "How long agents may take to come back after a restart of the master (600s).")
    var agentReturnWindow: String?

    @Option(
        name: .customLong("heartbeat-interval"),
        help: "Pause between two signs of life to a framework (15s).")
    var heartbeatInterval: String?

    @Option(
        name: .customLong("preemption-delay"),
        help: "How long a demand or guarantee waits before tasks make room, or none (10s).")
    var preemptionDelay: String?

    @Option(
        name: .customLong("preemption-notice"),
        help: "How long frameworks know of it before such a task is killed, or none (30s).")
    var preemptionNotice: String?

    @Option(
        help: """
            Where the registry is: sqlite: (a file in the data directory), sqlite:/path, or \
            etcd://host:port,host:port,host:port/prefix (etcds:// over TLS) to be one of several \
            masters (default: sqlite:).
            """)
    var registry: String?

    @Option(name: .customLong("etcd-user"), help: "The user that etcd knows this master as.")
    var etcdUser: String?

    @Option(
        name: .customLong("etcd-password-file"),
        help: "A file with that user's password, readable by its owner only.")
    var etcdPasswordFile: String?

    @Option(
        name: .customLong("etcd-ca"),
        help: "A PEM file with the authority that vouches for the etcd members.")
    var etcdCA: String?

    @Option(
        name: .customLong("etcd-cert"), help: "A PEM file with this master's certificate for etcd.")
    var etcdCert: String?

    @Option(
        name: .customLong("etcd-key"), help: "A PEM file with the private key of that certificate.")
    var etcdKey: String?

    @Option(
        name: .customLong("lease-time"),
        help: "How long leadership outlasts its last confirmation by etcd (default: 3s).")
    var leaseTime: String?

    @OptionGroup
    var lostAgents: LostAgentFlags

    @OptionGroup
    var allocation: AllocationFlags

    @Option(
        name: .customLong("log-level"),
        help: "trace, debug, info, notice, warning, error or critical (default: info).")
    var logLevel: String?

    @Option(help: "A JSON file with settings.")
    var config: String?

    func run() async {
        do {
            let settings = try await DaemonSettings(
                section: "master", flags: flags, file: config)
            let logger = Daemon.logger("proffer-master", level: try settings.logLevel())
            try await MasterDaemon(MasterDaemonConfiguration(settings), logger: logger).run()
        } catch {
            Daemon.fail(error)
        }
    }

    private var flags: [String: String?] {
        [
            "data-dir": dataDir, "host": host, "http-port": httpPort,
            "framework-port": frameworkPort, "agent-port": agentPort,
            "cluster-name": clusterName, "hostname": hostname, "offer-timeout": offerTimeout,
            "ping-interval": pingInterval, "pings-missed": pingsMissed,
            "agent-return-window": agentReturnWindow,
            "heartbeat-interval": heartbeatInterval, "log-level": logLevel,
            "preemption-delay": preemptionDelay, "preemption-notice": preemptionNotice,
            "registry": registry, "etcd-user": etcdUser,
            "etcd-password-file": etcdPasswordFile, "etcd-ca": etcdCA, "etcd-cert": etcdCert,
            "etcd-key": etcdKey, "lease-time": leaseTime,
        ].merging(allocation.flags) { $1 }.merging(lostAgents.flags) { $1 }
    }
}
