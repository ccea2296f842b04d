import AsyncHTTPClient
import ClusterProbe
import Foundation
import NIOCore
import NIOHTTP1
import Proffer
import ProfferZeroMQ
import Testing

@Suite(
    "Several masters", .serialized, .timeLimit(.minutes(10)),
    .enabled(if: EtcdCluster.program != nil, "etcd is not installed: apt install etcd-server"))
struct HighAvailabilityTests {
    @Test("kill -9 of the leader: another serves offers, and the running task is not touched")
    func leaderCrash() async throws {
        try await withMasters { cluster in
            _ = try await cluster.startAgent()
            let probe = try cluster.probe()
            let id = try await probe.subscribed()
            let before = try await probe.run("t", "exec sleep 600")
            let task = try ProcessIdentity(try #require(before.containerStatus?.pid))
            let first = try await cluster.leader()
            try await cluster.program(first.index).crash()
            let second = try await cluster.leader()
            #expect(second.index != first.index)
            #expect(second.epoch == first.epoch + 1)
            #expect(try await probe.subscribed(2) == id)
            // What the task does not hold is offered by the new leader.
            let offer = try await probe.offer("an offer of the new leader") {
                $0.resources.cpus > Milli(1)
            }
            probe.launch([TaskInfo("u", "exec sleep 600", on: offer)], on: offer)
            try await probe.update("u", .running)
            #expect(try ProcessIdentity(task.pid) == task)
            probe.call(.reconcile([ReconcileTask(taskID: "t")]))
            try await probe.update("t", .running) { $0.reason == .reconciliation }
            // The one that was killed comes back and follows.
            try await cluster.startMaster(first.index)
            try await eventually("the first master to follow") {
                try await cluster.standing(first.index)?.leader == cluster.http(second.index)
            }
            #expect(try await cluster.leader().index == second.index)
            await probe.stop(teardown: true)
        }
    }

    @Test("a leader that was paused beyond its lease writes nothing when it goes on, and follows")
    func pausedLeader() async throws {
        try await withMasters(2) { cluster in
            _ = try await cluster.startAgent()
            let probe = try cluster.probe()
            let before = try await probe.run("t", "exec sleep 600")
            let task = try ProcessIdentity(try #require(before.containerStatus?.pid))
            let first = try await cluster.leader()
            try cluster.program(first.index).signal(SIGSTOP)
            let second = try await cluster.leader(among: [1 - first.index])
            #expect(second.epoch == first.epoch + 1)
            // Somebody waits for the paused one to act: an order lies in its socket.
            try cluster.program(first.index).signal(SIGCONT)
            try await eventually("the first master to follow") {
                try await cluster.standing(first.index)?.leader == cluster.http(second.index)
            }
            let head = try await cluster.etcd.control([
                "get", "/proffer/head", "--print-value-only",
            ])
            #expect(head.contains("\"epoch\":\(second.epoch)"))
            // New frameworks, agents and tasks are the second one's.
            let offer = try await probe.offer("an offer of the new leader") { _ in true }
            probe.launch([TaskInfo("u", "exec sleep 600", on: offer)], on: offer)
            try await probe.update("u", .running)
            #expect(try ProcessIdentity(task.pid) == task)
            #expect(try await cluster.leader().epoch == second.epoch)
            await probe.stop(teardown: true)
        }
    }

    @Test("TERM of the leader hands over at once")
    func handOver() async throws {
        try await withMasters(2) { cluster in
            let first = try await cluster.leader()
            let program = try cluster.program(first.index)
            program.signal(SIGTERM)
            #expect(try await program.exitCode() == 0)
            let second = try await cluster.leader(among: [1 - first.index])
            #expect(second.epoch == first.epoch + 1)
        }
    }

    @Test("a master that has led refuses a registry that has less, after a restart too")
    func registryGoneBack() async throws {
        try await withMasters(1, agents: 0) { cluster in
            let first = try await cluster.leader()
            try await cluster.program(0).crash()
            try await cluster.startMaster(0, folder: "/other")
            let standing = try await eventually("a refusal of the empty registry") {
                let standing = try await cluster.standing(0)
                return standing?.problem == nil ? nil : standing
            }
            #expect(!standing.leads)
            #expect(standing.problem?.contains("has led in epoch \(first.epoch)") == true)
            try await cluster.program(0).crash()
            try await cluster.startMaster(0)
            #expect(try await cluster.leader().epoch > first.epoch)
        }
    }

    @Test("the death of etcd's leader and a second without a majority leave tasks alone")
    func etcdFaults() async throws {
        try await withMasters(2, etcd: 3) { cluster in
            _ = try await cluster.startAgent()
            let probe = try cluster.probe()
            let before = try await probe.run("t", "exec sleep 600")
            let task = try ProcessIdentity(try #require(before.containerStatus?.pid))
            let leader = try await cluster.etcd.leader()
            try await cluster.etcd.crash(leader)
            _ = try await cluster.leader()
            try cluster.etcd.start(leader)
            try await cluster.etcd.serves(leader)
            // The length of the pause is what is tested.
            cluster.etcd.pause([0, 1])
            try await Task.sleep(for: .seconds(1))
            cluster.etcd.resume([0, 1])
            _ = try await cluster.leader()
            #expect(try ProcessIdentity(task.pid) == task)
            try await probe.run("u", "exec sleep 600")
            #expect(try ProcessIdentity(task.pid) == task)
            await probe.stop(teardown: true)
        }
    }

    @Test("without a majority of etcd nobody leads and nothing is granted; with it all goes on")
    func quorumLoss() async throws {
        try await withMasters(2, etcd: 3) { cluster in
            _ = try await cluster.startAgent()
            let probe = try cluster.probe()
            let before = try await probe.run("t", "exec sleep 600")
            let task = try ProcessIdentity(try #require(before.containerStatus?.pid))
            _ = try await cluster.leader()
            cluster.etcd.pause([0, 1])
            try await eventually("nobody to lead") {
                for index in cluster.indices {
                    guard let standing = try await cluster.standing(index),
                        !standing.leads, standing.problem != nil
                    else { return false }
                }
                return true
            }
            let answer = try await get("\(cluster.http(0))/v1/agents")
            #expect(answer.status == 503)
            #expect(try ProcessIdentity(task.pid) == task)
            cluster.etcd.resume([0, 1])
            _ = try await cluster.leader()
            try await probe.run("u", "exec sleep 600")
            #expect(try ProcessIdentity(task.pid) == task)
            await probe.stop(teardown: true)
        }
    }

    @Test("a follower sends HTTP clients to the leader, and answers for its own health")
    func redirects() async throws {
        try await withMasters(2) { cluster in
            let leader = try await cluster.leader().index
            let follower = 1 - leader
            try await eventually("the other to follow") {
                try await cluster.standing(follower)?.leader == cluster.http(leader)
            }
            var configuration = HTTPClient.Configuration()
            configuration.redirectConfiguration = .disallow
            let client = HTTPClient(
                eventLoopGroupProvider: .singleton, configuration: configuration)
            do {
                let url = try cluster.http(follower)
                let response = try await client.execute(
                    HTTPClientRequest(url: url + "/v1/agents?limit=3"), timeout: .seconds(30))
                #expect(response.status.code == 307)
                #expect(
                    response.headers.first(name: "Location")
                        == (try cluster.http(leader)) + "/v1/agents?limit=3")
                for path in ["/health", "/metrics", "/v1/leader"] {
                    let own = try await client.execute(
                        HTTPClientRequest(url: url + path), timeout: .seconds(30))
                    #expect(own.status.code == 200)
                }
                let metrics = try await get(url + "/metrics").body
                #expect(metrics.contains("proffer_master_leads 0"))
            } catch {
                try await client.shutdown()
                throw error
            }
            try await client.shutdown()
        }
    }
}
