internal import AsyncHTTPClient
internal import Foundation
internal import NIOCore
internal import NIOHTTP1
internal import Synchronization

/// Requests to a service that never stop: what its users would notice of an upgrade.
///
/// The targets are the tasks that the scheduler lists as healthy, asked for every 50 ms and used
/// in turn, as a load balancer does it.
final class RequestLoop: Sendable {
    /// What came of the requests.
    struct Result: Sendable {
        var sent = 0
        /// Requests that got no answer 200.
        var failed = 0
        var firstFailure: String?
        /// The version of each answer, in order, without repetitions.
        var versions: [String] = []
        /// How many of the latest answers in a row were of the last version.
        var streak = 0
        /// The answers of each version.
        var answers: [String: Int] = [:]

        mutating func succeed(_ version: String) {
            sent += 1
            answers[version, default: 0] += 1
            streak = versions.last == version ? streak + 1 : 1
            if versions.last != version { versions.append(version) }
        }

        mutating func fail(_ why: String) {
            sent += 1
            failed += 1
            firstFailure = firstFailure ?? why
        }
    }

    private struct State {
        var targets: [String] = []
        var next = 0
        var result = Result()
    }

    private static let workers = 4
    private let state = Mutex(State())

    var result: Result { state.withLock { $0.result } }

    /// Sends requests until the task is cancelled.
    func run(_ services: Services, _ id: String) async {
        var configuration = HTTPClient.Configuration.singletonConfiguration
        // A second attempt would hide what we look for.
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.timeout.connect = .seconds(2)
        let client = HTTPClient(configuration: configuration)
        await withTaskGroup { group in
            group.addTask { await self.refresh(services, id) }
            for _ in 0..<Self.workers { group.addTask { await self.work(client) } }
        }
        try? await client.shutdown()
    }

    private func refresh(_ services: Services, _ id: String) async {
        while !Task.isCancelled {
            if let instances = try? await services.instances(id) {
                let targets = instances.filter(\.isHealthy).compactMap(\.address)
                state.withLock { $0.targets = targets }
            }
            try? await Task.sleep(for: .milliseconds(50))
        }
    }

    private func work(_ client: HTTPClient) async {
        while !Task.isCancelled {
            let target = state.withLock { state -> String? in
                guard !state.targets.isEmpty else { return nil }
                state.next += 1
                return state.targets[state.next % state.targets.count]
            }
            if let target { await request(target, client) }
            try? await Task.sleep(for: .milliseconds(target == nil ? 20 : 4))
        }
    }

    private func request(_ target: String, _ client: HTTPClient) async {
        do {
            // A request that the end of the loop would cut off is still answered.
            let (status, text) = try await Task.detached {
                let response = try await client.execute(
                    HTTPClientRequest(url: target + "/"), timeout: .seconds(5))
                let body = try await response.body.collect(upTo: 4096)
                return (response.status.code, String(buffer: body))
            }.value
            let version = text.split(separator: " ").first.map(String.init) ?? ""
            state.withLock { state in
                if status == 200 {
                    state.result.succeed(version)
                } else {
                    state.result.fail("\(target) answered \(status)")
                }
            }
        } catch {
            state.withLock { $0.result.fail("\(target): \(error)") }
        }
    }
}
