internal import Foundation
internal import ProfferAPI

/// The service scheduler, which speaks Marathon's language.
struct Services: Sendable {
    let client: Client

    init(base: String) { client = Client(base: base) }

    init(_ context: ClusterContext) throws {
        guard let services = context.services else {
            throw CommandProblem(
                .unreachable, "no service scheduler is known",
                because: "the cluster file has no 'services'",
                try: "start one, or add its address to the cluster file")
        }
        self.init(base: services)
    }

    /// An app as it is asked for.
    struct App: Encodable, Sendable {
        struct Port: Encodable, Sendable {
            var port = 0
            var name: String
        }

        struct HealthCheck: Encodable, Sendable {
            var `protocol` = "MESOS_HTTP"
            var path: String
            var portIndex = 0
            var gracePeriodSeconds: Double = 30
            var intervalSeconds: Double = 1
            var timeoutSeconds: Double = 1
            var delaySeconds: Double = 0
            var maxConsecutiveFailures = 3
        }

        struct UpgradeStrategy: Encodable, Sendable {
            var minimumHealthCapacity: Double
            var maximumOverCapacity: Double
        }

        var id: String
        var cmd: String?
        var args: [String]?
        var instances: Int
        var cpus: Double
        var mem: Double
        var disk: Double = 0
        var env: [String: String] = [:]
        var constraints: [[String]] = []
        var portDefinitions: [Port] = []
        var healthChecks: [HealthCheck] = []
        var upgradeStrategy: UpgradeStrategy?
        var backoffSeconds: Double?
        var backoffFactor: Double?
    }

    /// An app as the scheduler reports it.
    struct State: Decodable, Sendable {
        struct Deployment: Decodable, Sendable {
            var id: String
        }

        struct Failure: Decodable, Sendable {
            var state: String?
            var message: String?
        }

        struct HealthCheck: Decodable, Sendable {}

        var id: String
        var version: String?
        var instances: Int
        var tasksRunning: Int?
        var tasksStaged: Int?
        var tasksHealthy: Int?
        var tasksUnhealthy: Int?
        var healthChecks: [HealthCheck]?
        var deployments: [Deployment]?
        var lastTaskFailure: Failure?

        /// The instances that do what they should.
        var ready: Int {
            (healthChecks ?? []).isEmpty ? tasksRunning ?? 0 : tasksHealthy ?? 0
        }

        /// Whether the scheduler has nothing left to do for it.
        var isSettled: Bool {
            (deployments ?? []).isEmpty && ready == instances
                && (tasksRunning ?? 0) == instances
        }
    }

    /// One task of an app.
    struct Instance: Decodable, Sendable {
        struct Result: Decodable, Sendable {
            var alive: Bool
        }

        var id: String
        var host: String
        var ports: [Int]?
        var state: String?
        var version: String?
        var healthCheckResults: [Result]?

        /// Whether requests may be sent to it.
        var isHealthy: Bool {
            let results = healthCheckResults ?? []
            return (state ?? "TASK_RUNNING") == "TASK_RUNNING" && !results.isEmpty
                && results.allSatisfy(\.alive)
        }

        var address: String? { ports?.first.map { "http://\(host):\($0)" } }
    }

    func put(_ app: App) async throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        _ = try await client.send(.put, Self.path(app.id), body: try encoder.encode(app))
    }

    func scale(_ id: String, to instances: Int) async throws {
        _ = try await client.send(
            .put, Self.path(id), body: Data(#"{"instances":\#(instances)}"#.utf8))
    }

    func state(_ id: String) async throws -> State {
        struct Body: Decodable { var app: State }
        return try decode(Body.self, try await client.send(.get, Self.path(id))).app
    }

    func instances(_ id: String) async throws -> [Instance] {
        struct Body: Decodable { var tasks: [Instance] }
        return try decode(Body.self, try await client.send(.get, Self.path(id) + "/tasks")).tasks
    }

    func delete(_ id: String) async throws {
        _ = try await client.send(.delete, Self.path(id))
    }

    private func decode<Value: Decodable>(_ type: Value.Type, _ answer: Client.Answer) throws
        -> Value
    {
        do {
            return try JSONDecoder().decode(type, from: answer.body)
        } catch {
            throw CommandProblem(
                .failed, "the service scheduler's answer cannot be understood",
                because: decodingProblem(error, in: answer.body),
                try: "compare the versions of proffer and the scheduler")
        }
    }

    /// `/v2/apps/` and the id, whose slashes stay what they are.
    static func path(_ id: String) -> String {
        let segments = id.split(separator: "/").map { percentEncoded($0) }
        return "/v2/apps/" + segments.joined(separator: "/")
    }
}
