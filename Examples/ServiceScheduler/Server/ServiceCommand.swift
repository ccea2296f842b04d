internal import ArgumentParser
internal import Logging

@main
struct ServiceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "service-scheduler",
        abstract: "Runs long-running services on a cluster, with Marathon's REST interface.",
        usage: """
            service-scheduler --data-dir /var/lib/proffer/services --http-port 8080
            PROFFER_CONTEXT=FILE service-scheduler --data-dir DIR --http-port 0
            """,
        discussion: """
            The master is found as --context says, else PROFFER_MASTER, PROFFER_MASTER_KEY and \
            PROFFER_KEY_FILE, else the file named by PROFFER_CONTEXT, else \
            ~/.proffer/context.json, which 'proffer dev' writes.

            Apps are described as for Marathon: POST /v2/apps with {"id": "/web", "cmd": "...", \
            "instances": 2, "cpus": 0.1, "mem": 32}. cpus count cores (default 1), mem and disk \
            mebibytes (default 128 and 0), fields ending in Seconds seconds. Health checks are \
            run beside the instance by its executor, one for each app: HTTP, MESOS_HTTP, TCP, \
            MESOS_TCP or COMMAND.

            Whoever reaches the HTTP port can run programs on the cluster: keep it on loopback, \
            or behind a proxy that authenticates.

            Files in the data directory: services.sqlite (apps, versions, groups, instances, \
            deployments and the framework's id), endpoints.json (what it serves, while it does). \
            On TERM and INT it stops; its tasks live on, and the next start with the same \
            directory takes them over.

            Exit codes: 0 stopped on request, 1 unexpected, 78 configuration, 100 data \
            directory, 102 address in use, 103 disk.
            """)

    @Option(name: .customLong("data-dir"), help: "The directory of the scheduler's state.")
    var dataDir: String

    @Option(help: "The address to listen on.")
    var host = "127.0.0.1"

    @Option(name: .customLong("http-port"), help: "The port of the HTTP server; 0 is any free one.")
    var httpPort = 8080

    @Option(name: .customLong("framework-name"), help: "The name of the framework, for people.")
    var frameworkName = "services"

    @Option(help: "The role in which resources are offered.")
    var role = "*"

    @Option(help: "The file that says how to reach the master.")
    var context: String?

    @Option(
        help: """
            From the moment an instance is shown as TASK_KILLING to its kill, when an upgrade or \
            a smaller instance count ends it: 500ms, 5s, 1m.
            """)
    var drain = "500ms"

    @Option(
        name: .customLong("log-level"),
        help: "trace, debug, info, notice, warning, error or critical.")
    var logLevel = "info"

    func run() async {
        do {
            let level = try parsedLevel()
            LoggingSystem.bootstrap { label in StreamLogHandler.standardError(label: label) }
            var logger = Logger(label: "service-scheduler")
            logger.logLevel = level
            let daemon = ServiceDaemon(settings: try settings(), logger: logger)
            try await daemon.run()
        } catch {
            Problem.end(error)
        }
    }

    private func settings() throws -> DaemonSettings {
        guard (0...65535).contains(httpPort) else {
            throw Problem(
                .configuration, "--http-port \(httpPort) cannot be used",
                because: "ports lie between 0 and 65535", try: "give another, or 0 for any")
        }
        guard let pause = Self.duration(drain) else {
            throw Problem(
                .configuration, "--drain '\(drain)' cannot be used",
                because: "it is no time between 0 and an hour", try: "write 500ms, 5s or 1m")
        }
        return DaemonSettings(
            dataDirectory: dataDir, host: host, port: httpPort, frameworkName: frameworkName,
            role: role, context: context, drain: pause)
    }

    private func parsedLevel() throws -> Logger.Level {
        guard let level = Logger.Level(rawValue: logLevel) else {
            throw Problem(
                .configuration, "--log-level '\(logLevel)' cannot be used",
                because: "there is no such level",
                try: "one of trace, debug, info, notice, warning, error, critical")
        }
        return level
    }

    private static func duration(_ text: String) -> Duration? {
        let units = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)]
        for (suffix, factor) in units where text.hasSuffix(suffix) {
            guard let number = Int(text.dropLast(suffix.count)), (0...3_600_000).contains(number)
            else { continue }
            let milliseconds = number * factor
            return milliseconds <= 3_600_000 ? .milliseconds(milliseconds) : nil
        }
        return nil
    }
}
