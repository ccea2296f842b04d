internal import Foundation
internal import Glibc
internal import ProfferAPI
internal import ProfferZeroMQ
internal import Synchronization

/// A cluster of real processes on this machine's loopback addresses.
final class DevCluster: Sendable {
    /// One of its programs.
    struct Daemon: Sendable {
        enum Role: Sendable {
            case etcd
            case master
            case agent
            case scheduler
        }

        var name: String
        var role: Role
        var directory: String
        var pid: Int32
        /// How it was started, for the next time.
        var start: Start
    }

    /// With what a program is started.
    struct Start: Sendable {
        var program: String
        var arguments: [String]
        var variables: [String: String] = [:]
    }

    /// What a program says of itself once it serves.
    struct Endpoints: Decodable, Sendable {
        var pid: Int32
        var http: String
        var frameworks: String?
        var agents: String?
        var publicKey: String?
    }

    let directory: DevDirectory
    let processes = ProcessTree()
    let agentCount: Int
    let masterCount: Int
    private let usesEtcd: Bool
    private let relays = Mutex<[String: Relay]>([:])
    private let restarts = Mutex<[String: Int]>([:])
    /// The directory of all programs.
    let programs: String
    private let report: @Sendable (String) -> Void
    private let daemons = Mutex<[Daemon]>([])
    private let isHurried = Atomic(false)
    private let isStopping = Atomic(false)
    private let watchdog = Mutex<Watchdog?>(nil)

    /// Prepares a cluster of at least one agent; `report` takes a line about each step.
    ///
    /// - Throws: ``CommandProblem`` when its programs are not there.
    init(
        _ directory: DevDirectory, agentCount: Int, masterCount: Int = 1, usesEtcd: Bool = false,
        report: @escaping @Sendable (String) -> Void
    ) throws {
        self.directory = directory
        self.agentCount = agentCount
        self.masterCount = masterCount
        self.usesEtcd = usesEtcd
        self.report = report
        programs = try Self.programDirectory()
    }

    var contextPath: String { directory.path + "/context.json" }

    // MARK: Start

    /// Starts everything, the master first.
    ///
    /// - Returns: How to reach it.
    func start() async throws -> ClusterContext {
        try Task.checkCancellation()
        let guardian = try Watchdog(processes, log: directory.log(of: "watchdog"))
        watchdog.withLock { $0 = guardian }
        let etcd = try usesEtcd ? DevEtcd(directory) : nil
        try makeKeys()
        if let etcd { try await startEtcd(etcd) }
        let masters = try await startMasters(etcd)
        var context = ClusterContext(
            master: try addresses(masters, \.frameworks), masterKey: masters[0].publicKey ?? "",
            keyFile: directory.path + "/client.key",
            http: masters.map(\.http).joined(separator: ","))
        context.tokenFile = directory.path + "/\(masterNames[0])/operator.token"
        try context.save(contextPath)
        try await startAgents(masters)
        let services = try await startScheduler(
            "services", "service-scheduler", [], context, preferredPort: 8080)
        let batch = try await startScheduler(
            "batch", "batch-scheduler", ["serve"], context, preferredPort: 8081)
        context.services = services.http
        context.batch = batch.http
        try context.save(contextPath)
        return context
    }

    /// The masters' names: with one, that is all it is called.
    var masterNames: [String] {
        masterCount == 1 ? ["master"] : (1...masterCount).map { "master-\($0)" }
    }

    private func makeKeys() throws {
        let begin = ContinuousClock.now
        var agents: [(key: KeyPair, name: String)] = []
        for index in 1...agentCount {
            _ = try directory.member("agent-\(index)")
            agents.append((try directory.keys("agent-\(index)/agent.key"), "agent-\(index)"))
        }
        var frameworks: [(key: KeyPair, name: String)] = []
        for name in ["client", "services", "batch"] {
            frameworks.append((try directory.keys("\(name).key"), name))
        }
        for master in masterNames {
            _ = try directory.member(master)
            _ = try directory.keys("\(master)/master.key")
            try directory.allow(agents, in: "\(master)/agents.allow")
            try directory.allow(frameworks, in: "\(master)/frameworks.allow")
        }
        done("keys", "one pair for each program, mode 0600", since: begin)
    }

