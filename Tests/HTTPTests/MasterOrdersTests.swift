import HTTPTypes
import ProfferAPI
import ProfferModel
import Testing

@testable import ProfferHTTP

@Suite("Orders to a master over HTTP")
struct MasterOrdersTests {
    private static let known: [(HTTPRequest.Method, String, OperatorCall)] = [
        (.delete, "/v1/tasks/f/t", .kill(TaskKey("f", "t"))),
        (.delete, "/v1/tasks/f/a%20b", .kill(TaskKey("f", "a b"))),
        (.delete, "/v1/frameworks/f", .teardown("f")),
        (.put, "/v1/roles/eng%2Fdev/weight", .setWeight(role: "eng/dev", thousandths: 2500)),
    ]

    @Test("an order with the token is carried out", arguments: 0..<4)
    func orders(index: Int) async throws {
        let (method, uri, call) = Self.known[index]
        let view = FakeView()
        let reply = try await request(
            view, method, uri, authorization: "Bearer \(token)", body: "2.5")
        #expect(reply.status == 202)
        #expect(view.asked == [call])
    }

    @Test(
        "an order without the right token is refused and not carried out",
        arguments: 0..<4,
        [
            nil, "", "Bearer", "Bearer ", "Bearer t0keN", "Bearer t0ke", "t0ken",
            "Basic t0ken", "Bearer t0kent0ken",
        ])
    func unauthorized(index: Int, authorization: String?) async throws {
        let (method, uri, _) = Self.known[index]
        let view = FakeView()
        let reply = try await request(
            view, method, uri, authorization: authorization, body: "2.5")
        #expect(reply.status == 401)
        #expect(try reply.problem().advice?.contains("operator.token") == true)
        #expect(view.asked.isEmpty)
        #expect(!reply.body.contains(token))
    }

    @Test(
        "an order that cannot be carried out is a problem that says why",
        arguments: [
            (OperatorAnswer.notFound("there is no task"), 404, "there is no task"),
            (.refused("not now"), 409, "not now"), (.tasks([]), 503, "did not answer"),
        ])
    func problems(answer: OperatorAnswer, status: Int, words: String) async throws {
        let reply = try await request(
            FakeView { _ in answer }, .delete, "/v1/tasks/f/t", authorization: "Bearer \(token)")
        #expect(reply.status == status)
        #expect(try reply.problem().detail.contains(words))
    }

    @Test(
        "a weight that is none is a bad request",
        arguments: ["", "x", "0", "-1", "nan", "inf", "1e300", "0.0001"])
    func badWeight(body: String) async throws {
        let view = FakeView()
        let reply = try await request(
            view, .put, "/v1/roles/eng/weight", authorization: "Bearer \(token)", body: body)
        #expect(reply.status == 400)
        #expect(try reply.problem().advice?.isEmpty == false)
        #expect(view.asked.isEmpty)
    }

    @Test("a body that is too long is refused")
    func longBody() async throws {
        let view = FakeView()
        let reply = try await request(
            view, .put, "/v1/roles/eng/weight", authorization: "Bearer \(token)",
            body: String(repeating: "1", count: 2000))
        #expect(reply.status == 413)
        _ = try reply.problem()
        #expect(view.asked.isEmpty)
    }

    @Test("a path that is not percent-encoded text is a bad request")
    func badPath() async throws {
        let view = FakeView()
        let reply = try await request(
            view, .delete, "/v1/tasks/f/%FF", authorization: "Bearer \(token)")
        #expect(reply.status == 400)
        _ = try reply.problem()
        #expect(view.asked.isEmpty)
    }
}
