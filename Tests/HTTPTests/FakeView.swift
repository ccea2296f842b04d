import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import ProfferAPI
import ProfferKernel
import ProfferModel
import Synchronization
import Testing

@testable import ProfferHTTP

/// A master that gives the answers of a test and notes the calls.
final class FakeView: ClusterView {
    private let calls = Mutex<[OperatorCall]>([])
    private let given: @Sendable (OperatorCall) throws -> OperatorAnswer
    private let happenings: [ClusterEvent]

    init(
        events: [ClusterEvent] = [],
        _ given: @escaping @Sendable (OperatorCall) throws -> OperatorAnswer = { _ in .done }
    ) {
        happenings = events
        self.given = given
    }

    var asked: [OperatorCall] { calls.withLock { $0 } }

    func answer(_ call: OperatorCall) async throws -> OperatorAnswer {
        calls.withLock { $0.append(call) }
        return try given(call)
    }

    func events() -> AsyncStream<ClusterEvent> {
        AsyncStream { continuation in
            for event in happenings { continuation.yield(event) }
            continuation.finish()
        }
    }
}

/// What a server said.
struct Reply {
    var status: Int
    var headers: HTTPFields
    var body: String

    /// The body as JSON.
    func json() throws -> [String: Any] {
        let value = try JSONSerialization.jsonObject(with: Data(body.utf8))
        return try #require(value as? [String: Any])
    }

    func problem() throws -> ProblemObject {
        #expect(headers[.contentType] == "application/json")
        let problem = try APICoding.decode(ProblemObject.self, from: Data(body.utf8))
        #expect(problem.status == status)
        #expect(!problem.title.isEmpty && !problem.detail.isEmpty)
        return problem
    }

    /// What the objects of a list have under a name.
    func items(_ name: String) throws -> [String] {
        let list = try #require(try json()["items"] as? [[String: Any]])
        return try list.map { try #require($0[name] as? String) }
    }
}

/// The operator's token in the tests.
let token = "t0ken"

/// Sends one request to the routes of a master's server.
func request(
    _ view: FakeView, _ method: HTTPRequest.Method = .get, _ uri: String,
    authorization: String? = nil, body: String? = nil,
    metrics: PrometheusRegistry = PrometheusRegistry(),
    refresh: @escaping @Sendable () async -> Void = {}
) async throws -> Reply {
    let server = MasterServer(view: view, metrics: metrics, token: token, refresh: refresh)
    return try await send(to: server.router(), method, uri, authorization, body)
}

/// Sends one request to some routes.
func send<Context: RequestContext>(
    to router: Router<Context>, _ method: HTTPRequest.Method, _ uri: String,
    _ authorization: String? = nil, _ body: String? = nil
) async throws -> Reply where Context.Source == ApplicationRequestContextSource {
    try await Application(router: router).test(.router) { client in
        var headers = HTTPFields()
        if let authorization { headers[.authorization] = authorization }
        let response = try await client.execute(
            uri: uri, method: method, headers: headers,
            body: body.map { ByteBuffer(string: $0) })
        return Reply(
            status: response.status.code, headers: response.headers,
            body: String(buffer: response.body))
    }
}
