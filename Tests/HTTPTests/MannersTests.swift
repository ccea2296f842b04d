import Foundation
import HTTPTypes
import ProfferAPI
import ProfferModel
import Testing

@testable import ProfferHTTP

@Suite("Manners of the HTTP servers")
struct MannersTests {
    private func agent() -> AgentServer {
        AgentServer(
            sandboxes: Sandboxes(root: NSTemporaryDirectory()) { _, _ in nil },
            metrics: PrometheusRegistry())
    }

    @Test(
        "a method that a path has not is answered with 405 and those that it has",
        arguments: [
            (HTTPRequest.Method.post, "/health", "GET, HEAD"),
            (.delete, "/v1/agents", "GET, HEAD"),
            (.put, "/v1/tasks", "GET, HEAD"),
            (.get, "/v1/roles/web/weight", "PUT"),
            (.get, "/v1/tasks/f/t", "DELETE"),
            (.head, "/v1/frameworks/f", "DELETE"),
            (.patch, "/v1/events", "GET, HEAD"),
        ])
    func wrongMethod(method: HTTPRequest.Method, uri: String, allowed: String) async throws {
        let reply = try await request(FakeView(), method, uri)
        #expect(reply.status == 405)
        #expect(reply.headers[.allow] == allowed)
        #expect(reply.headers[.xContentTypeOptions] == "nosniff")
    }

    @Test(
        "so it is at an agent",
        arguments: ["/health", "/metrics", "/v1/sandboxes/f/t", "/v1/sandboxes/f/t/a/b"])
    func wrongMethodAtAgent(uri: String) async throws {
        let reply = try await send(to: agent().router(), .post, uri)
        #expect(reply.status == 405)
        #expect(reply.headers[.allow] == "GET, HEAD")
    }

    @Test("what is nowhere is not found, whatever the method", arguments: ["GET", "POST", "HEAD"])
    func nowhere(method: String) async throws {
        let method = try #require(HTTPRequest.Method(method))
        #expect(try await request(FakeView(), method, "/v1/nothing").status == 404)
        #expect(try await send(to: agent().router(), method, "/v1/nothing").status == 404)
    }

    @Test("HEAD is GET without its body", arguments: ["/health", "/v1/agents"])
    func head(uri: String) async throws {
        let view = FakeView { _ in .agents([]) }
        let get = try await request(view, .get, uri)
        let head = try await request(view, .head, uri)
        #expect(head.status == 200)
        #expect(head.body == "")
        #expect(get.body != "")
        #expect(head.headers[.contentType] == get.headers[.contentType])
        #expect(try await send(to: agent().router(), .head, "/health").status == 200)
    }
}