    private func startEtcd(_ etcd: DevEtcd) async throws {
        let begin = ContinuousClock.now
        let members = try etcd.members.indices.map { index in
            try spawn("etcd-\(index + 1)", .etcd, etcd.program, etcd.arguments(index))
        }
        let client = Client(
            base: etcd.members.map { "http://127.0.0.1:\($0.client)" }.joined(separator: ","))
        struct Health: Decodable { var health: String }
        try await poll("etcd to have a leader") {
            (try? await client.get("/health", as: Health.self))?.health == "true"
        }
        for (member, daemon) in zip(etcd.members, members) {
            done(daemon.name, "http://127.0.0.1:\(member.client)", daemon.pid, since: begin)
        }
    }

    /// Every master gets a relay of its own to etcd, so that one of them can be cut off.
    private func startMasters(_ etcd: DevEtcd?) async throws -> [Endpoints] {
        let begin = ContinuousClock.now
        var found: [Endpoints] = []
        for (index, name) in masterNames.enumerated() {
            let wanted: [UInt16] = [5050, 5060, 5061]
            let ports: [UInt16] = index == 0 ? wanted.map { LocalPorts.choose($0) } : [0, 0, 0]
            if index == 0 {
                note(taken: zip(ports, wanted).filter { $0.0 == 0 }.map { "\($0.1)" })
            }
            var arguments = ["--host", "127.0.0.1", "--cluster-name", "dev"]
            if let etcd {
                let relay = try Relay(to: etcd.members.map(\.client))
                relays.withLock { $0[name] = relay }
                arguments += [
                    "--registry",
                    "etcd://" + relay.ports.map { "127.0.0.1:\($0)" }.joined(separator: ","),
                ]
            }
            try share(tokenOf: masterNames[0], with: name)
            let places = zip(["--http-port", "--framework-port", "--agent-port"], ports)
            let daemon = try spawn(
                name, .master, "proffer-master", places.flatMap { [$0, "\($1)"] } + arguments)
            let endpoints = try await ready(daemon)
            found.append(endpoints)
            fix(ports: endpoints, of: daemon)
            done(daemon.name, endpoints.http, daemon.pid, since: begin)
        }
        if masterCount > 1 { watchPartition() }
        return found
    }

    /// One token for all masters: an order goes to whichever leads.
    private func share(tokenOf first: String, with name: String) throws {
        guard first != name else { return }
        let files = FileManager.default
        let path = "\(directory.path)/\(name)/operator.token"
        let token = files.contents(atPath: "\(directory.path)/\(first)/operator.token")
        guard
            files.createFile(
                atPath: path, contents: token, attributes: [.posixPermissions: 0o600])
        else {
            throw CommandProblem(
                .failed, "\(path) cannot be written", because: String(cString: strerror(errno)),
                try: "give --data-dir a directory that you may write to")
        }
    }

    /// A master that is started again has to be where clients look for it.
    private func fix(ports endpoints: Endpoints, of daemon: Daemon) {
        func port(_ address: String?) -> String {
            address?.split(separator: ":").last.map(String.init) ?? "0"
        }
        daemons.withLock { daemons in
            guard let place = daemons.firstIndex(where: { $0.pid == daemon.pid }) else { return }
            let ports = [endpoints.http, endpoints.frameworks, endpoints.agents].map(port)
            for (offset, port) in ports.enumerated() {
                daemons[place].start.arguments[offset * 2 + 1] = port
            }
        }
    }

