internal import ArgumentParser
internal import ProfferRuntime

@main
struct AgentCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "proffer-agent",
        abstract: "The agent: offers what a node has and runs tasks on it.",
        usage: """
            proffer-agent --data-dir /var/lib/proffer/agent --master tcp://10.0.0.1:5061 \
            --master-key KEY
            proffer-agent ... --resources 'cpus:2;mem:4096;ports:[31000-31999]' \
            --attributes 'rack:r1'
            """,
        discussion: """
            Every setting is taken from its flag, else from the environment variable \
            PROFFER_AGENT_<NAME> (such as PROFFER_AGENT_HTTP_PORT), else from the JSON file \
            given by --config (such as {"http-port": 5051}).

            Files in the data directory: agent.sqlite (running tasks and unacknowledged updates), \
            agent.key (its key pair, made at the first start; its public key must stand in the \
            master's agents.allow), work/ (sandboxes and executors), endpoints.json (what it \
            serves, while it does).

            Signals: TERM and INT stop the agent and leave its tasks alive for its next start; \
            USR1 kills its tasks, takes it out of the cluster and ends it.

            Exit codes: 0 stopped on request, 1 unexpected, 78 configuration, 100 data directory, \
            101 key, 102 address in use, 103 disk, 104 refused by the master.
            """,
        version: AgentDaemonConfiguration.version)

    @Option(
        name: .customLong("data-dir"), help: "The directory of checkpoints, key and sandboxes.")
    var dataDir: String?

    @Option(
        help: "The masters' addresses for agents, separated by commas: tcp://10.0.0.1:5061.")
    var master: String?

    // Unconditional: a key may begin with a dash.
    @Option(
        name: .customLong("master-key"), parsing: .unconditional,
        help: "The masters' public key: 40 characters.")
    var masterKey: String?

    @Option(help: "The address of the HTTP server (default: 127.0.0.1).")
    var host: String?

    @Option(name: .customLong("http-port"), help: "The port of the HTTP server (default: 5051).")
    var httpPort: String?

    @Option(help: "The name under which others reach this node (default: its own).")
    var hostname: String?

    @Option(
        help: """
            What to offer: cores, MiB of memory and disk, ports, anything else by name, as in \
            'cpus:2;mem:4096;disk:10240;ports:[31000-31999]' (default: what is detected).
            """)
    var resources: String?

    @Option(help: "What tells this node from others: 'rack:r1;zone:a'.")
    var attributes: String?

    @Option(help: "The failure domain: region/zone.")
    var domain: String?

    @Option(help: "The path of proffer-executor (default: beside this program).")
    var executor: String?

    @Option(
        name: .customLong("operator-token-file"),
        help: """
            A file with the master's operator token (mode 0600): whoever has it may run programs \
            in tasks with 'proffer exec' (default: nobody may).
            """)
    var operatorTokenFile: String?

    @Option(
        name: .customLong("secrets-directory"),
        help: "The directory with the secrets of tasks: ROLE/NAME (default: none).")
    var secretsDirectory: String?

    @Option(
        name: .customLong("launch-timeout"),
        help: """
            How long a task may take to run, files and image included, unless it says otherwise; \
            'none' is any time (default: 30m).
            """)
    var launchTimeout: String?

    @Option(
        name: .customLong("usage-interval"),
        help: "Pause between two reports of what the node uses (default: 5s).")
    var usageInterval: String?

    @Option(
        help: """
            What is offered revocably beyond the resources: 'slack' (a part of the processor time \
            that tasks do not use), or fixed amounts such as cpus:2 (default: off).
            """)
    var oversubscribe: String?

    @Option(
        name: .customLong("oversubscribe-share"),
        help: "The part of the slack that is offered, in percent (default: 50).")
    var oversubscribeShare: String?

    @Option(
        name: .customLong("oversubscribe-interval"),
        help: "Pause between two rises of what is offered beyond the resources (default: 15s).")
    var oversubscribeInterval: String?

    @Option(
        name: .customLong("pressure-cpu"),
        help: """
            Revocable tasks are killed when more of the processors is busy, in percent; 101 is \
            never (default: 90).
            """)
    var pressureCPU: String?

    @Option(
        name: .customLong("pressure-memory"),
        help: "The same for memory in use (default: 90).")
    var pressureMemory: String?

    @Option(
        name: .customLong("pressure-stall"),
        help: "The same for the time that processes wait for memory (default: 10).")
    var pressureStall: String?

    @Option(
        name: .customLong("pressure-patience"),
        help: "After so many measurements beyond a limit in a row a task goes (default: 3).")
    var pressurePatience: String?

    @Option(
        name: .customLong("executor-idle-timeout"),
        help: "Without tasks for so long, an executor is stopped (default: 5m).")
    var executorIdleTimeout: String?

    @Option(
        help: """
            How tasks are kept apart: 'process' (a session of their own), 'cgroup' (limits of \
            processor, memory and processes), 'oci' (a container) (default: process).
            """)
    var isolation: String?

    @Option(
        name: .customLong("cgroup-root"),
        help: "The cgroup below which tasks have theirs (default: /proffer/ and a digest).")
    var cgroupRoot: String?

    @Option(
        name: .customLong("cpu-limit"),
        help: "Whether cpus are the most that a task gets, true or false (default: false).")
    var cpuLimit: String?

    @Option(
        name: .customLong("reserved-disk"),
        help: """
            MiB that the agent keeps for its own records on a disk that tasks fill (default: 32, \
            at most 1 % of the disk).
            """)
    var reservedDisk: String?

    @Option(
        name: .customLong("task-swap"),
        help: "MiB that a task may have swapped out beyond its memory (default: 0).")
    var taskSwap: String?

    @Option(
        name: .customLong("task-processes"),
        help: "Processes and threads that a task may have (default: 4096).")
    var taskProcesses: String?

    @Option(
        name: .customLong("disk-limit"),
        help: """
            Whether a task is killed that uses more disk than it has taken, true or false \
            (default: false).
            """)
    var diskLimit: String?

    @Option(
        name: .customLong("disk-interval"),
        help: "Pause between two looks at what tasks use of disks (default: 15s).")
    var diskInterval: String?

    @Option(
        name: .customLong("task-cores"),
        help: "The cores that tasks may use, such as 0-2,5 (default: all).")
    var taskCores: String?

    @Option(help: "The container runtime, by name or path (default: runc or crun, by trying).")
    var runtime: String?

    @Option(
        name: .customLong("allowed-host-paths"),
        help: "Directories that tasks may have as volumes or images, separated by colons.")
    var allowedHostPaths: String?

    @Option(
        name: .customLong("volume-drivers"),
        help: "A JSON file with programs that mount volumes of tasks (default: none).")
    var volumeDrivers: String?

    @Option(
        name: .customLong("allowed-capabilities"),
        help: "What contained tasks may be granted, such as NET_BIND_SERVICE,SYS_PTRACE.")
    var allowedCapabilities: String?

    @Option(
        name: .customLong("allow-privileged"),
        help: "Whether tasks may keep the agent's privileges, true or false (default: false).")
    var allowPrivileged: String?

    @Option(
        name: .customLong("registry-credentials"),
        help: "A file with the credentials of registries, as skopeo login writes it.")
    var registryCredentials: String?

    @Option(
        name: .customLong("network-config-dir"),
        help: "Where networks of containers are described (default: /etc/cni/net.d).")
    var networkConfigDir: String?

    @Option(
        name: .customLong("network-plugin-dir"),
        help: "Where their plug-ins are (default: /opt/cni/bin:/usr/lib/cni).")
    var networkPluginDir: String?

    @Option(
        name: .customLong("image-cache"),
        help: "MiB that unpacked images may take (default: 10240).")
    var imageCache: String?

    @Option(
        name: .customLong("task-output"),
        help: "MiB that each file of a task's output may have (default: 10).")
    var taskOutput: String?

    @Option(
        name: .customLong("task-output-files"),
        help: "How many files of stdout, and of stderr, are kept of a task (default: 5).")
    var taskOutputFiles: String?

    @Option(
        name: .customLong("gc-delay"),
        help: """
            How long the files of ended tasks and executors are kept on an empty disk; less as it \
            fills up (default: 7d).
            """)
    var gcDelay: String?

    @Option(
        name: .customLong("gc-disk-headroom"),
        help: "The part of the disk to keep free of such files, from 0 to 1 (default: 0.1).")
    var gcDiskHeadroom: String?

    @Option(
        name: .customLong("disk-watch-interval"),
        help: "Pause between two looks at such files and the disk (default: 1m).")
    var diskWatchInterval: String?

    @Option(
        name: .customLong("fetch-size"),
        help: "MiB that a file fetched for a task may have (default: 2048).")
    var fetchSize: String?

    @Option(
        name: .customLong("fetch-unpacked-size"),
        help: "MiB that a fetched archive may unpack to (default: 8192).")
    var fetchUnpackedSize: String?

    @Option(
        name: .customLong("fetch-entries"),
        help: "Files and directories that a fetched archive may have (default: 200000).")
    var fetchEntries: String?

    @Option(
        name: .customLong("fetch-cache"),
        help: "MiB that the cache of fetched files may take (default: 2048).")
    var fetchCache: String?

    @Option(
        name: .customLong("fetch-stall-timeout"),
        help: "After so long without a byte, a server is given up (default: 60s).")
    var fetchStallTimeout: String?

    @Option(
        name: .customLong("fetch-roots"),
        help: "Directories from which tasks may have files of the node, separated by colons.")
    var fetchRoots: String?

    @Option(
        name: .customLong("fetch-networks"),
        help: "Networks to fetch from, separated by commas (default: all but local ones).")
    var fetchNetworks: String?

    @Option(
        name: .customLong("log-level"),
        help: "trace, debug, info, notice, warning, error or critical (default: info).")
    var logLevel: String?

    @Option(help: "A JSON file with settings.")
    var config: String?

    func run() async {
        do {
            let settings = try await DaemonSettings(section: "agent", flags: flags, file: config)
            let logger = Daemon.logger("proffer-agent", level: try settings.logLevel())
            try await AgentDaemon(AgentDaemonConfiguration(settings), logger: logger).run()
        } catch {
            Daemon.fail(error)
        }
    }

    private var flags: [String: String?] {
        [
            "data-dir": dataDir, "master": master, "master-key": masterKey, "host": host,
            "http-port": httpPort, "hostname": hostname, "resources": resources,
            "attributes": attributes, "domain": domain, "executor": executor,
            "operator-token-file": operatorTokenFile,
            "secrets-directory": secretsDirectory, "launch-timeout": launchTimeout,
            "usage-interval": usageInterval, "executor-idle-timeout": executorIdleTimeout,
            "oversubscribe": oversubscribe, "oversubscribe-share": oversubscribeShare,
            "oversubscribe-interval": oversubscribeInterval, "pressure-cpu": pressureCPU,
            "pressure-memory": pressureMemory, "pressure-stall": pressureStall,
            "pressure-patience": pressurePatience,
            "isolation": isolation, "cgroup-root": cgroupRoot, "cpu-limit": cpuLimit,
            "reserved-disk": reservedDisk,
            "task-swap": taskSwap, "task-processes": taskProcesses, "task-cores": taskCores,
            "disk-limit": diskLimit, "disk-interval": diskInterval,
            "runtime": runtime, "volume-drivers": volumeDrivers,
            "allowed-host-paths": allowedHostPaths,
            "allowed-capabilities": allowedCapabilities, "allow-privileged": allowPrivileged,
            "registry-credentials": registryCredentials, "image-cache": imageCache,
            "network-config-dir": networkConfigDir, "network-plugin-dir": networkPluginDir,
            "task-output": taskOutput, "task-output-files": taskOutputFiles,
            "fetch-size": fetchSize,
            "fetch-unpacked-size": fetchUnpackedSize,
            "fetch-entries": fetchEntries,
            "fetch-cache": fetchCache,
            "fetch-stall-timeout": fetchStallTimeout,
            "fetch-roots": fetchRoots,
            "fetch-networks": fetchNetworks,
            "gc-delay": gcDelay, "gc-disk-headroom": gcDiskHeadroom,
            "disk-watch-interval": diskWatchInterval, "log-level": logLevel,
        ]
    }
}
