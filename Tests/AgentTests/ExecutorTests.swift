import ProfferAgent
import ProfferKernel
import ProfferModel
import Testing

@Suite("Executors of an agent")
struct AgentExecutorTests {
    let peer = PeerID(5)

    private func launched(_ configuration: AgentConfiguration? = nil) -> AgentBench {
        var bench = AgentBench(configuration ?? AgentBench.configuration)
        bench.join()
        bench.fromMaster(run("t1"))
        return bench
    }

    @Test("a wrong token is refused and its session closed")
    func wrongToken() throws {
        var bench = launched()
        var forged = try #require(bench.launches.first)
        forged.token = String(forged.token.reversed())
        bench.subscribe(peer, forged)
        #expect(bench.launched.isEmpty)
        #expect(bench.closed == [peer])
        forged.token = ""
        bench.subscribe(peer, forged)
        #expect(bench.closed == [peer])
    }

    @Test("tokens differ between executors and do not follow from what is visible")
    func tokens() {
        var bench = launched()
        bench.fromMaster(run("t1", in: framework("f2")))
        #expect(Set(bench.launches.map(\.token)).count == 2)
        #expect(bench.launches.allSatisfy { $0.token.utf8.count == 32 })
    }

    @Test("who has not subscribed is not heard")
    func subscribesFirst() throws {
        var bench = launched()
        bench.say(.update(update("t1", .running, 1)), from: peer)
        #expect(bench.toMaster.isEmpty)
        #expect(bench.toExecutors == [.error("an executor subscribes first")])
    }

    @Test("a newer session of an executor closes the older one")
    func newerSession() throws {
        var bench = launched()
        bench.bringUp(peer)
        bench.subscribe(PeerID(6), bench.launches[0], tasks: [task("t1")])
        #expect(bench.closed == [peer])
        bench.give(.executorClosed(peer))
        bench.say(.update(update("t1", .running, 1)), from: PeerID(6))
        #expect(bench.updates.count == 1)
    }

    @Test("an executor that does not subscribe in time is killed and its tasks FAILED")
    func registrationTimeout() {
        var bench = launched()
        let container = bench.launches[0].containerID
        bench.give(.executorStarted(container, pid: 100, startTicks: 5))
        bench.pass(.seconds(60))
        #expect(bench.kills == [container])
        #expect(bench.updates.isEmpty)
        bench.give(.executorExited(container, status: 9))
        #expect(bench.updates.map(\.state) == [.failed])
        #expect(bench.updates.map(\.reason) == [.executorRegistrationTimeout])
    }

    @Test("an executor that is to be killed before it has a process dies when it has one")
    func lateStart() {
        var bench = launched()
        bench.pass(.seconds(60))
        #expect(bench.kills.isEmpty)
        let container = bench.launches[0].containerID
        bench.give(.executorStarted(container, pid: 100, startTicks: 5))
        #expect(bench.kills == [container])
    }

    @Test("an executor that cannot be started fails its tasks")
    func launchFailure() {
        var bench = launched()
        bench.give(.executorLaunchFailed(bench.launches[0].containerID, message: "no such file"))
        #expect(bench.updates.map(\.state) == [.failed])
        #expect(bench.updates.map(\.reason) == [.containerLaunchFailed])
        #expect(bench.updates.first?.message?.contains("no such file") == true)
    }

    @Test("a dead executor's tasks are swept first and then FAILED, and the master is told")
    func death() throws {
        var bench = launched()
        bench.bringUp(peer)
        bench.say(.update(update("t1", .running, 1)), from: peer)
        bench.fromMaster(.acknowledge(TaskKey("f1", "t1"), uuid: uuid(1)))
        bench.give(.executorClosed(peer))
        let container = bench.launches[0].containerID
        bench.give(.executorExited(container, status: 9))
        let sweep = bench.effects.firstIndex {
            if case .sweepTasks(_, let sandboxes) = $0 {
                sandboxes == ["/data/sandboxes/f1/t1"]
            } else {
                false
            }
        }
        let news = bench.effects.firstIndex {
            if case .tellMaster(.update, _) = $0 { true } else { false }
        }
        #expect(try #require(sweep) < #require(news))
        #expect(bench.updates.map(\.reason) == [.executorTerminated])
        let key = ExecutorKey("f1", AgentBench.ownExecutor)
        #expect(bench.toMaster.contains(.executorExited(key, status: 9)))
    }

