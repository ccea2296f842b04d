import ProfferAgent
import ProfferKernel
import ProfferModel
import Testing

/// Says what the newest measurement carries as its load: so many thousandths of a core.
private struct LoadEstimator: ResourceEstimator {
    mutating func estimate(_ node: NodeUsage, at now: Instant) -> Resources {
        var resources = Resources(cpus: Milli(thousandths: node.usage.loadMillis))
        // Nothing of this can be given twice.
        resources += Resource("ports", .ranges(IntervalSet([1...2])))
        return resources
    }
}

/// Kills every task while the measurement says that all memory is in use.
private struct FullController: QoSController {
    mutating func corrections(_ node: NodeUsage, at now: Instant) -> [QoSCorrection] {
        guard node.usage.memoryUsedBytes == 1 else { return [] }
        return node.tasks.map { .kill($0.key, reason: "test") }
    }
}

@Suite("Oversubscription by an agent")
struct OversubscriptionTests {
    private let peer = PeerID(2)

    private static func revocable(_ millis: Int64) -> Resources {
        millis == 0
            ? Resources()
            : Resources([
                Resource("cpus", .scalar(Milli(thousandths: millis)), isRevocable: true)
            ])
    }

    private func bench() -> AgentBench {
        AgentBench(
            oversubscription: Oversubscription(
                estimator: LoadEstimator(), controller: FullController()))
    }

    private func told(_ bench: AgentBench) -> [Resources] {
        bench.toMaster.compactMap {
            if case .oversubscribed(let resources) = $0 { resources } else { nil }
        }
    }

    /// A task on revocable cores beside one that has all it holds for itself.
    private func launch(on bench: inout AgentBench) {
        var spare = task("spare")
        spare.resources = Self.revocable(500)
        bench.fromMaster(
            .run(
                RunTask(
                    framework: framework(), tasks: [task("own"), spare], role: "*")))
    }

    // MARK: What is offered

    @Test("unless it is asked for, nothing is offered beyond the resources")
    func off() {
        var bench = AgentBench()
        bench.join()
        #expect(told(bench).isEmpty)
        bench.give(.usage(AgentUsage(loadMillis: 4000)))
        #expect(told(bench).isEmpty)
    }

    @Test("a rise is told at most once in the interval, a fall at once, the same not again")
    func pace() {
        var bench = bench()
        bench.join()
        #expect(told(bench) == [Resources()])
        func measure(_ load: Int64) -> [Resources] {
            bench.give(.usage(AgentUsage(loadMillis: load)))
            return told(bench)
        }
        #expect(measure(1000) == [Self.revocable(1000)])
        #expect(measure(1000).isEmpty)
        bench.pass(.seconds(14))
        #expect(measure(2000).isEmpty)
        bench.pass(.seconds(1))
        #expect(measure(2000) == [Self.revocable(2000)])
        #expect(measure(500) == [Self.revocable(500)])
        #expect(measure(0) == [Resources()])
    }

    @Test("a master that takes the agent in is told what there is")
    func newMaster() {
        var bench = bench()
        bench.give(.usage(AgentUsage(loadMillis: 1000)))
        #expect(told(bench).isEmpty)
        bench.join()
        #expect(told(bench) == [Self.revocable(1000)])
        bench.give(.masterClosed(AgentBench.master, reason: "test"))
        bench.give(.masterOpened(AgentBench.master))
        bench.fromMaster(
            .reregistered(AgentBench.agentID, pingTimeout: .seconds(75), reconcile: []))
        #expect(told(bench) == [Self.revocable(1000)])
    }

    // MARK: What is taken back

    @Test("only tasks on revocable resources are killed, at once, and their end says why")
    func preemption() throws {
        var bench = bench()
        bench.join()
        launch(on: &bench)
        bench.bringUp(peer)
        for id in ["own", "spare"] as [TaskID] {
            bench.say(.update(update(id, .running, id == "own" ? 1 : 2)), from: peer)
        }
        bench.give(.usage(AgentUsage(loadMillis: 1000)))
        bench.give(.usage(AgentUsage(loadMillis: 1000, memoryUsedBytes: 1)))
        #expect(
            bench.toExecutors == [.kill("spare", policy: KillPolicy(gracePeriod: .zero))])
        // Under pressure no more is offered than is held.
        #expect(told(bench) == [Self.revocable(500)])
        bench.say(.update(update("spare", .killed, 3)), from: peer)
        let status = try #require(bench.disk.lastUpdate(of: "spare"))
        #expect(status.state == .gone)
        #expect(status.reason == .containerPreempted)
        #expect(status.message == "its revocable resources were taken back: test")
    }

    @Test("a revocable task that ends by itself meanwhile has ended by itself")
    func finished() throws {
        var bench = bench()
        bench.join()
        launch(on: &bench)
        bench.bringUp(peer)
        bench.say(.update(update("spare", .running, 1)), from: peer)
        bench.give(.usage(AgentUsage(memoryUsedBytes: 1)))
        bench.say(.update(update("spare", .finished, 2)), from: peer)
        #expect(bench.disk.lastUpdate(of: "spare")?.state == .finished)
    }

    @Test("a revocable task that waits for its executor is not launched any more")
    func queued() throws {
        var bench = bench()
        bench.join()
        var spare = task("spare")
        spare.resources = Self.revocable(500)
        bench.fromMaster(.run(RunTask(framework: framework(), tasks: [spare], role: "*")))
        bench.give(.usage(AgentUsage(memoryUsedBytes: 1)))
        let status = try #require(bench.disk.lastUpdate(of: "spare"))
        #expect(status.state == .gone)
        #expect(status.reason == .containerPreempted)
        bench.bringUp(peer)
        #expect(bench.launched.isEmpty)
    }

    // MARK: Rates

    @Test("cores in use are those since the report before, of the node and of each task")
    func rates() throws {
        var bench = AgentBench()
        bench.join()
        bench.fromMaster(run("t1"))
        bench.bringUp(peer)
        func measure(_ seconds: Int) throws -> AgentUsage {
            let own = TaskUsage(key: TaskKey("f1", "t1"), cpuTime: .seconds(seconds))
            bench.say(.usage([own]), from: peer)
            bench.give(.usage(AgentUsage(cpuTime: .seconds(3 * seconds))))
            guard case .usage(let usage)? = bench.toMaster.last else {
                throw AbsentError()
            }
            return usage
        }
        let first = try measure(10)
        #expect(first.cpus == nil && first.tasks.first?.cpus == nil)
        bench.pass(.seconds(2))
        let second = try measure(11)
        #expect(second.cpus == Milli(thousandths: 1500))
        #expect(second.tasks.first?.cpus == Milli(thousandths: 500))
        bench.pass(.seconds(2))
        // A counter that went back says nothing.
        let third = try measure(1)
        #expect(third.cpus == nil && third.tasks.first?.cpus == nil)
    }

    private struct AbsentError: Error {}
}

extension [AgentRecord] {
    fileprivate func lastUpdate(of id: TaskID) -> TaskStatus? {
        compactMap { record in
            if case .update(let key, _, let status?) = record, key.task == id {
                return status
            }
            return nil
        }.last
    }
}
