import HTTPTypes
import ProfferAPI
import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferHTTP

@Suite("Orders about agents, machines and keys over HTTP")
struct AgentOrdersTests {
    private struct Order {
        var method = HTTPRequest.Method.post
        var uri: String
        var body: String?
        var call: OperatorCall
    }

    private static let start = WallTime(nanosecondsSince1970: 1_769_860_800_000_000_000)
    private static let windows = [
        MaintenanceWindow(
            machines: [MachineID(hostname: "n1"), MachineID(hostname: "n2")],
            unavailability: Unavailability(start: start, duration: .seconds(7200))),
        MaintenanceWindow(
            machines: [MachineID(hostname: "n3")], unavailability: Unavailability(start: start)),
    ]
    private static let plan = """
        {"windows": [{"machines": ["n1", "n2"], "start": "2026-01-31T12:00:00Z",
        "duration": "2h"}, {"machines": ["n3"], "start": "2026-01-31T12:00:00.000Z"}]}
        """

    private static let orders: [Order] = [
        Order(
            uri: "/v1/agents/a%2Fb/drain",
            call: .drainAgent("a/b", maxGrace: nil, marksGone: false)),
        Order(
            uri: "/v1/agents/a/drain", body: #"{"max_grace": "30s", "mark_gone": true}"#,
            call: .drainAgent("a", maxGrace: .seconds(30), marksGone: true)),
        Order(uri: "/v1/agents/a/deactivate", call: .deactivateAgent("a")),
        Order(uri: "/v1/agents/a/reactivate", call: .reactivateAgent("a")),
        Order(uri: "/v1/agents/a/gone", call: .markAgentGone("a")),
        Order(
            method: .put, uri: "/v1/agents/a/key", body: #"{"public_key": "k"}"#,
            call: .rebindAgent("a", publicKey: "k")),
        Order(
            method: .put, uri: "/v1/frameworks/f/key", body: "{}",
            call: .rebindFramework("f", publicKey: nil)),
        Order(
            method: .put, uri: "/v1/maintenance/schedule", body: plan,
            call: .setMaintenanceSchedule(windows)),
        Order(
            method: .put, uri: "/v1/maintenance/schedule", body: #"{"windows": []}"#,
            call: .setMaintenanceSchedule([])),
        Order(
            uri: "/v1/maintenance/down", body: #"{"machines": ["n1"]}"#,
            call: .startMaintenance([MachineID(hostname: "n1")])),
        Order(
            uri: "/v1/maintenance/up", body: #"{"machines": ["n1"]}"#,
            call: .stopMaintenance([MachineID(hostname: "n1")])),
    ]

    @Test(
        "an order with the token is carried out, without it nothing is",
        arguments: orders.indices)
    func carriedOut(index: Int) async throws {
        let order = Self.orders[index]
        let view = FakeView()
        let refused = try await request(view, order.method, order.uri, body: order.body)
        #expect(refused.status == 401 && view.asked.isEmpty)
        let reply = try await request(
            view, order.method, order.uri, authorization: "Bearer \(token)", body: order.body)
        #expect(reply.status == 202, "\(reply.body)")
        #expect(view.asked == [order.call])
    }

    @Test(
        "a body that makes no sense is a bad request that says what is wrong",
        arguments: [
            ("/v1/agents/a/drain", #"{"max_grace": "long"}"#, "max_grace"),
            ("/v1/agents/a/drain", #"{"grace": "1s"}"#, "grace"),
            ("/v1/maintenance/down", "{}", "machines"),
            ("/v1/maintenance/down", #"{"machines": [1]}"#, "machines[0]"),
            ("/v1/maintenance/schedule", "{}", "windows"),
            ("/v1/maintenance/schedule", #"{"windows": [{"machines": ["a"]}]}"#, "start"),
            (
                "/v1/maintenance/schedule",
                #"{"windows": [{"machines": ["a"], "start": "noon"}]}"#, "windows[0].start"
            ),
        ])
    func badBody(uri: String, body: String, word: String) async throws {
        let view = FakeView()
        let method: HTTPRequest.Method = uri.hasSuffix("schedule") ? .put : .post
        let reply = try await request(
            view, method, uri, authorization: "Bearer \(token)", body: body)
        #expect(reply.status == 400)
        #expect(try reply.problem().detail.contains(word))
        #expect(view.asked.isEmpty)
    }

    @Test("the plan is given as it is taken, and machines with what was said of them")
    func reads() async throws {
        let plan = try await request(
            FakeView { _ in .maintenanceSchedule(Self.windows) }, .get, "/v1/maintenance/schedule")
        let again = FakeView()
        _ = try await request(
            again, .put, "/v1/maintenance/schedule", authorization: "Bearer \(token)",
            body: plan.body)
        #expect(again.asked == [.setMaintenanceSchedule(Self.windows)])
        let summary = InverseOfferSummary(
            inverseOffer: InverseOffer(
                id: "i", frameworkID: "f", agentID: "a",
                unavailability: Unavailability(start: Self.start)),
            age: .seconds(1), reason: "maintenance", response: .declined(at: Self.start))
        let status = MaintenanceStatus(
            draining: [
                DrainingMachine(
                    id: MachineID(hostname: "n1"),
                    unavailability: Unavailability(start: Self.start), requests: [summary])
            ], down: [MachineID(hostname: "n2")])
        let machines = try await request(
            FakeView { _ in .maintenanceStatus(status) }, .get, "/v1/maintenance")
        #expect(try machines.items("id") == ["n1", "n2"])
        #expect(try machines.items("state") == ["draining", "down"])
        #expect(machines.body.contains(#""answer":"declined""#))
    }
}
