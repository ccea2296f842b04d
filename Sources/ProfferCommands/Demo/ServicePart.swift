internal import Foundation
internal import Glibc
internal import ProfferAPI

/// The demo's first half: a service that survives a kill, an upgrade and a change of size.
struct ServicePart: Sendable {
    let screen: DemoScreen
    let services: Services
    let master: Client
    /// The path of http-echo.
    let program: String

    private static let id = "/echo"
    private static let patience = Duration.seconds(30)

    private func app(version: String, constraint: [String], instances: Int) -> Services.App {
        Services.App(
            id: Self.id,
            cmd: shellCommand([program, "--version-text", version]),
            instances: instances, cpus: 0.1, mem: 32, constraints: [constraint],
            portDefinitions: [.init(name: "http")],
            healthChecks: [.init(path: "/health", intervalSeconds: 0.2)],
            // One may be missing, so that with one per rack there is a rack for the new one.
            upgradeStrategy: .init(minimumHealthCapacity: 0.5, maximumOverCapacity: 0))
    }

    /// Runs it all.
    ///
    /// - Returns: How many requests were sent during the upgrade.
    func run() async throws -> Int {
        try await screen.step("deploying") { progress in
            try await services.put(
                app(version: "v1", constraint: ["rack", "UNIQUE"], instances: 3))
            try await settle(progress, 3)
            return "3 instances of http-echo are healthy, one per rack: "
                + (try await places())
        }
        try await screen.step("killing", killOne)
        var sent = 0
        try await screen.step("upgrading") { progress in
            let result = try await upgrade(progress)
            sent = result.sent
            return "upgraded from v1 to v2 under load: \(grouped(result.sent)) requests, "
                + "\(result.failed) failed"
        }
        try await screen.step("scaling up") { progress in
            try await services.put(
                app(version: "v2", constraint: ["rack", "MAX_PER", "2"], instances: 5))
            try await settle(progress, 5)
            return "scaled to 5, now at most 2 per rack, as one per rack leaves room for 3 only: "
                + (try await places())
        }
        try await screen.step("scaling down") { progress in
            try await services.scale(Self.id, to: 3)
            try await settle(progress, 3)
            return "scaled back to 3"
        }
        return sent
    }

    private func killOne(_ progress: ProgressLine) async throws -> String {
        let before = try await services.instances(Self.id)
        guard let victim = before.first,
            let task = try await tasks(master, framework: nil).items.first(where: {
                $0.id == victim.id
            }), let pid = task.pid.flatMap(Int32.init(exactly:)), pid > 1
        else {
            throw failure("no process of the service can be killed", "no task tells its pid")
        }
        guard kill(pid, SIGKILL) == 0 else {
            throw failure("process \(pid) cannot be killed", String(cString: strerror(errno)))
        }
        var successor: Services.Instance?
        try await wait("a new task in the place of the killed one") {
            let now = try await services.instances(Self.id)
            let healthy = now.filter(\.isHealthy)
            progress.update("\(healthy.count) of 3 healthy")
            successor = now.first { new in !before.contains { $0.id == new.id } }
            return healthy.count == 3 && successor != nil && !now.contains { $0.id == victim.id }
        }
        return "killed process \(pid) on \(rack(victim.host)) with -9; the scheduler started "
            + "another task on \(rack(successor?.host ?? "")), 3 are healthy again"
    }

    private func upgrade(_ progress: ProgressLine) async throws -> RequestLoop.Result {
        let loop = RequestLoop()
        let load = Task { await loop.run(services, Self.id) }
        do {
            try await wait("answers of v1") { loop.result.streak >= 50 }
            try await services.put(
                app(version: "v2", constraint: ["rack", "UNIQUE"], instances: 3))
            try await wait("answers of v2 only") {
                let result = loop.result
                let text =
                    "\(result.answers["v1"] ?? 0) answers of v1, "
                    + "\(result.answers["v2"] ?? 0) of v2, \(result.failed) failed"
                progress.update(screen.terminal.isInteractive ? text : "upgrading under load")
                let state = try await services.state(Self.id)
                return state.isSettled && result.versions.last == "v2" && result.streak >= 100
            }
        } catch {
            load.cancel()
            await load.value
            throw error
        }
        load.cancel()
        await load.value
        let result = loop.result
        guard result.failed == 0 else {
            throw failure(
                "\(result.failed) of \(result.sent) requests failed in the upgrade",
                result.firstFailure ?? "")
        }
        guard result.versions.first == "v1", result.versions.last == "v2" else {
            throw failure(
                "the answers did not move from v1 to v2",
                result.versions.suffix(5).joined(separator: ", "))
        }
        return result
    }

    private func settle(_ progress: ProgressLine, _ instances: Int) async throws {
        try await wait("\(instances) healthy instances") {
            let state = try await services.state(Self.id)
            progress.update("\(state.ready) of \(instances) healthy")
            return state.isSettled && state.instances == instances
        }
    }

    private func wait(_ what: String, _ ask: () async throws -> Bool) async throws {
        let end = ContinuousClock.now + Self.patience
        while !(try await ask()) {
            guard ContinuousClock.now < end else {
                let state = try? await services.state(Self.id)
                let last = state?.lastTaskFailure?.message.map { "; last failure: \($0)" } ?? ""
                throw failure(
                    "waited \(brief(Self.patience)) for \(what)",
                    "\(state?.ready ?? 0) instances are healthy" + last)
            }
            try await Task.sleep(for: .milliseconds(25))
        }
    }

    /// Where the instances are: `r1 r1 r2`.
    private func places() async throws -> String {
        try await services.instances(Self.id).map { rack($0.host) }.sorted()
            .joined(separator: " ")
    }

    private func rack(_ host: String) -> String {
        "r" + (host.split(separator: ".").last.map(String.init) ?? "?")
    }

    private func failure(_ what: String, _ why: String) -> CommandProblem {
        CommandProblem(
            .failed, "demo: " + what, because: why,
            try: "run it again with --data-dir DIRECTORY, and look at DIRECTORY/logs")
    }
}