    @Test("what a dead executor's tasks hold is not free before their processes are gone")
    func sweeping() {
        var bench = launched()
        bench.isSwept = false
        bench.bringUp(peer)
        bench.say(.update(update("t1", .running, 1)), from: peer)
        bench.fromMaster(.acknowledge(TaskKey("f1", "t1"), uuid: uuid(1)))
        bench.give(.executorClosed(peer))
        let container = bench.launches[0].containerID
        bench.give(.executorExited(container, status: 9))
        #expect(bench.sweeps == [container])
        #expect(bench.updates.isEmpty)
        // Its words come too late, and what does not die is killed again.
        bench.subscribe(PeerID(7), bench.launches[0])
        #expect(bench.toExecutors == [.shutdown])
        bench.fromMaster(run("t2"))
        #expect(bench.launches.count == 1)
        bench.ping()
        bench.pass(.seconds(20))
        #expect(bench.sweeps.contains(container))
        #expect(bench.updates.isEmpty)

        bench.give(.tasksSwept("another"))
        #expect(bench.effects.isEmpty)
        bench.give(.tasksSwept(container))
        #expect(bench.updates.map(\.state) == [.failed])
        #expect(bench.launches.count == 2)
        bench.give(.tasksSwept(container))
        #expect(bench.effects.isEmpty)
    }

