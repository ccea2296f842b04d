import ProfferAgent
import ProfferKernel
import ProfferModel
import Testing

@Suite("GPUs and custom executors of an agent")
struct DeviceTests {
    private static let configuration: AgentConfiguration = {
        var configuration = AgentBench.configuration
        configuration.gpus = ["GPU-a", "GPU-b", "GPU-c"]
        return configuration
    }()

    private func launch(
        _ id: TaskID, gpus: Int, executor: ExecutorInfo? = nil,
        environment: [EnvironmentVariable] = []
    ) -> MasterToAgent {
        var info = task(id)
        info.resources += Resource("gpus", .scalar(Milli(gpus)))
        info.executor = executor
        info.command = executor == nil ? CommandInfo(value: "true", environment: environment) : nil
        return .run(
            RunTask(
                framework: framework(), executor: executor, tasks: [info], isGroup: false,
                role: "*", updateWindow: 1))
    }

    /// What the executor was told of the GPUs of the task launched last.
    private func given(_ bench: AgentBench) -> [String: String] {
        var found: [String: String] = [:]
        for case .launch(let info, _, _) in bench.toExecutors {
            for variable in info.command?.environment ?? [] {
                found[variable.name] = variable.value
            }
            for label in info.labels { found[label.key] = label.value }
        }
        return found
    }

    private func ready() -> AgentBench {
        var bench = AgentBench(Self.configuration)
        bench.join()
        bench.fromMaster(launch("first", gpus: 0))
        bench.bringUp(PeerID(5))
        return bench
    }

    @Test("each task has whole GPUs of its own, and they are free again after its end")
    func assignment() {
        var bench = ready()
        bench.fromMaster(launch("t1", gpus: 2))
        #expect(given(bench)["PROFFER_GPUS"] == "GPU-a,GPU-b")
        #expect(given(bench)["NVIDIA_VISIBLE_DEVICES"] == "GPU-a,GPU-b")
        bench.fromMaster(launch("t2", gpus: 1))
        #expect(given(bench)["PROFFER_GPUS"] == "GPU-c")
        bench.say(.update(update("t1", .running, 1)), from: PeerID(5))
        bench.say(.update(update("t1", .finished, 2)), from: PeerID(5))
        bench.fromMaster(launch("t3", gpus: 1))
        #expect(given(bench)["PROFFER_GPUS"] == "GPU-a")
    }

    @Test("a task without GPUs is told of none, whatever its framework says")
    func forged() {
        var bench = ready()
        bench.fromMaster(
            launch(
                "t1", gpus: 0,
                environment: [
                    EnvironmentVariable(name: "PROFFER_GPUS", value: "GPU-a"),
                    EnvironmentVariable(name: "NVIDIA_VISIBLE_DEVICES", value: "all"),
                ]))
        #expect(given(bench)["PROFFER_GPUS"] == "")
        #expect(given(bench)["NVIDIA_VISIBLE_DEVICES"] == "void")
        bench.fromMaster(launch("t2", gpus: 3))
        #expect(given(bench)["PROFFER_GPUS"] == "GPU-a,GPU-b,GPU-c")
    }

    @Test("after a restart of the agent a task has the GPUs that it had, and the master its words")
    func restart() throws {
        var bench = ready()
        bench.fromMaster(launch("t1", gpus: 1))
        bench.say(.update(update("t1", .running, 1)), from: PeerID(5))
        let living = [bench.launches[0].containerID]
        var next = bench.restarted(living: living, configuration: Self.configuration)
        next.give(.masterOpened(AgentBench.master))
        guard case .reregister(let message, _, _)? = next.toMaster.first else {
            Issue.record("no re-registration")
            return
        }
        let reported = try #require(message.tasks.first { $0.info.id == "t1" })
        #expect(reported.info.command?.environment.isEmpty == true)
        next.fromMaster(
            .reregistered(AgentBench.agentID, pingTimeout: .seconds(75), reconcile: []))
        next.subscribe(PeerID(6), next.launches[0])
        next.fromMaster(launch("t2", gpus: 2))
        #expect(given(next)["PROFFER_GPUS"] == "GPU-b,GPU-c")
    }

    @Test("a task that wants more GPUs than are free is not taken on")
    func tooMany() {
        var bench = ready()
        bench.fromMaster(launch("t1", gpus: 2))
        bench.fromMaster(launch("t2", gpus: 2))
        #expect(given(bench).isEmpty)
        #expect(bench.updates.map(\.taskID) == ["t2"])
        #expect(bench.updates.allSatisfy { $0.state.isTerminal })
    }

    @Test("a node without GPUs changes nothing about its tasks")
    func none() {
        var bench = AgentBench()
        bench.join()
        bench.fromMaster(launch("first", gpus: 0))
        bench.bringUp(PeerID(5))
        let environment = [EnvironmentVariable(name: "NVIDIA_VISIBLE_DEVICES", value: "all")]
        bench.fromMaster(launch("t1", gpus: 0, environment: environment))
        #expect(given(bench) == ["NVIDIA_VISIBLE_DEVICES": "all"])
    }

    // MARK: Custom executors

    private static let custom = ExecutorInfo(
        id: "own", command: CommandInfo(value: "run"),
        resources: Resources(cpus: Milli(1), mem: Milli(64)))

    private func sizes(_ bench: AgentBench) -> [Resources] {
        bench.effects.compactMap {
            if case .resizeExecutor(let size) = $0 { size.resources } else { nil }
        }
    }

    @Test("a custom executor may have what it and its tasks have taken, and hears of tasks later")
    func size() throws {
        var bench = AgentBench()
        bench.join()
        bench.fromMaster(launch("t1", gpus: 0, executor: Self.custom))
        #expect(sizes(bench) == [Resources(cpus: Milli(2), mem: Milli(64))])
        bench.bringUp(PeerID(5))
        bench.fromMaster(launch("t2", gpus: 0, executor: Self.custom))
        #expect(sizes(bench) == [Resources(cpus: Milli(3), mem: Milli(64))])
        let places = bench.effects.indices.filter { index in
            switch bench.effects[index] {
            case .resizeExecutor, .tellExecutor(.launch, _): true
            default: false
            }
        }
        guard case .resizeExecutor = bench.effects[try #require(places.first)] else {
            Issue.record("the executor hears of the task before it may have its share")
            return
        }
        bench.say(.update(update("t1", .running, 1)), from: PeerID(5))
        bench.say(.update(update("t1", .finished, 2)), from: PeerID(5))
        #expect(sizes(bench) == [Resources(cpus: Milli(2), mem: Milli(64))])
    }

    @Test("after a restart of the agent the size is said again")
    func sizeAfterRestart() {
        var bench = AgentBench()
        bench.join()
        bench.fromMaster(launch("t1", gpus: 0, executor: Self.custom))
        bench.bringUp(PeerID(5))
        var next = bench.restarted(living: [bench.launches[0].containerID])
        next.give(.masterOpened(AgentBench.master))
        #expect(sizes(next) == [Resources(cpus: Milli(2), mem: Milli(64))])
    }

    @Test("the agent's own executor has no size: its tasks are limited one by one")
    func ownExecutor() {
        var bench = ready()
        bench.fromMaster(launch("t1", gpus: 0))
        #expect(sizes(bench).isEmpty)
    }
}