    /// Cuts the master off that the file of the fault command names, as long as it is there.
    private func watchPartition() {
        let file = directory.path + "/" + FaultCluster.partitionFile
        unlink(file)
        Task { [weak self] in
            while let self, !isStopping.load(ordering: .acquiring) {
                let name = FileManager.default.contents(atPath: file).map {
                    String(decoding: $0, as: UTF8.self)
                }
                relays.withLock { relays in
                    for (master, relay) in relays { relay.cut(master == name) }
                }
                try? await Task.sleep(for: .milliseconds(100))
            }
        }
    }

    /// The masters' addresses; of several, each with its key.
    private func addresses(
        _ masters: [Endpoints], _ kind: (Endpoints) -> String?
    ) throws -> [String] {
        try masters.map { master in
            guard let address = kind(master), let key = master.publicKey else {
                throw CommandProblem(
                    .failed, "a master does not say where its peers connect",
                    because: "its endpoints.json lacks an address or 'publicKey'",
                    try: "install all of proffer's programs from the same build")
            }
            return masters.count == 1 ? address : "\(address)=\(key)"
        }
    }

    private func startAgents(_ masters: [Endpoints]) async throws {
        let begin = ContinuousClock.now
        let address = try addresses(masters, \.agents).joined(separator: ",")
        let key = masters[0].publicKey ?? ""
        let shares = MachineShare.split(
            cores: ThisMachine.cores, memory: ThisMachine.memory,
            disk: ThisMachine.freeDisk(at: directory.path), ports: taskPorts(masters[0].http),
            into: agentCount)
        var started: [(Daemon, MachineShare)] = []
        var taken: [String] = []
        for (offset, share) in shares.enumerated() {
            let host = "127.0.0.\(offset + 1)"
            let port = LocalPorts.choose(5051, host: host)
            if port == 0 { taken.append("5051 of \(host)") }
            let daemon = try spawn(
                "agent-\(offset + 1)", .agent, "proffer-agent",
                [
                    "--master", address, "--master-key", key, "--host", host, "--http-port",
                    "\(port)", "--hostname", host, "--resources", share.flag, "--attributes",
                    "rack:r\(offset + 1)", "--executor", programs + "/proffer-executor",
                    "--operator-token-file", "\(directory.path)/\(masterNames[0])/operator.token",
                ])
            started.append((daemon, share))
        }
        note(taken: taken)
        for (daemon, share) in started {
            let endpoints = try await ready(daemon)
            let host = endpoints.http.split(separator: "/").last.map(String.init) ?? ""
            done(daemon.name, "\(host)  \(share.text)", daemon.pid, since: begin)
        }
        let client = Client(base: masters.map(\.http).joined(separator: ","))
        try await poll("the agents to register") {
            guard
                let agents = try? await client.get("/v1/agents", as: ObjectList<AgentObject>.self)
            else { return false }
            return agents.items.count { $0.state == "active" } >= agentCount
        }
    }

    private func startScheduler(
        _ name: String, _ program: String, _ arguments: [String], _ context: ClusterContext,
        preferredPort: UInt16
    ) async throws -> Endpoints {
        let begin = ContinuousClock.now
        _ = try directory.member(name)
        let port = LocalPorts.choose(preferredPort)
        if port == 0 { note(taken: ["\(preferredPort)"]) }
        let daemon = try spawn(
            name, .scheduler, program,
            arguments + [
                "--host", "127.0.0.1", "--http-port", "\(port)", "--framework-name", name,
            ],
            [
                "PROFFER_MASTER": context.master.joined(separator: ","),
                "PROFFER_MASTER_KEY": context.masterKey,
                "PROFFER_KEY_FILE": directory.path + "/\(name).key",
            ])
        let endpoints = try await ready(daemon)
        try await poll("\(name) to answer") {
            (try? await Client(base: endpoints.http).send(.get, "/ping")) != nil
        }
        done(name, endpoints.http, daemon.pid, since: begin)
        return endpoints
    }

    /// Two clusters must not give the same port to tasks of theirs; the second one on a machine,
    /// which did not get the usual port either, takes another block.
    private func taskPorts(_ http: String) -> ClosedRange<Int> {
        if http.hasSuffix(":5050") { return 31_000...31_999 }
        let block = 20_000 + Int(getpid() % 10) * 1000
        return block...(block + 999)
    }

