import ProfferAgent
import ProfferKernel
import ProfferModel
import Testing

@Suite("Secrets of tasks and launches that take too long")
struct SecretTests {
    private static let reference = SecretReference(name: "db")

    private static func launch(_ id: TaskID, timeout: Duration? = nil) -> MasterToAgent {
        var info = task(id)
        info.command?.environment = [
            EnvironmentVariable(name: "DB", value: "", secret: .reference(reference))
        ]
        info.launchTimeout = timeout
        return .run(RunTask(framework: framework(), tasks: [info], role: "eng"))
    }

    private static func searches(_ bench: AgentBench) -> [(SecretTicket, SecretRequest)] {
        bench.effects.compactMap { effect in
            if case .findSecrets(let ticket, let request) = effect {
                (ticket, request)
            } else {
                nil
            }
        }
    }

    private static func handOvers(_ bench: AgentBench) -> [SecretTicket] {
        bench.effects.compactMap { effect in
            if case .handOver(let ticket, _, _) = effect { ticket } else { nil }
        }
    }

    private static func drops(_ bench: AgentBench) -> [SecretTicket] {
        bench.effects.compactMap { effect in
            if case .dropSecrets(let ticket) = effect { ticket } else { nil }
        }
    }

    /// An agent that looks for the secret of a task.
    private static func searching(
        timeout: Duration? = nil
    ) throws -> (bench: AgentBench, ticket: SecretTicket) {
        var bench = AgentBench()
        bench.join()
        bench.fromMaster(launch("t", timeout: timeout))
        bench.bringUp(PeerID(5))
        let (ticket, request) = try #require(searches(bench).first)
        #expect(request.references == [reference])
        #expect(request.role == "eng")
        #expect(request.framework == "f1")
        #expect(request.tasks == ["t"])
        #expect(bench.launched.isEmpty)
        return (bench, ticket)
    }

    @Test("a task is launched when its secrets are there, with their ticket")
    func found() throws {
        var (bench, ticket) = try Self.searching()
        bench.give(.secretsFound(ticket))
        #expect(bench.launched == ["t"])
        #expect(Self.handOvers(bench) == [ticket])
        bench.say(.update(update("t", .running, 1)), from: PeerID(5))
        #expect(bench.updates.map(\.state) == [.running])
    }

    @Test("a task whose secrets cannot be had has failed, and why")
    func missing() throws {
        var (bench, ticket) = try Self.searching()
        bench.give(.secretsMissing(ticket, message: "there is no secret 'db'"))
        #expect(bench.updates.map(\.state) == [.failed])
        #expect(bench.updates.first?.message == "there is no secret 'db'")
        #expect(bench.updates.first?.reason == .containerLaunchFailed)
        #expect(bench.launched.isEmpty)
    }

    @Test("a task that is killed while its secrets are looked up is never launched")
    func killed() throws {
        var (bench, ticket) = try Self.searching()
        bench.fromMaster(.kill(TaskKey("f1", "t"), policy: nil))
        #expect(bench.updates.map(\.state) == [.killed])
        #expect(Self.drops(bench) == [ticket])
        bench.give(.secretsFound(ticket))
        #expect(bench.launched.isEmpty)
        #expect(Self.drops(bench) == [ticket])
    }

