import ProfferAgent
import ProfferKernel
import ProfferModel
import Testing

@Suite("Updates")
struct UpdateTests {
    let key = TaskKey("f1", "t1")
    let executor = PeerID(5)

    private func running(window: Int = 1, _ configuration: AgentConfiguration? = nil) -> AgentBench
    {
        var bench = AgentBench(configuration ?? AgentBench.configuration)
        bench.join()
        bench.fromMaster(run("t1", window: window))
        bench.bringUp(executor)
        return bench
    }

    @Test("an update is durable before it is acknowledged and forwarded")
    func durability() throws {
        var bench = running()
        bench.say(.update(update("t1", .running, 1)), from: executor)
        guard case .commit(let records) = try #require(bench.effects.first) else {
            Issue.record("no commit first")
            return
        }
        #expect(records.count == 1)
        #expect(bench.toExecutors == [.acknowledged("t1", uuid: uuid(1))])
        #expect(bench.updates.map(\.uuid) == [uuid(1)])
        #expect(bench.updates.first?.agentID == AgentBench.agentID)
    }

    @Test("scenario 10: the head is repeated after 10, 30, 70 s with its uuid; the next one waits")
    func stopAndWait() {
        var bench = running()
        bench.say(.update(update("t1", .starting, 1)), from: executor)
        bench.say(.update(update("t1", .running, 2)), from: executor)
        #expect(bench.updates.isEmpty)
        var times: [Int64] = []
        for second in Int64(1)...150 {
            bench.ping()
            bench.pass(.seconds(1))
            if bench.updates.map(\.uuid) == [uuid(1)] { times.append(second) }
            #expect(!bench.updates.contains { $0.uuid == uuid(2) })
        }
        #expect(times == [10, 30, 70, 150])
        bench.fromMaster(.acknowledge(key, uuid: uuid(2)))
        #expect(bench.toMaster.isEmpty)
        bench.fromMaster(.acknowledge(key, uuid: uuid(1)))
        #expect(bench.updates.map(\.uuid) == [uuid(2)])
    }

    @Test("when a framework has subscribed anew everything under way is sent again, in order")
    func newSession() {
        var bench = running(window: 8)
        bench.say(.update(update("t1", .starting, 1)), from: executor)
        bench.say(.update(update("t1", .running, 2)), from: executor)
        bench.fromMaster(.updateFramework(framework()))
        #expect(bench.updates.map(\.uuid) == [uuid(1), uuid(2)])
    }

    @Test("the gap between repetitions grows to ten minutes and no further")
    func retryLimit() {
        var bench = running()
        bench.say(.update(update("t1", .running, 1)), from: executor)
        var times: [Int64] = []
        for second in Int64(1)...4000 {
            bench.ping()
            bench.pass(.seconds(1))
            if !bench.updates.isEmpty { times.append(second) }
        }
        let gaps = zip(times.dropFirst(), times).map { $0 - $1 }
        #expect(gaps.max() == 600)
    }

    @Test("scenario 12: a repeated older update carries the newest state")
    func latestState() {
        var bench = running()
        bench.say(.update(update("t1", .running, 1)), from: executor)
        #expect(bench.positions == [UpdatePosition(latestState: .running, latestUUID: uuid(1))])
        bench.say(.update(update("t1", .finished, 2)), from: executor)
        bench.pass(.seconds(10))
        #expect(bench.updates.map(\.uuid) == [uuid(1)])
        #expect(bench.positions == [UpdatePosition(latestState: .finished, latestUUID: uuid(2))])
    }

    @Test("a window sends that many in order, and an acknowledgement covers all before it")
    func window() {
        var bench = running(window: 3)
        for number in UInt64(1)...5 {
            bench.say(.update(update("t1", .running, number)), from: executor)
            #expect(bench.updates.map(\.uuid) == (number <= 3 ? [uuid(number)] : []))
        }
        bench.fromMaster(.acknowledge(key, uuid: uuid(2)))
        #expect(bench.updates.map(\.uuid) == [uuid(4), uuid(5)])
        bench.fromMaster(.acknowledge(key, uuid: uuid(1)))
        #expect(bench.toMaster.isEmpty)
        bench.pass(.seconds(10))
        #expect(bench.updates.map(\.uuid) == [uuid(3), uuid(4), uuid(5)])
    }

    @Test("the same update again is acknowledged to the executor and not forwarded")
    func duplicates() {
        var bench = running()
        bench.say(.update(update("t1", .running, 1)), from: executor)
        bench.say(.update(update("t1", .running, 1)), from: executor)
        #expect(bench.toExecutors == [.acknowledged("t1", uuid: uuid(1))])
        #expect(bench.toMaster.isEmpty)
        bench.fromMaster(.acknowledge(key, uuid: uuid(1)))
        bench.say(.update(update("t1", .running, 1)), from: executor)
        #expect(bench.toMaster.isEmpty)
    }

    @Test("nothing follows a terminal state")
    func terminal() {
        var bench = running(window: 4)
        bench.say(.update(update("t1", .finished, 1)), from: executor)
        bench.say(.update(update("t1", .running, 2)), from: executor)
        bench.say(.update(update("t1", .failed, 3)), from: executor)
        #expect(bench.toMaster.isEmpty)
        #expect(bench.toExecutors == [.acknowledged("t1", uuid: uuid(3))])
    }

    @Test("the acknowledged terminal update takes every record with it")
    func forgetting() {
        var bench = running()
        bench.say(.update(update("t1", .running, 1)), from: executor)
        bench.say(.update(update("t1", .finished, 2)), from: executor)
        bench.fromMaster(.acknowledge(key, uuid: uuid(1)))
        bench.fromMaster(.acknowledge(key, uuid: uuid(2)))
        #expect(
            !bench.records.contains { record in
                switch record {
                case .task, .update: true
                case .identity, .framework, .executor: false
                }
            })
        bench.say(.update(update("t1", .finished, 2)), from: executor)
        #expect(bench.toMaster.isEmpty)
        #expect(bench.toExecutors == [.acknowledged("t1", uuid: uuid(2))])
    }

    @Test("an executor that reports STAGING is shut down")
    func staging() {
        var bench = running()
        bench.say(.update(update("t1", .staging, 1)), from: executor)
        #expect(bench.toExecutors.contains(.shutdown))
        #expect(bench.toMaster.isEmpty)
    }

    @Test("an executor cannot speak for a task of another")
    func foreignTask() {
        var bench = running()
        let other = ExecutorInfo(id: "x", command: CommandInfo(value: "run"))
        bench.fromMaster(run("t2", executor: other))
        bench.bringUp(PeerID(6))
        bench.say(.update(update("t1", .finished, 1)), from: PeerID(6))
        #expect(bench.toMaster.isEmpty)
    }

    @Test("without a master updates are kept, and sent when it has taken the agent back")
    func pause() {
        var bench = running(window: 2)
        bench.give(.masterClosed(AgentBench.master, reason: "gone"))
        bench.say(.update(update("t1", .starting, 1)), from: executor)
        bench.say(.update(update("t1", .running, 2)), from: executor)
        bench.pass(.seconds(100))
        #expect(bench.toMaster.isEmpty)
        bench.give(.masterOpened(PeerID(2)))
        #expect(bench.updates.isEmpty)
        bench.give(
            .master(
                .reregistered(AgentBench.agentID, pingTimeout: .seconds(75), reconcile: []),
                from: PeerID(2)))
        #expect(bench.updates.map(\.uuid) == [uuid(1), uuid(2)])
    }

    @Test("a queue of updates is bounded; the last word always has a place")
    func bound() {
        var configuration = AgentBench.configuration
        configuration.updateLimit = 4
        var bench = running(configuration)
        for number in UInt64(1)...100 {
            bench.say(.update(update("t1", .running, number)), from: executor)
        }
        bench.say(.update(update("t1", .finished, 101)), from: executor)
        let kept = bench.records.compactMap { record -> UpdateID? in
            if case .update(_, _, let status) = record { status?.uuid } else { nil }
        }
        #expect(kept == [uuid(1), uuid(2), uuid(3), uuid(100), uuid(101)])
    }

    @Test("an update without a uuid is refused")
    func missingUUID() {
        var bench = running()
        bench.say(.update(TaskStatus(taskID: "t1", state: .running)), from: executor)
        #expect(bench.toMaster.isEmpty)
        #expect(bench.toExecutors == [.error("an update needs a uuid")])
    }
}
