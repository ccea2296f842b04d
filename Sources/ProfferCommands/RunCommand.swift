internal import ArgumentParser
internal import Foundation
internal import ProfferAPI
internal import ProfferKernel

/// What `proffer run` prints about the service.
struct ServiceObject: Codable, Sendable {
    var kind = "service"
    var id: String
    var name: String
    var version: String?
    var state: String
    var instances: Int
    var running: Int
    var healthy: Int

    init(_ state: Services.State) {
        id = state.id
        name = state.id.split(separator: "/").joined(separator: "/")
        version = state.version
        self.state = state.isSettled ? "running" : "deploying"
        instances = state.instances
        running = state.tasksRunning ?? 0
        healthy = state.tasksHealthy ?? 0
    }
}

struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Run a command as a service, and wait until it runs.",
        usage: "proffer run --name <name> [<options>] -- <command> ...",
        discussion: """
            EXAMPLES:
              proffer run --name hello --ports 1 -- python3 -m http.server '$PORT'
              proffer run --name web --instances 3 --ports 1 --health / -- ./web
              proffer run --name tick -- 'while date; do sleep 1; done'

            The service scheduler keeps as many instances running as asked for. A command of \
            one word is given to the shell; in a command of several words $PORT and other \
            variables of the task are replaced, nothing else. Running the same name again \
            changes the service, step by step.

            Ctrl-C detaches: the service goes on.
            """)

    @OptionGroup
    var cluster: ClusterOptions

    @Option(help: "The service's name.")
    var name: String

    @Option(help: "How many to run.")
    var instances = 1

    @Option(help: "Cores for each.")
    var cpus = 0.1

    @Option(help: "Memory for each, MiB.")
    var mem = 32.0

    @Option(help: "Disk for each, MiB.")
    var disk = 0.0

    @Option(help: "How many ports each gets; they are in PORT0, PORT1, ... and PORT.")
    var ports = 0

    @Option(help: ArgumentHelp("A variable of its environment.", valueName: "KEY=VALUE"))
    var env: [String] = []

    @Option(
        help: ArgumentHelp(
            "Where it may run, such as rack:UNIQUE or rack:LIKE:r[12].",
            valueName: "FIELD:OPERATOR[:VALUE]"))
    var constraint: [String] = []

    @Option(help: ArgumentHelp("It is healthy when this path answers.", valueName: "path"))
    var health: String?

    @Flag(help: "Do not wait.")
    var detach = false

    @Option(help: "How long to wait, such as 30s or 5m.")
    var timeout = "5m"

    @Argument(parsing: .postTerminator, help: "What to run.")
    var command: [String] = []

    func validate() throws {
        guard !command.isEmpty else {
            throw ValidationError("say what to run after --, such as: -- sleep 60")
        }
        guard name.contains(where: { $0 != "/" }) else {
            throw ValidationError("--name must not be empty")
        }
        guard instances >= 0, ports >= 0 else {
            throw ValidationError("numbers must not be negative")
        }
        guard [cpus, mem, disk].allSatisfy({ $0 >= 0 && $0.isFinite }) else {
            throw ValidationError("numbers must not be negative, and must be finite")
        }
        guard Duration(text: timeout) != nil else {
            throw ValidationError(
                "--timeout '\(timeout)' is no duration such as 500ms, 30s, 5m, 2h")
        }
        if health != nil, ports == 0 {
            throw ValidationError("--health needs a port to ask: add --ports 1")
        }
        for text in env where !text.contains("=") || text.hasPrefix("=") {
            throw ValidationError("--env '\(text)' is not KEY=VALUE")
        }
        for text in constraint where !(2...3).contains(parts(of: text).count) {
            throw ValidationError("--constraint '\(text)' is not FIELD:OPERATOR[:VALUE]")
        }
    }

    private func parts(of constraint: String) -> [String] {
        constraint.split(separator: ":", maxSplits: 2).map(String.init)
    }

    /// The app that the options describe.
    var app: Services.App {
        let variables = env.map { text in
            let pair = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            return (String(pair[0]), pair.count > 1 ? String(pair[1]) : "")
        }
        return Services.App(
            id: "/" + name.split(separator: "/").joined(separator: "/"),
            cmd: shellCommand(command),
            instances: instances, cpus: cpus, mem: mem, disk: disk,
            env: Dictionary(variables, uniquingKeysWith: { _, last in last }),
            constraints: constraint.map(parts),
            portDefinitions: (0..<ports).map { .init(name: "port\($0)") },
            healthChecks: health.map { [.init(path: $0.hasPrefix("/") ? $0 : "/" + $0)] } ?? [])
    }

    func run() async throws {
        let services = try Services(try cluster.load())
        let app = app
        try await services.put(app)
        if detach {
            note(
                "'\(name)' is accepted; look with 'proffer ps', end it with 'proffer stop \(name)'")
        } else {
            let work = Task { try await wait(for: app, services) }
            let interrupts = Interrupts.install { _ in work.cancel() }
            defer { interrupts.remove() }
            do {
                try await work.value
            } catch is CancellationError {
                note(
                    "detached: '\(name)' goes on; look with 'proffer ps', end it with "
                        + "'proffer stop \(name)'")
                return
            }
        }
        let object = ServiceObject(try await services.state(app.id))
        switch cluster.output {
        case .json: say(String(decoding: try APICoding.encode(object, pretty: true), as: UTF8.self))
        case .table: if !detach { say("\(name): \(object.running) running") }
        }
    }

    private func wait(for app: Services.App, _ services: Services) async throws {
        let limit = Duration(text: timeout) ?? .seconds(300)
        try await services.settle(app.id, within: limit, Terminal.error) { state in
            let kind = app.healthChecks.isEmpty ? "running" : "healthy"
            return "\(name): \(state.ready) of \(app.instances) \(kind)"
        }
    }
}

