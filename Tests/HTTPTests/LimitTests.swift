import Foundation
import HTTPTypes
import ProfferAPI
import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferHTTP

@Suite("Whitelist, limits of priority and inverse offers over HTTP")
struct LimitTests {
    private static let bearer = "Bearer \(token)"

    private static func summary(_ id: OfferID, _ response: InverseOfferResponse?)
        -> InverseOfferSummary
    {
        InverseOfferSummary(
            inverseOffer: InverseOffer(
                id: id, frameworkID: "f", agentID: "a",
                unavailability: Unavailability(start: WallTime(nanosecondsSince1970: 0)),
                resources: Resources(cpus: Milli(2)), tasks: ["t", "u"]),
            age: .milliseconds(1500), reason: "room is needed", response: response)
    }

    @Test("requests to leave are listed with who needs the room and what was said to them")
    func inverseOffers() async throws {
        let view = FakeView { _ in
            .inverseOffers([
                Self.summary("o-2", .declined(at: WallTime(nanosecondsSince1970: 0))),
                Self.summary("o-1", nil),
                Self.summary("o-3", .accepted(at: WallTime(nanosecondsSince1970: 1_000_000_000))),
            ])
        }
        let reply = try await request(view, .get, "/v1/inverse-offers")
        #expect(reply.status == 200)
        #expect(view.asked == [.inverseOffers])
        let list = try APICoding.decode(
            ObjectList<InverseOfferObject>.self, from: Data(reply.body.utf8))
        #expect(list.items.map(\.id) == ["o-1", "o-2", "o-3"])
        #expect(list.items.map(\.response) == [nil, "declined", "accepted"])
        let first = try #require(list.items.first)
        #expect(first.tasks == ["t", "u"])
        #expect(first.resources == ["cpus": "2"])
        #expect(first.age == 1.5)
        #expect(first.deadline.hasPrefix("1970-01-01T00:00:00"))
        #expect(first.reason == "room is needed")
    }

    @Test("a whitelist is shown, set and taken away")
    func whitelist() async throws {
        let listed = try await request(
            FakeView { _ in .whitelist(["n1", "n2"]) }, .get, "/v1/whitelist")
        #expect(listed.body == #"{"hosts":["n1","n2"],"kind":"whitelist"}"#)
        let every = try await request(FakeView { _ in .whitelist(nil) }, .get, "/v1/whitelist")
        #expect(every.body == #"{"kind":"whitelist"}"#)
        let view = FakeView()
        for body in [#"{"hosts": ["n1", "n2"]}"#, #"{"hosts": []}"#] {
            let reply = try await request(
                view, .put, "/v1/whitelist", authorization: Self.bearer, body: body)
            #expect(reply.status == 202)
        }
        let reply = try await request(
            view, .delete, "/v1/whitelist", authorization: Self.bearer)
        #expect(reply.status == 202)
        #expect(
            view.asked == [.setWhitelist(["n1", "n2"]), .setWhitelist([]), .setWhitelist(nil)])
    }

    @Test(
        "a whitelist that is none is a bad request that names the place",
        arguments: [
            ("", "not JSON"), ("{}", "'hosts' is missing"),
            (#"{"hosts": "n1"}"#, "'hosts' is text"),
            (#"{"hosts": ["n1", 2]}"#, "'hosts[1]' is a number"),
            (#"{"hosts": [], "host": 1}"#, "'host' is not known"),
        ])
    func wrongWhitelist(body: String, words: String) async throws {
        let view = FakeView()
        let reply = try await request(
            view, .put, "/v1/whitelist", authorization: Self.bearer, body: body)
        #expect(reply.status == 400)
        #expect(try reply.problem().detail.contains(words), "\(reply.body)")
        #expect(view.asked.isEmpty)
    }

    @Test("reservations are ordered, and a body that is none is a bad request")
    func reservations() async throws {
        func cpus(_ role: String, _ principal: String? = nil) -> Resources {
            Resources([
                Resource(
                    "cpus", .scalar(Milli(2)),
                    reservations: [.init(role: role, principal: principal)])
            ])
        }
        let view = FakeView()
        func post(_ path: String, _ body: String) async throws -> Reply {
            try await request(view, .post, path, authorization: Self.bearer, body: body)
        }
        let bodies = [
            #"{"role": "web", "principal": "p", "resources": {"cpus": 2}}"#,
            #"{"role": "web", "resources": {"cpus": 2}, "from": "ops", "from_principal": "q"}"#,
        ]
        for body in bodies {
            #expect(try await post("/v1/agents/a%201/reserve", body).status == 202)
        }
        #expect(try await post("/v1/agents/a%201/unreserve", bodies[0]).status == 202)
        let calls: [OperatorCall] = [
            .reserve("a 1", cpus("web", "p"), source: Resources()),
            .reserve("a 1", cpus("web"), source: cpus("ops", "q")),
            .unreserve("a 1", cpus("web", "p")),
        ]
        #expect(view.asked == calls)
        for (body, words) in [
            ("{}", "'role' is missing"), (#"{"role": "web"}"#, "'resources' is missing"),
            (#"{"role": "web", "resources": {"cpus": "x"}}"#, "is no amount"),
            (#"{"role": "", "resources": {}}"#, "'role' is missing"),
        ] {
            let reply = try await post("/v1/agents/a/reserve", body)
            #expect(reply.status == 400)
            #expect(try reply.problem().detail.contains(words), "\(reply.body)")
        }
        #expect(view.asked == calls)
    }

    @Test("a limit of priority is set and taken away")
    func priority() async throws {
        let view = FakeView()
        let path = "/v1/roles/eng%2Fdev/priority-limit"
        let set = try await request(view, .put, path, authorization: Self.bearer, body: "-5")
        #expect(set.status == 202)
        let cleared = try await request(view, .delete, path, authorization: Self.bearer)
        #expect(cleared.status == 202)
        #expect(
            view.asked == [
                .setPriorityLimit(role: "eng/dev", -5), .setPriorityLimit(role: "eng/dev", nil),
            ])
    }

    @Test(
        "a limit of priority that is none is a bad request",
        arguments: ["", "x", "1.5", "nan", "1e3", "99999999999999999999"])
    func wrongPriority(body: String) async throws {
        let view = FakeView()
        let reply = try await request(
            view, .put, "/v1/roles/r/priority-limit", authorization: Self.bearer, body: body)
        #expect(reply.status == 400)
        #expect(view.asked.isEmpty)
    }

    @Test("the limit of a role is shown with it")
    func roles() async throws {
        let view = FakeView { _ in
            .roles([RoleSummary(name: "a", priorityLimit: 7), RoleSummary(name: "b")])
        }
        let reply = try await request(view, .get, "/v1/roles")
        let list = try APICoding.decode(ObjectList<RoleObject>.self, from: Data(reply.body.utf8))
        #expect(list.items.map(\.priorityLimit) == [7, nil])
    }

    @Test(
        "an order without the token is refused and not carried out",
        arguments: [
            (HTTPRequest.Method.put, "/v1/whitelist"), (.delete, "/v1/whitelist"),
            (.post, "/v1/agents/a/reserve"), (.post, "/v1/agents/a/unreserve"),
            (.put, "/v1/roles/r/priority-limit"), (.delete, "/v1/roles/r/priority-limit"),
        ])
    func unauthorized(method: HTTPRequest.Method, uri: String) async throws {
        let view = FakeView()
        let reply = try await request(view, method, uri, body: #"{"hosts": []}"#)
        #expect(reply.status == 401)
        #expect(view.asked.isEmpty)
    }
}
