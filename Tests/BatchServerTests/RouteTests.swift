import BatchPolicy
import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Proffer
@_spi(Driver) import ProfferKernel
import Synchronization
import Testing

@testable import batch_scheduler

/// A scheduler without a master behind the routes.
private final class Desk: Sendable {
    private let scheduler = Mutex(
        BatchScheduler(
            options: BatchOptions(
                clock: WallClock(.zero, is: WallTime(nanosecondsSince1970: 0)))))

    func ask(_ command: (Ticket) -> BatchCommand) -> BatchAnswer {
        scheduler.withLock { scheduler in
            var outbox = Outbox<FrameworkAction<BatchOutput>>()
            scheduler.handle(.command(command(Ticket(1))), at: .zero, into: &outbox)
            for case .output(.answer(_, let answer)) in outbox.takeAll() { return answer }
            return .refused(.stopping)
        }
    }

    func application() -> some ApplicationProtocol {
        let routes = Routes(
            ask: { self.ask($0) }, files: AgentFiles(),
            outputs: OutputFolder(path: "/nonexistent"))
        return Application(router: routes.router())
    }
}

@Suite("Routes")
struct RouteTests {
    private func text(_ response: TestResponse) -> String { String(buffer: response.body) }

    @Test("a job is accepted as YAML and as JSON and answered as an object")
    func submit() async throws {
        try await Desk().application().test(.router) { client in
            for body in [
                "name: j\ntasks:\n- {name: t, command: x, array: {count: 3}}\n",
                #"{"name": "j", "tasks": [{"name": "t", "command": "x"}]}"#,
            ] {
                let response = try await client.executeRequest(
                    uri: "/v1/jobs", method: .post, headers: [:], body: .init(string: body))
                #expect(response.status == .created)
                let object = try JSON.decode(JobObject.self, from: Data(text(response).utf8))
                #expect(object.state == "QUEUED")
                #expect(object.tasks?.first?.cpus == "0.1")
                #expect(object.created == "1970-01-01T00:00:00.000Z")
            }
            let list = try await client.executeRequest(
                uri: "/v1/jobs?limit=1", method: .get, headers: [:], body: nil)
            #expect(text(list).contains(#""id":"j-2""#))
            #expect(text(list).contains(#""next":"2""#))
        }
    }

    @Test("a file that is not valid is refused with all its problems")
    func invalid() async throws {
        try await Desk().application().test(.router) { client in
            let response = try await client.executeRequest(
                uri: "/v1/jobs", method: .post, headers: [:],
                body: .init(string: "name: j\ntask: []\n"))
            #expect(response.status == .badRequest)
            let problem = try JSON.decode(ProblemObject.self, from: Data(text(response).utf8))
            #expect(problem.errors?.count == 2)
            #expect(problem.errors?.last?.advice == "perhaps 'tasks' was meant")
        }
    }

    @Test("instances are listed in pages")
    func instances() async throws {
        try await Desk().application().test(.router) { client in
            _ = try await client.executeRequest(
                uri: "/v1/jobs", method: .post, headers: [:],
                body: .init(
                    string: "name: j\ntasks:\n- {name: t, command: x, array: {count: 3}}\n"))
            let first = try await client.executeRequest(
                uri: "/v1/jobs/j/tasks?limit=2", method: .get, headers: [:], body: nil)
            #expect(text(first).contains(#""next":"2""#))
            let second = try await client.executeRequest(
                uri: "/v1/jobs/j/tasks?limit=2&after=2", method: .get, headers: [:], body: nil)
            let list = try JSON.decode(
                ListObject<InstanceObject>.self, from: Data(text(second).utf8))
            #expect(list.items.map(\.index) == [2])
            #expect(list.next == nil)
        }
    }

    @Test(
        "what does not exist or makes no sense has a status and advice",
        arguments: [
            ("/v1/jobs/none", 404), ("/v1/jobs/none/tasks", 404), ("/v1/jobs/none/logs", 404),
            ("/v1/jobs/none/outputs", 404), ("/v1/jobs?limit=x", 400),
            ("/v1/jobs?state=odd", 400), ("/v1/jobs?limit=-1", 400), ("/v2", 404),
        ])
    func refusals(_ path: String, _ status: Int) async throws {
        try await Desk().application().test(.router) { client in
            let response = try await client.executeRequest(
                uri: path, method: .get, headers: [:], body: nil)
            #expect(response.status.code == status)
        }
    }

    @Test("a job is cancelled by DELETE, and a web page can neither submit nor cancel")
    func cancel() async throws {
        try await Desk().application().test(.router) { client in
            let body = ByteBuffer(string: "name: j\ntasks:\n- {name: t, command: x}\n")
            let origin = try #require(HTTPField.Name("Origin"))
            let foreign = try await client.executeRequest(
                uri: "/v1/jobs", method: .post, headers: [origin: "http://evil"], body: body)
            #expect(foreign.status == .forbidden)
            _ = try await client.executeRequest(
                uri: "/v1/jobs", method: .post, headers: [:], body: body)
            let logs = try await client.executeRequest(
                uri: "/v1/jobs/j-1/logs", method: .get, headers: [:], body: nil)
            #expect(logs.status == .notFound)
            let response = try await client.executeRequest(
                uri: "/v1/jobs/j-1", method: .delete, headers: [:], body: nil)
            #expect(text(response).contains(#""state":"CANCELLED""#))
            #expect(text(response).contains(#""exit_code":40"#))
            let ping = try await client.executeRequest(
                uri: "/ping", method: .get, headers: [:], body: nil)
            #expect(ping.status == .ok)
        }
    }
}
