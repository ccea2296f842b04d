import ProfferAgent
import ProfferKernel
import ProfferModel
import Testing

@Suite("Registration")
struct RegistrationTests {
    @Test("an agent registers until it is answered, at growing random intervals")
    func backoff() {
        var bench = AgentBench()
        bench.give(.masterOpened(AgentBench.master))
        #expect(bench.toMaster.count == 1)
        var times: [Int64] = []
        for tick in Int64(1)...700 {
            bench.pass(.milliseconds(100))
            if !bench.toMaster.isEmpty { times.append(tick * 100) }
        }
        let gaps = zip(times.dropFirst(), times).map { $0 - $1 }
        #expect(times.first.map { (500...1100).contains($0) } == true)
        #expect(zip(gaps.dropFirst(2), gaps).allSatisfy { $0 > $1 })
        bench.fromMaster(.registered(AgentBench.agentID, pingTimeout: .seconds(75)))
        bench.pass(.seconds(70))
        #expect(bench.toMaster.isEmpty)
    }

    @Test("the id is durable before anything rests on it")
    func identity() {
        var bench = AgentBench()
        bench.join()
        #expect(bench.disk == [.identity(bench.identity, bootID: "b1")])
    }

    @Test("pings are answered; without one for the time-out the session is given up")
    func pings() {
        var bench = AgentBench()
        bench.join()
        bench.pass(.seconds(74))
        bench.fromMaster(.ping(number: 4, isConnected: true))
        #expect(bench.toMaster == [.pong(number: 4)])
        bench.pass(.seconds(74))
        #expect(bench.closed.isEmpty)
        bench.pass(.seconds(1))
        #expect(bench.closed == [AgentBench.master])
        bench.give(.masterOpened(PeerID(2)))
        #expect(bench.toMaster.count == 1)
    }

    @Test("a ping that calls the agent disconnected makes it join again")
    func disconnectedPing() {
        var bench = AgentBench()
        bench.join()
        bench.fromMaster(.ping(number: 1, isConnected: false))
        #expect(bench.toMaster.count == 2)
        guard case .reregister = bench.toMaster.last else {
            Issue.record("no re-registration")
            return
        }
    }

    @Test("on its return it tells which tasks belong together, and no bytes of their updates")
    func returnOfGroups() throws {
        var bench = AgentBench()
        bench.join()
        bench.fromMaster(run("a", "b", isGroup: true))
        bench.fromMaster(run("c"))
        bench.bringUp(PeerID(5))
        var status = update("c", .running, 1)
        status.data = [UInt8](repeating: 1, count: 1 << 20)
        bench.say(.update(status), from: PeerID(5))
        bench.fromMaster(.ping(number: 1, isConnected: false))
        guard case .reregister(let body, _, _) = bench.toMaster.last else {
            Issue.record("no re-registration")
            return
        }
        let known = body.tasks.sorted { $0.info.id < $1.info.id }
        #expect(known.map(\.grouping) == [.group("a"), .group("a"), .single])
        #expect(known.last?.lastForwarded?.state == .running)
        #expect(known.last?.lastForwarded?.data == nil)
    }

    @Test("a master that never answers is given up too")
    func silence() {
        var bench = AgentBench()
        bench.give(.masterOpened(AgentBench.master))
        bench.pass(.seconds(75))
        #expect(bench.closed == [AgentBench.master])
    }

    @Test("an older session's messages are not heard")
    func oldSession() {
        var bench = AgentBench()
        bench.join()
        bench.give(.masterOpened(PeerID(2)))
        bench.fromMaster(run("t1"))
        #expect(bench.launches.isEmpty)
    }

    @Test("a refused agent ends with the exit code that says so")
    func refusal() {
        var bench = AgentBench()
        bench.give(.masterOpened(AgentBench.master))
        bench.fromMaster(.refused("the agent is gone"))
        guard case .terminate(let reason, let code) = bench.effects.last else {
            Issue.record("no end")
            return
        }
        #expect(code == 104)
        #expect(reason.contains("the agent is gone"))
        #expect(bench.agent.nextDeadline == nil)
    }

    @Test("a stop leaves tasks alone; their records stay")
    func stop() {
        var bench = AgentBench()
        bench.join()
        bench.fromMaster(run("t1"))
        bench.bringUp(PeerID(5))
        bench.give(.stop(unregister: false))
        #expect(bench.toExecutors.isEmpty && bench.kills.isEmpty)
        guard case .terminate(_, 0) = bench.effects.last else {
            Issue.record("no end")
            return
        }
        #expect(bench.records.count == 4)
    }

    @Test("to unregister, the agent ends its executors, says goodbye and forgets its id")
    func unregister() {
        var bench = AgentBench()
        bench.join()
        bench.fromMaster(run("t1"))
        bench.bringUp(PeerID(5))
        bench.give(.stop(unregister: true))
        #expect(bench.toExecutors == [.shutdown])
        bench.fromMaster(run("t2"))
        #expect(bench.updates.map(\.state) == [.dropped])
        bench.give(.executorClosed(PeerID(5)))
        bench.give(.executorExited(bench.launches[0].containerID, status: 0))
        #expect(bench.toMaster.last == .unregister)
        #expect(bench.records == [.identity(AgentBench.info, bootID: "b1")])
    }

    @Test("a shutdown by the master ends everything, then the agent")
    func shutdown() {
        var bench = AgentBench()
        bench.join()
        bench.fromMaster(run("t1"))
        bench.bringUp(PeerID(5))
        bench.fromMaster(.shutdown("gone"))
        #expect(bench.toExecutors == [.shutdown])
        bench.pass(.seconds(6))
        #expect(bench.kills.count == 1)
        bench.give(.executorClosed(PeerID(5)))
        bench.give(.executorExited(bench.launches[0].containerID, status: 9))
        guard case .terminate = bench.effects.last else {
            Issue.record("no end")
            return
        }
    }

    @Test("a new description of a framework is kept")
    func frameworkUpdate() {
        var bench = AgentBench()
        bench.join()
        bench.fromMaster(run("t1"))
        var info = framework()
        info.name = "renamed"
        bench.fromMaster(.updateFramework(info))
        #expect(bench.records.contains(.framework("f1", info)))
    }

    @Test("an operator sees executors and tasks with their sandboxes")
    func summary() {
        var bench = AgentBench()
        bench.join()
        bench.fromMaster(run("t1"))
        bench.bringUp(PeerID(5))
        bench.give(.operation(.summary, QueryID(value: 3)))
        guard case .answer(.summary(let report), let query) = bench.effects.last else {
            Issue.record("no answer")
            return
        }
        #expect(query == QueryID(value: 3))
        #expect(report.isRegistered)
        #expect(report.tasks.map(\.sandbox) == ["/data/sandboxes/f1/t1"])
        #expect(report.executors.map(\.pid) == [100])
    }

    @Test("a wrong configuration is described whole")
    func configuration() {
        #expect(AgentBench.configuration.problems().isEmpty)
        var wrong = AgentConfiguration(workDirectory: "work")
        wrong.taskLimit = 0
        wrong.pingTimeout = .zero
        #expect(wrong.problems().count == 3)
    }
}