    private func note(taken ports: [String]) {
        guard !ports.isEmpty else { return }
        report("      taken: \(ports.joined(separator: ", ")); other ports are used instead")
    }

    private func spawn(
        _ name: String, _ role: Daemon.Role, _ program: String, _ arguments: [String],
        _ variables: [String: String] = [:]
    ) throws -> Daemon {
        try Task.checkCancellation()
        return try spawn(
            name, role, Start(program: program, arguments: arguments, variables: variables))
    }

    private func spawn(
        _ name: String, _ role: Daemon.Role, _ start: Start
    ) throws -> Daemon {
        let (program, arguments, variables) = (start.program, start.arguments, start.variables)
        let path = try directory.member(name)
        // One of an earlier run must not be taken for the new one's.
        unlink(path + "/endpoints.json")
        var environment = ProcessInfo.processInfo.environment.filter { name, _ in
            !name.hasPrefix("PROFFER_") || name == "PROFFER_LOG_LEVEL"
        }
        environment["PROFFER_CONTEXT"] = contextPath
        environment.merge(variables) { _, ours in ours }
        // Subcommands come before options.
        let position = arguments.first?.hasPrefix("--") == false ? 1 : 0
        var words = arguments
        words.insert(contentsOf: ["--data-dir", path], at: position)
        return try daemons.withLock { daemons in
            let pid = try processes.start(
                program.hasPrefix("/") ? program : programs + "/" + program, words,
                environment: environment, log: directory.log(of: name))
            let daemon = Daemon(
                name: name, role: role, directory: path, pid: pid, start: start)
            daemons.append(daemon)
            watchdog.withLock { $0?.guardProcess(pid, with: role == .agent ? "USR1" : "TERM") }
            return daemon
        }
    }

    /// Waits until a program serves.
    private func ready(_ daemon: Daemon) async throws -> Endpoints {
        var found: Endpoints?
        try await poll("\(daemon.name) to be ready") {
            guard
                let data = FileManager.default.contents(
                    atPath: daemon.directory + "/endpoints.json"),
                let endpoints = try? JSONDecoder().decode(Endpoints.self, from: data),
                endpoints.pid == daemon.pid
            else { return false }
            found = endpoints
            return true
        }
        guard let found else { throw CancellationError() }
        return found
    }

