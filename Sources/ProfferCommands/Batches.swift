internal import Foundation

/// The batch scheduler.
struct Batches: Sendable {
    let client: Client

    init(base: String) { client = Client(base: base) }

    /// A job as it is asked for.
    struct Job: Encodable, Sendable {
        struct Array: Encodable, Sendable {
            var count: Int
            var concurrency: Int?
        }

        struct Retry: Encodable, Sendable {
            var limit: Int
            var backoff: String
            var exitCodes: [Int]

            private enum CodingKeys: String, CodingKey {
                case limit
                case backoff
                case exitCodes = "exit_codes"
            }
        }

        struct Task: Encodable, Sendable {
            var name: String
            var command: String
            var array: Array?
            var depends: [String] = []
            var cpus = 0.1
            var mem = 32
            var env: [String: String] = [:]
            var retry: Retry?
        }

        var name: String
        var tasks: [Task]
    }

    /// A job as the scheduler reports it.
    struct State: Decodable, Sendable {
        struct Task: Decodable, Sendable {
            var name: String
            var counts: [String: Int]?
            /// The demand for which it waits.
            var demand: String?
        }

        var id: String
        var state: String
        var message: String?
        var retries: Int?
        var counts: [String: Int]?
        var tasks: [Task]?

        var isFinished: Bool { state.uppercased() == "FINISHED" }
        var hasFailed: Bool { ["FAILED", "CANCELLED"].contains(state.uppercased()) }

        /// The instances that have finished, of one task or of all.
        func finished(_ task: String? = nil) -> Int {
            let counts = task == nil ? counts : tasks?.first { $0.name == task }?.counts
            return counts?.first { $0.key.lowercased() == "finished" }?.value ?? 0
        }
    }

    /// - Returns: The job's id.
    func submit(_ job: Job) async throws -> String {
        let body = try JSONEncoder().encode(job)
        let answer = try await client.send(.post, "/v1/jobs", body: body)
        return try decode(answer).id
    }

    func state(_ id: String) async throws -> State {
        try decode(try await client.send(.get, "/v1/jobs/\(percentEncoded(id))"))
    }

    private func decode(_ answer: Client.Answer) throws -> State {
        do {
            return try JSONDecoder().decode(State.self, from: answer.body)
        } catch {
            throw CommandProblem(
                .failed, "the batch scheduler's answer cannot be understood",
                because: decodingProblem(error, in: answer.body),
                try: "compare the versions of proffer and the scheduler")
        }
    }
}