    @Test("an agent that restarts while a dead executor's tasks are swept has them swept again")
    func sweepingAnew() {
        var bench = launched()
        bench.isSwept = false
        bench.bringUp(peer)
        bench.say(.update(update("t1", .running, 1)), from: peer)
        bench.give(.executorClosed(peer))
        let container = bench.launches[0].containerID
        bench.give(.executorExited(container, status: 9))
        var again = AgentBench(replaying: bench.disk)
        again.isSwept = false
        again.give(.masterOpened(AgentBench.master))
        #expect(again.sweeps == [container])
        #expect(again.updates.allSatisfy { !$0.state.isTerminal })
        again.give(.tasksSwept(container))
        #expect(
            again.disk.contains { record in
                if case .update(_, _, let status?) = record {
                    status.state == .failed
                } else {
                    false
                }
            })
    }

    @Test("the last words of a dead executor still count")
    func lastWords() {
        var bench = launched()
        bench.bringUp(peer)
        bench.give(.executorExited(bench.launches[0].containerID, status: 0))
        #expect(bench.updates.isEmpty)
        bench.say(.update(update("t1", .finished, 1)), from: peer)
        #expect(bench.updates.map(\.state) == [.finished])
        bench.pass(.seconds(1))
        #expect(bench.updates.isEmpty)
        #expect(bench.toMaster.count == 1)
    }

    @Test("an idle executor of the agent is shut down after the idle time, not before")
    func idle() {
        var bench = launched()
        bench.bringUp(peer)
        bench.say(.update(update("t1", .finished, 1)), from: peer)
        bench.passPinged(200)
        bench.fromMaster(run("t2"))
        #expect(bench.launched == ["t2"])
        bench.passPinged(200)
        #expect(!bench.toExecutors.contains(.shutdown))
        bench.say(.update(update("t2", .finished, 2)), from: peer)
        bench.passPinged(299)
        #expect(!bench.toExecutors.contains(.shutdown))
        bench.pass(.seconds(1))
        #expect(bench.toExecutors.contains(.shutdown))
    }

    @Test("a task that arrives while the executor ends gets a successor")
    func successor() {
        var bench = launched()
        bench.bringUp(peer)
        bench.say(.update(update("t1", .finished, 1)), from: peer)
        bench.passPinged(300)
        bench.fromMaster(run("t2"))
        #expect(bench.launches.count == 1)
        #expect(bench.launched.isEmpty)
        bench.give(.executorExited(bench.launches[0].containerID, status: 0))
        #expect(bench.launches.count == 2)
        #expect(bench.updates.isEmpty)
        bench.bringUp(PeerID(6), pid: 101)
        #expect(bench.launched == ["t2"])
    }

    @Test("an executor that does not end after SHUTDOWN is killed, again and again")
    func stubborn() {
        var bench = launched()
        bench.bringUp(peer)
        bench.fromMaster(.shutdownExecutor(ExecutorKey("f1", AgentBench.ownExecutor)))
        #expect(bench.toExecutors == [.shutdown])
        bench.pass(.seconds(6))
        #expect(bench.kills.count == 1)
        bench.pass(.seconds(10))
        #expect(bench.kills.count == 2)
    }

    @Test("tasks that wait for an executor that is shut down are DROPPED")
    func dropped() {
        var bench = launched()
        bench.fromMaster(.shutdownExecutor(ExecutorKey("f1", AgentBench.ownExecutor)))
        #expect(bench.updates.map(\.state) == [.dropped])
        #expect(bench.updates.map(\.reason) == [.executorTerminated])
    }

    @Test("a framework that ends takes its executors with it, silently")
    func frameworkEnd() {
        var bench = launched()
        bench.bringUp(peer)
        bench.say(.update(update("t1", .running, 1)), from: peer)
        bench.fromMaster(.shutdownFramework("f1"))
        #expect(bench.toExecutors == [.shutdown])
        bench.say(.update(update("t1", .killed, 2)), from: peer)
        #expect(bench.toMaster.isEmpty)
        bench.give(.executorExited(bench.launches[0].containerID, status: 0))
        #expect(bench.toMaster.isEmpty)
        #expect(bench.records.count == 1)
    }

    @Test("messages pass in both directions")
    func messages() {
        var bench = launched()
        let key = ExecutorKey("f1", AgentBench.ownExecutor)
        bench.fromMaster(.message(key, data: [1]))
        #expect(bench.toExecutors.isEmpty)
        bench.bringUp(peer)
        bench.fromMaster(.message(key, data: [1]))
        #expect(bench.toExecutors == [.message([1])])
        bench.say(.message([2]), from: peer)
        #expect(bench.toMaster == [.message(key, data: [2])])
    }

    @Test("usage of live tasks is added to the node's; nobody speaks for another's task")
    func usage() {
        var bench = launched()
        bench.bringUp(peer)
        let own = TaskUsage(key: TaskKey("f1", "t1"), memoryBytes: 7)
        let foreign = TaskUsage(key: TaskKey("f2", "t1"), memoryBytes: 8)
        bench.say(.usage([own, foreign]), from: peer)
        bench.give(.usage(AgentUsage(memoryUsedBytes: 100)))
        #expect(bench.toMaster == [.usage(AgentUsage(memoryUsedBytes: 100, tasks: [own]))])
        bench.say(.update(update("t1", .finished, 1)), from: peer)
        bench.give(.usage(AgentUsage()))
        #expect(bench.toMaster == [.usage(AgentUsage())])
    }

    @Test("a custom executor whose tasks were all killed before it came is shut down")
    func useless() {
        var bench = AgentBench()
        bench.join()
        bench.fromMaster(
            run("t1", executor: ExecutorInfo(id: "x", command: CommandInfo(value: "run"))))
        bench.fromMaster(.kill(TaskKey("f1", "t1"), policy: nil))
        bench.bringUp(peer)
        #expect(bench.toExecutors.contains(.shutdown))
    }

    @Test("a process that nobody waits for is killed")
    func orphan() {
        var bench = launched()
        bench.give(.executorStarted("old", pid: 9, startTicks: 9))
        #expect(bench.kills == ["old"])
    }
}