    @Test("secrets are looked up again when the executor was away meanwhile")
    func away() throws {
        var (bench, ticket) = try Self.searching()
        bench.give(.executorClosed(PeerID(5)))
        bench.give(.secretsFound(ticket))
        #expect(bench.launched.isEmpty)
        #expect(Self.drops(bench) == [ticket])
        bench.subscribe(PeerID(6), try #require(bench.launches.last))
        let (second, _) = try #require(Self.searches(bench).first)
        #expect(second != ticket)
        bench.give(.secretsFound(second))
        #expect(bench.launched == ["t"])
    }

    @Test("tasks that wait for secrets end with their executor")
    func executorEnds() throws {
        var (bench, ticket) = try Self.searching()
        let container = try #require(bench.launches.last).containerID
        bench.give(.executorExited(container, status: 9))
        #expect(Self.drops(bench) == [ticket])
        bench.give(.executorClosed(PeerID(5)))
        #expect(bench.updates.map(\.state) == [.failed])
    }

    @Test("the secrets of a group are looked up once, and it is launched as one")
    func group() throws {
        var bench = AgentBench()
        bench.join()
        let infos = (["a", "b"] as [TaskID]).map { id in
            var info = task(id)
            info.container = ContainerInfo(volumes: [
                Volume(containerPath: "key", secret: .reference(Self.reference))
            ])
            return info
        }
        bench.fromMaster(
            .run(RunTask(framework: framework(), tasks: infos, isGroup: true, role: "*")))
        bench.bringUp(PeerID(5))
        let found = Self.searches(bench)
        #expect(found.map(\.1.references) == [[Self.reference]])
        bench.give(.secretsFound(try #require(found.first).0))
        #expect(bench.launched == ["a", "b"])
        #expect(bench.toExecutors.count == 1)
    }

    @Test("an executor whose environment names secrets is started with the wish for them")
    func executor() throws {
        var bench = AgentBench()
        bench.join()
        let command = CommandInfo(
            value: "run",
            environment: [
                EnvironmentVariable(name: "DB", value: "", secret: .reference(Self.reference))
            ])
        bench.fromMaster(run("t", executor: ExecutorInfo(id: "e", command: command)))
        #expect(bench.launches.first?.secrets?.references == [Self.reference])
    }

    // MARK: Launches that take too long

    private static let limited = AgentConfiguration(
        workDirectory: "/data", launchTimeout: .seconds(20))

    @Test("a task that does not run in time is killed, and has failed when it is gone")
    func late() {
        var bench = AgentBench(Self.limited)
        bench.join()
        bench.fromMaster(run("t"))
        bench.bringUp(PeerID(5))
        bench.say(.update(update("t", .starting, 1)), from: PeerID(5))
        bench.passPinged(21)
        #expect(
            bench.toExecutors.contains(.kill("t", policy: KillPolicy(gracePeriod: .zero))))
        #expect(bench.updates.allSatisfy { $0.state == .starting })
        bench.say(.update(update("t", .killed, 2)), from: PeerID(5))
        let last = bench.newest("t")
        #expect(last?.state == .failed)
        #expect(last?.reason == .containerLaunchFailed)
        #expect(last?.message?.contains("did not run within 20.0 seconds") == true)
        #expect(last?.uuid == uuid(2))
    }

    @Test("a task that runs in time is left alone")
    func inTime() {
        var bench = AgentBench(Self.limited)
        bench.join()
        bench.fromMaster(run("t"))
        bench.bringUp(PeerID(5))
        bench.say(.update(update("t", .running, 1)), from: PeerID(5))
        bench.passPinged(60)
        #expect(bench.toExecutors.isEmpty)
    }

    @Test("a task's own limit counts instead of the agent's, shorter or longer")
    func ownLimit() {
        for (own, isLate) in [(Duration.seconds(5), true), (.seconds(500), false)] {
            var bench = AgentBench(Self.limited)
            bench.join()
            var info = task("t")
            info.launchTimeout = own
            bench.fromMaster(.run(RunTask(framework: framework(), tasks: [info], role: "*")))
            bench.bringUp(PeerID(5))
            bench.passPinged(30)
            #expect(!bench.toExecutors.isEmpty == isLate)
        }
    }

    @Test("a task whose secrets are not found in time has failed")
    func lateSecrets() throws {
        var (bench, ticket) = try Self.searching(timeout: .seconds(8))
        bench.passPinged(9)
        #expect(bench.updates.map(\.state) == [.failed])
        #expect(bench.updates.first?.message?.hasSuffix("its secrets were not found") == true)
        #expect(Self.drops(bench) == [ticket])
    }

    @Test("the time counts anew after a restart of the agent")
    func restart() throws {
        var bench = AgentBench(Self.limited)
        bench.join()
        bench.fromMaster(run("t"))
        bench.bringUp(PeerID(5))
        bench.passPinged(15)
        let launch = try #require(bench.launches.last)
        var next = bench.restarted(living: [launch.containerID], configuration: Self.limited)
        next.join()
        next.subscribe(PeerID(6), launch, tasks: [task("t")])
        next.passPinged(15)
        #expect(next.toExecutors.isEmpty)
        next.passPinged(10)
        #expect(next.toExecutors.contains(.kill("t", policy: KillPolicy(gracePeriod: .zero))))
    }
}

extension AgentBench {
    /// The newest update about a task that is durable.
    func newest(_ id: TaskID) -> TaskStatus? {
        disk.compactMap { record in
            if case .update(let key, _, let status?) = record, key.task == id {
                status
            } else {
                nil
            }
        }.last
    }
}
