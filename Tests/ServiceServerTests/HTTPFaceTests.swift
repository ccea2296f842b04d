import HTTPTypes
import Hummingbird
import HummingbirdTesting
import ServicePolicy
import Testing

@testable import service_scheduler

@Suite("HTTP face")
struct HTTPFaceTests {
    private let stage: ServerStage

    init() throws { stage = try ServerStage() }

    private func ask(
        _ method: HTTPRequest.Method, _ uri: String, _ body: String? = nil,
        headers: HTTPFields = [:]
    ) async throws -> (status: Int, headers: HTTPFields, body: String) {
        try await stage.application.test(.router) { client in
            let response = try await client.execute(
                uri: uri, method: method, headers: headers,
                body: body.map { ByteBuffer(string: $0) })
            return (
                response.status.code, response.headers, String(buffer: response.body)
            )
        }
    }

    private static let web = #"{"id": "/web", "cmd": "serve", "labels": {"a b": "c&d"}}"#

    @Test("an app is created and shown as JSON")
    func create() async throws {
        let created = try await ask(.post, "/v2/apps", Self.web)
        #expect(created.status == 201)
        #expect(created.headers[.contentType] == "application/json")
        #expect(created.headers[.location] == "/v2/apps/web")
        let shown = try await ask(.get, "/v2/apps/web")
        #expect(shown.status == 200)
        #expect(shown.body.contains(#""labels":{"a b":"c&d"}"#))
        #expect(try stage.store.load().contains { $0.kind == "app" && $0.key == "/web" })
    }

    @Test("repeated slashes count as one")
    func slashes() async throws {
        _ = try await ask(.post, "//v2//apps/", Self.web)
        #expect(try await ask(.get, "/v2/apps//web").status == 200)
    }

    @Test("True is true, and queries are decoded")
    func query() async throws {
        _ = try await ask(.post, "/v2/apps", Self.web)
        #expect(try await ask(.put, "/v2/apps/web", #"{"mem": 64}"#).status == 409)
        #expect(try await ask(.put, "/v2/apps/web?force=True", #"{"mem": 64}"#).status == 200)
        let found = try await ask(.get, "/v2/apps?label=a%20b%3D%3Dc%26d")
        #expect(found.status == 200)
        #expect(found.body.contains("/web"))
    }

    @Test("refusals carry a message in JSON")
    func refusals() async throws {
        let missing = try await ask(.get, "/v2/apps/nothing")
        #expect(missing.status == 404)
        #expect(missing.body == #"{"message":"App '/nothing' does not exist"}"#)
        let broken = try await ask(.post, "/v2/apps", "{")
        #expect(broken.status == 400)
        #expect(broken.headers[.contentType] == "application/json")
        let invalid = try await ask(.post, "/v2/apps", #"{"id": "/x", "cmd": "y", "cpus": -1}"#)
        #expect(invalid.status == 422)
        #expect(invalid.body.contains(#""path":"/cpus""#))
    }

    @Test("a name that is given twice is refused with its path")
    func duplicates() async throws {
        let answer = try await ask(.post, "/v2/apps", #"{"id": "/x", "cmd": "a", "cmd": "b"}"#)
        #expect(answer.status == 400)
        #expect(answer.body.contains(#""path":"/cmd""#))
    }

    @Test("HEAD answers as GET without a body")
    func head() async throws {
        let answer = try await ask(.head, "/v2/info")
        #expect(answer.status == 200)
        #expect(answer.headers[.contentType] == "application/json")
        #expect(answer.body.isEmpty)
    }

    @Test("whoever prefers text gets the list for load balancers")
    func text() async throws {
        _ = try await ask(.post, "/v2/apps", Self.web)
        let answer = try await ask(.get, "/v2/tasks", headers: [.accept: "text/plain"])
        #expect(answer.headers[.contentType] == "text/plain; charset=utf-8")
        #expect(answer.body == "web\t10000\n")
    }

    @Test("a body without end is refused")
    func bodyLimit() async throws {
        let body = String(repeating: " ", count: HTTPFace.bodyLimit + 1)
        #expect(try await ask(.post, "/v2/apps", body).status == 413)
    }

    @Test("methods that mean nothing here are refused")
    func methods() async throws {
        #expect(try await ask(.options, "/v2/apps").status == 405)
        #expect(try await ask(.post, "/v2/apps/web").status == 405)
    }

    @Test("pages of other sites cannot give orders")
    func foreignPages() async throws {
        let answer = try await ask(
            .post, "/v2/apps", Self.web, headers: [.origin: "http://evil.example"])
        #expect(answer.status == 403)
        #expect(try stage.store.load().isEmpty)
    }

    @Test("after the end requests are answered with 503")
    func end() async throws {
        stage.bridge.end()
        #expect(try await ask(.get, "/ping").status == 503)
    }

    @Test("listeners hear of what happens after they came, and of the end")
    func events() async throws {
        let events = stage.bridge.events()
        _ = try await ask(.post, "/v2/apps", Self.web)
        stage.bridge.broadcast(nil)
        stage.bridge.end()
        var names: [String?] = []
        for await event in events { names.append(event?.name) }
        #expect(names.first == "deployment_info")
        #expect(names.last == .some(nil))
    }
}