    /// Asks until the answer is yes, a program has died, or 20 seconds are over.
    private func poll(_ what: String, _ ask: () async throws -> Bool) async throws {
        let end = ContinuousClock.now + .seconds(20)
        while true {
            if let problem = deadDaemon() { throw problem }
            if try await ask() { return }
            guard ContinuousClock.now < end else {
                throw CommandProblem(
                    .timedOut, "the cluster did not start",
                    because: "20 seconds were not enough for \(what)\n" + allLastLines(),
                    try: "look at \(directory.path)/logs; --keep keeps them")
            }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    private func done(
        _ name: String, _ text: String, _ pid: Int32? = nil, since begin: ContinuousClock.Instant
    ) {
        let pid = pid.map { "pid \($0)" } ?? ""
        let time = brief(ContinuousClock.now - begin)
        let left = "  ok  " + padded(name, 11) + padded(text, 40) + "  " + pid
        report(padded(left, 79 - time.count) + time)
    }

    // MARK: Watch

    /// The failure of the first program that ended by itself; `nil` while all run.
    func deadDaemon() -> CommandProblem? {
        processes.reap()
        guard !isStopping.load(ordering: .acquiring) else { return nil }
        let all = daemons.withLock { $0 }
        for daemon in all {
            guard let end = processes.end(of: daemon.pid) else { continue }
            if daemon.role == .master, masterCount > 1, startAgain(daemon, end) { continue }
            let lines = directory.lastLines(of: daemon.name)
            return CommandProblem(
                .failed, "\(daemon.name) \(end.text)",
                because: lines.isEmpty
                    ? "it wrote nothing to its log" : "its log ends so:\n" + lines,
                try: "repair what it complains about, then start again; --keep keeps the logs")
        }
        return nil
    }

    /// Starts a master again that is one of several, as a supervisor does.
    ///
    /// - Returns: Whether there is still hope.
    private func startAgain(_ daemon: Daemon, _ end: ProcessTree.End) -> Bool {
        let isFirst = daemons.withLock { daemons in
            let place = daemons.firstIndex { $0.pid == daemon.pid }
            if let place { daemons.remove(at: place) }
            return place != nil
        }
        guard isFirst else { return true }
        let count = restarts.withLock { restarts in
            restarts[daemon.name, default: 0] += 1
            return restarts[daemon.name] ?? 0
        }
        guard count <= 50 else { return false }
        report("      \(daemon.name) \(end.text); it is started again in a second")
        Task { [self] in
            try? await Task.sleep(for: .seconds(1))
            guard !isStopping.load(ordering: .acquiring) else { return }
            do {
                _ = try spawn(daemon.name, .master, daemon.start)
            } catch {
                report("      \(daemon.name) cannot be started again: \(error)")
            }
        }
        return true
    }

    private func allLastLines() -> String {
        daemons.withLock { $0 }.map {
            "    \($0.name):\n" + directory.lastLines(of: $0.name, count: 3)
        }.joined(separator: "\n")
    }

    // MARK: Stop

    /// No more patience: what still runs is killed.
    func hurry() { isHurried.store(true, ordering: .releasing) }

    /// Stops everything in order: who asks for tasks, who runs them, who mediates, and the rest.
    ///
    /// It is not cancellable.
    /// - Returns: Whether nothing is left.
    func stop() async -> Bool {
        isStopping.store(true, ordering: .releasing)
        let all = daemons.withLock { $0 }
        // What a fault has paused could not end.
        for daemon in all { processes.signal(SIGCONT, to: daemon.pid) }
        for relay in relays.withLock({ Array($0.values) }) { relay.cut(false) }
        await end(all.filter { $0.role == .scheduler }, SIGTERM, within: .seconds(3))
        await end(all.filter { $0.role == .agent }, SIGUSR1, within: .seconds(8))
        await end(all.filter { $0.role == .master }, SIGTERM, within: .seconds(3))
        await end(all.filter { $0.role == .etcd }, SIGTERM, within: .seconds(3))
        for relay in relays.withLock({ Array($0.values) }) { relay.close() }
        watchdog.withLock { $0?.dismiss() }
        let isClean = await processes.killAll()
        directory.release()
        return isClean
    }

    private func end(_ daemons: [Daemon], _ signal: Int32, within limit: Duration) async {
        for daemon in daemons { processes.signal(signal, to: daemon.pid) }
        let end = ContinuousClock.now + limit
        while ContinuousClock.now < end, !isHurried.load(ordering: .acquiring) {
            processes.reap()
            if daemons.allSatisfy({ processes.end(of: $0.pid) != nil }) { return }
            await Task.detached { try? await Task.sleep(for: .milliseconds(10)) }.value
        }
    }

    /// The directory of this program, where the others are too.
    private static func programDirectory() throws -> String {
        let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let directory = URL(fileURLWithPath: own).deletingLastPathComponent().path
        let needed = [
            "proffer-master", "proffer-agent", "proffer-executor", "service-scheduler",
            "batch-scheduler",
        ]
        let missing = needed.filter { access(directory + "/" + $0, X_OK) != 0 }
        guard missing.isEmpty else {
            throw CommandProblem(
                .failed, "a cluster cannot be started",
                because: "\(missing.joined(separator: ", ")) missing in \(directory)",
                try: "install all of proffer's programs into one directory, or build them all "
                    + "with 'swift build'")
        }
        return directory
    }
}

/// Text filled up with blanks to a width; longer text stays as it is.
func padded(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
}