/// The text for a shell that runs a command: as it is when it is one word; otherwise every word
/// for itself, so that only variables are replaced in it.
func shellCommand(_ words: [String]) -> String {
    guard words.count > 1 else { return words.first ?? "" }
    let quoted = words.map { word in
        let isPlain = word.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
                UInt8(ascii: "_"), UInt8(ascii: "/"), UInt8(ascii: ":"), UInt8(ascii: "="),
                UInt8(ascii: ","), UInt8(ascii: "+"), UInt8(ascii: "@"), UInt8(ascii: "%"):
                true
            case _: false
            }
        }
        if isPlain, !word.isEmpty { return word }
        if word.range(of: #"^\$[A-Za-z_][A-Za-z0-9_]*$"#, options: .regularExpression) != nil {
            return "\"\(word)\""
        }
        return "'" + word.replacingOccurrences(of: "'", with: #"'\''"#) + "'"
    }
    return "exec " + quoted.joined(separator: " ")
}

extension Services {
    /// Waits until the app is what it should be, and shows the way there.
    ///
    /// - Throws: ``CommandProblem`` with ``CommandProblem/Code/timedOut`` when it takes too long.
    func settle(
        _ id: String, within limit: Duration, _ terminal: Terminal,
        line: (State) -> String
    ) async throws {
        let clock = ContinuousClock()
        let begin = clock.now
        let progress = ProgressLine(terminal)
        defer { progress.clear() }
        while true {
            let state = try await state(id)
            let failure = state.lastTaskFailure?.message.map { ", last failure: \($0)" } ?? ""
            let text = line(state)
            progress.update(text + failure, live: "  \(brief(clock.now - begin))")
            if state.isSettled { return }
            guard clock.now - begin < limit else {
                throw CommandProblem(
                    .timedOut, "'\(id)' is not ready after \(brief(limit)) (\(text))",
                    because: failure.isEmpty
                        ? "the scheduler has found no place for it, or it does not get healthy"
                        : String(failure.dropFirst(2)),
                    try: "look with 'proffer ps --all' and 'proffer agents'; it is still tried")
            }
            try await Task.sleep(for: .milliseconds(100))
        }
    }
}
