import Foundation
import HTTPTypes
import ProfferAPI
import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferHTTP

@Suite("Reading of a master over HTTP")
struct MasterReadsTests {
    private static let time = WallTime(nanosecondsSince1970: 1_700_000_000_500_000_000)
    private static let some = Resources(cpus: Milli(thousandths: 1500), mem: Milli(64))

    private static func agent(_ id: AgentID) -> AgentSummary {
        AgentSummary(
            info: AgentInfo(
                hostname: "node", port: 5051, resources: some,
                attributes: [Attribute(name: "rack", value: .text("r1"))], id: id),
            state: .active, total: some, allocated: Resources(cpus: Milli(1)), version: "1.0",
            registeredAt: time, tasks: 2)
    }

    private func list(_ names: [AgentID]) -> FakeView {
        FakeView { _ in .agents(names.map(Self.agent)) }
    }

    @Test("every answer says that it is not to be kept and not to be guessed at")
    func headers() async throws {
        for uri in ["/health", "/v1/agents", "/v1/nothing"] {
            let reply = try await request(list([]), .get, uri)
            #expect(reply.headers[.xContentTypeOptions] == "nosniff")
            #expect(reply.headers[.cacheControl] == "no-store")
        }
    }

    @Test("health is ok")
    func health() async throws {
        let reply = try await request(FakeView(), .get, "/health")
        #expect(reply.status == 200)
        #expect(reply.body == "ok\n")
    }

    @Test("the summary counts agents and tasks by state")
    func summary() async throws {
        let view = FakeView { _ in
            .summary(
                ClusterSummary(
                    master: MasterInfo(
                        id: "m", hostname: "h", version: "1.0", clusterName: "home"),
                    startedAt: Self.time, agents: [.active, .unreachable, .active],
                    frameworksConnected: 1, frameworksDisconnected: 2, offersOutstanding: 3,
                    tasks: [.running, .staging, .running], total: Self.some))
        }
        let reply = try await request(view, .get, "/v1/summary")
        #expect(reply.status == 200)
        #expect(reply.headers[.contentType] == "application/json")
        let object = try reply.json()
        #expect(object["kind"] as? String == "cluster")
        #expect(object["id"] as? String == "m")
        #expect(object["name"] as? String == "home")
        #expect(object["created"] as? String == "2023-11-14T22:13:20.500Z")
        #expect(object["agents"] as? [String: Int] == ["active": 2, "unreachable": 1])
        #expect(object["tasks"] as? [String: Int] == ["TASK_RUNNING": 2, "TASK_STAGING": 1])
        #expect(object["frameworks_connected"] as? Int == 1)
        #expect(object["frameworks_disconnected"] as? Int == 2)
        #expect(object["offers"] as? Int == 3)
        #expect(object["total"] as? [String: String] == ["cpus": "1.5", "mem": "64"])
        #expect(view.asked == [.summary])
    }

    @Test("agents show what they have and what is held of it")
    func agents() async throws {
        let reply = try await request(list(["a"]), .get, "/v1/agents")
        let items = try #require(try reply.json()["items"] as? [[String: Any]])
        let agent = try #require(items.first)
        #expect(agent["id"] as? String == "a")
        #expect(agent["name"] as? String == "node")
        #expect(agent["state"] as? String == "active")
        #expect(agent["port"] as? Int == 5051)
        #expect(agent["total"] as? [String: String] == ["cpus": "1.5", "mem": "64"])
        #expect(agent["allocated"] as? [String: String] == ["cpus": "1"])
        #expect(agent["attributes"] as? [String: String] == ["rack": "r1"])
        #expect(agent["usage"] == nil)
    }

    @Test("frameworks, roles, offers and tasks are lists of objects that say their kind")
    func kinds() async throws {
        let framework = FrameworkSummary(
            info: FrameworkInfo(name: "web", id: "f", failoverTimeout: .seconds(90)),
            isConnected: false, isActive: false, isRemoved: false, shareMillionths: 250_000)
        let offer = Offer(
            id: "o", frameworkID: "f", agentID: "a", hostname: "node", resources: Self.some,
            role: "*")
        let task = TaskSummary(
            key: TaskKey("f", "t"), name: "task", role: "*", agentID: "a", state: .failed,
            lastStatus: TaskStatus(
                taskID: "t", state: .failed, message: "exit code 1", reason: .commandExecutorFailed)
        )
        let view = FakeView { call in
            switch call {
            case .frameworks: .frameworks([framework])
            case .roles:
                .roles([RoleSummary(name: "eng", weightThousandths: 2500, frameworks: ["f"])])
            case .offers: .offers([OfferSummary(offer: offer, age: .milliseconds(1500))])
            case .tasks: .tasks([task])
            default: .done
            }
        }
        func first(_ uri: String) async throws -> [String: Any] {
            let reply = try await request(view, .get, uri)
            let items = try #require(try reply.json()["items"] as? [[String: Any]])
            return try #require(items.first)
        }
        let frameworks = try await first("/v1/frameworks")
        #expect(frameworks["kind"] as? String == "framework")
        #expect(frameworks["state"] as? String == "disconnected")
        #expect(frameworks["failover_timeout"] as? Double == 90)
        #expect(frameworks["share"] as? Double == 0.25)
        let roles = try await first("/v1/roles")
        #expect(roles["kind"] as? String == "role")
        #expect(roles["weight"] as? Double == 2.5)
        let offers = try await first("/v1/offers")
        #expect(offers["kind"] as? String == "offer")
        #expect(offers["age"] as? Double == 1.5)
        #expect(offers["agent"] as? String == "a")
        let tasks = try await first("/v1/tasks")
        #expect(tasks["kind"] as? String == "task")
        #expect(tasks["framework"] as? String == "f")
        #expect(tasks["state"] as? String == "TASK_FAILED")
        #expect(tasks["message"] as? String == "exit code 1")
    }

