internal import ArgumentParser
internal import Foundation
internal import ProfferAPI
internal import ProfferKernel

/// What was stopped, for programs.
struct StoppedObject: Codable, Sendable {
    /// `service` or `job`.
    var kind: String
    /// The service's name or the job's id.
    var id: String
    /// `stopping`, `ended` or `cancelled`.
    var state: String
}

struct StopCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stop",
        abstract: "End a service or cancel a batch job, for good.")

    @OptionGroup
    var cluster: ClusterOptions

    @Argument(help: "The service's name or the batch job's id.")
    var name: String

    @Flag(help: "Do not wait until its tasks have ended.")
    var detach = false

    @Option(help: "How long to wait, such as 30s or 5m.")
    var timeout = "1m"

    func validate() throws {
        guard Duration(text: timeout) != nil else {
            throw ValidationError(
                "--timeout '\(timeout)' is no duration such as 500ms, 30s, 5m, 2h")
        }
    }

    func run() async throws {
        let context = try cluster.load()
        if context.services != nil, try await stopService(try Services(context)) { return }
        if let batch = context.batch, try await cancelJob(Client(base: batch)) { return }
        throw CommandProblem(
            .notFound, "there is no service or batch job '\(name)'",
            because: "neither scheduler of this cluster knows it",
            try: "see what runs with 'proffer ps'; one task ends with 'proffer kill'")
    }

    private func stopService(_ services: Services) async throws -> Bool {
        guard try await isKnown({ try await services.delete(name) }) else { return false }
        let clock = ContinuousClock()
        let end = clock.now + (Duration(text: timeout) ?? .seconds(60))
        while !detach, try await hasTasks(services) {
            guard clock.now < end else {
                throw CommandProblem(
                    .timedOut, "'\(name)' still has tasks", because: "they have not ended yet",
                    try: "look with 'proffer ps'; they are still being killed")
            }
            try await Task.sleep(for: .milliseconds(100))
        }
        try tell(
            "service", detach ? "stopping" : "ended",
            detach ? "stopping service '\(name)'" : "service '\(name)' has ended")
        return true
    }

    private func tell(_ kind: String, _ state: String, _ text: String) throws {
        switch cluster.output {
        case .table: note(text)
        case .json:
            let object = StoppedObject(kind: kind, id: name, state: state)
            say(String(decoding: try APICoding.encode(object, pretty: true), as: UTF8.self))
        }
    }

    private func hasTasks(_ services: Services) async throws -> Bool {
        var isEmpty = true
        let isThere = try await isKnown {
            isEmpty = try await services.instances(name).isEmpty
        }
        return isThere && !isEmpty
    }

    private func cancelJob(_ batch: Client) async throws -> Bool {
        let path = "/v1/jobs/\(percentEncoded(name))"
        guard try await isKnown({ _ = try await batch.send(.delete, path) }) else { return false }
        try tell("job", "cancelled", "batch job '\(name)' is cancelled")
        return true
    }

    private func isKnown(_ ask: () async throws -> Void) async throws -> Bool {
        do {
            try await ask()
            return true
        } catch let problem as CommandProblem where problem.code == .notFound {
            return false
        }
    }
}