    @Test("tasks can be those of one framework")
    func tasksOfFramework() async throws {
        let view = FakeView { _ in .tasks([]) }
        _ = try await request(view, .get, "/v1/tasks?framework=f-1")
        _ = try await request(view, .get, "/v1/tasks")
        #expect(view.asked == [.tasks("f-1"), .tasks(nil)])
    }

    @Test("a list goes page by page, in the order of the ids, and the last page has no next")
    func pages() async throws {
        let view = list(["d", "a", "c", "b", "e"])
        var seen: [[String]] = []
        var uri = "/v1/agents?limit=2"
        while seen.count < 10 {
            let reply = try await request(view, .get, uri)
            seen.append(try reply.items("id"))
            guard let next = try reply.json()["next"] as? String else { break }
            uri = "/v1/agents?limit=2&after=\(next)"
        }
        #expect(seen == [["a", "b"], ["c", "d"], ["e"]])
    }

    @Test(
        "limit and after choose a part",
        arguments: [
            ("", ["a", "b", "c"], nil), ("?limit=3", ["a", "b", "c"], nil),
            ("?limit=99", ["a", "b", "c"], nil), ("?after=a", ["b", "c"], nil),
            ("?after=aa&limit=1", ["b"], "b"), ("?after=c", [], nil),
        ] as [(String, [String], String?)])
    func parts(query: String, ids: [String], next: String?) async throws {
        let reply = try await request(list(["c", "a", "b"]), .get, "/v1/agents" + query)
        #expect(try reply.items("id") == ids)
        #expect(try reply.json()["next"] as? String == next)
    }

    @Test("tasks are paged by framework and id together")
    func taskPages() async throws {
        let keys = [TaskKey("f", "2"), TaskKey("e", "3"), TaskKey("f", "1")]
        let view = FakeView { _ in
            .tasks(keys.map { TaskSummary(key: $0, name: "t", role: "*", state: .running) })
        }
        let first = try await request(view, .get, "/v1/tasks?limit=2")
        #expect(try first.items("id") == ["3", "1"])
        #expect(try first.json()["next"] as? String == "f/1")
        let second = try await request(view, .get, "/v1/tasks?limit=2&after=f/1")
        #expect(try second.items("id") == ["2"])
    }

    @Test("a limit that is none is a bad request", arguments: ["0", "-1", "x", "", "1.5"])
    func badLimit(limit: String) async throws {
        let reply = try await request(list(["a"]), .get, "/v1/agents?limit=\(limit)")
        #expect(reply.status == 400)
        #expect(try reply.problem().title == "bad limit")
    }

    @Test("what is not there is a problem, not a page", arguments: ["/", "/v1", "/v1/nothing"])
    func notFound(uri: String) async throws {
        let reply = try await request(FakeView(), .get, uri)
        #expect(reply.status == 404)
        #expect(try reply.problem().detail.contains(uri))
    }

    @Test("a master that cannot answer is a problem with advice")
    func noAnswer() async throws {
        struct Stopped: Error {}
        let stopped = FakeView { _ in throw Stopped() }
        let confused = FakeView { _ in .done }
        for view in [stopped, confused] {
            let reply = try await request(view, .get, "/v1/agents")
            #expect(reply.status == 503)
            #expect(try reply.problem().advice?.isEmpty == false)
        }
    }

    @Test("events are server-sent events with a kind and a line of JSON")
    func events() async throws {
        let view = FakeView(events: [
            .agent("a", hostname: "node", .active),
            .task(TaskKey("f", "t"), name: "n", agent: "a", .failed, message: "two\nlines"),
            .offerEnded("o", .timedOut),
        ])
        let reply = try await request(view, .get, "/v1/events")
        #expect(reply.headers[.contentType] == "text/event-stream")
        let parts = reply.body.components(separatedBy: "\n\n")
        #expect(parts.first == ": connected")
        #expect(parts.last == "")
        let events = parts.dropFirst().dropLast().map { $0.components(separatedBy: "\n") }
        #expect(events.map(\.first) == ["event: agent", "event: task", "event: offer_end"])
        #expect(events.allSatisfy { $0.count == 2 })
        #expect(
            events[0][1]
                == #"data: {"id":"a","kind":"agent","name":"node","state":"active"}"#)
        let data = Data(events[1][1].dropFirst("data: ".count).utf8)
        let task = try APICoding.decode(EventObject.self, from: data)
        #expect(task.message == "two\nlines")
        #expect(task.state == "TASK_FAILED")
    }
}
