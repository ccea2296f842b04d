import AsyncHTTPClient
import ClusterProbe
import Foundation
import Hummingbird
import Logging
import NIOCore
import NIOHTTP1
import Synchronization

/// Stands before a real etcd and tells the lies that a healthy one does not tell: what has been
/// wrong in released versions, on demand.
final class LyingEndpoint: Sendable {
    struct Lies: Sendable {
        /// Renewals of leases that have ended are confirmed.
        var confirmsRenewals = false
        /// Reads are answered as of this revision.
        var readsAsOf: Int64?
        /// Watches hear nothing.
        var silencesWatches = false
        /// The answers of this many transactions are lost; they are carried out.
        var losesAnswers = 0
        /// Every transaction is carried out twice, the second time after the next one.
        var repeatsLate = false
    }

    let lies = Mutex(Lies())
    private let target: String
    private let late = Mutex<ByteBuffer?>(nil)
    private let port: Mutex<Int?> = Mutex(nil)

    /// Stands before the etcd at `host:port`.
    init(before target: String) { self.target = target }

    /// Serves while `body` runs; that is given the address of the registry.
    func serve(_ body: @escaping @Sendable (String) async throws -> Void) async throws {
        let router = Router()
        router.post("/v3/**") { request, _ in try await self.answer(request) }
        router.get("/version") { _, _ in #"{"etcdserver":"3.4.23"}"# }
        let (ports, continuation) = AsyncStream.makeStream(of: Int.self)
        var logger = Logger(label: "lies")
        logger.logLevel = .error
        let application = Application(
            router: router, configuration: .init(address: .hostname("127.0.0.1", port: 0)),
            onServerRunning: { channel in
                continuation.yield(channel.localAddress?.port ?? 0)
            }, logger: logger)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await application.run() }
            for await port in ports {
                try await body("etcd://127.0.0.1:\(port)")
                break
            }
            group.cancelAll()
        }
    }

    private func answer(_ request: Request) async throws -> Response {
        let path = request.uri.path
        var body = try await request.body.collect(upTo: 32 << 20)
        let lies = lies.withLock { $0 }
        if path == "/v3/watch", lies.silencesWatches {
            try await Task.sleep(for: .seconds(600))
        }
        if path == "/v3/kv/range", let revision = lies.readsAsOf {
            var object =
                try JSONSerialization.jsonObject(with: Data(body.readableBytesView))
                as? [String: Any]
            object?["revision"] = "\(revision)"
            body = ByteBuffer(bytes: try JSONSerialization.data(withJSONObject: object ?? [:]))
        }
        var (status, answer) = try await pass(path, body)
        if path == "/v3/kv/range", let revision = lies.readsAsOf {
            // A member that lies behind shows its own revision.
            var object =
                try JSONSerialization.jsonObject(with: Data(answer.readableBytesView))
                as? [String: Any]
            object?["header"] = ["revision": "\(revision)"]
            answer = ByteBuffer(bytes: try JSONSerialization.data(withJSONObject: object ?? [:]))
        }
        if path == "/v3/lease/keepalive", lies.confirmsRenewals {
            let object =
                try JSONSerialization.jsonObject(with: Data(body.readableBytesView))
                as? [String: Any]
            let text = #"{"result":{"ID":"\#(object?["ID"] ?? "0")","TTL":"3"}}"#
            answer = ByteBuffer(string: text)
        }
        if path == "/v3/kv/txn" {
            let loses = self.lies.withLock { lies in
                defer { lies.losesAnswers = max(0, lies.losesAnswers - 1) }
                return lies.losesAnswers > 0
            }
            if loses { return Response(status: .serviceUnavailable) }
            if lies.repeatsLate {
                let before = late.withLock { late in
                    defer { late = body }
                    return late
                }
                if let before { _ = try await pass(path, before) }
            }
        }
        return Response(
            status: .init(code: status), headers: [.contentType: "application/json"],
            body: .init(byteBuffer: answer))
    }

    private func pass(_ path: String, _ body: ByteBuffer) async throws -> (Int, ByteBuffer) {
        var request = HTTPClientRequest(url: "http://\(target)\(path)")
        request.method = .POST
        request.body = .bytes(body)
        let response = try await HTTPClient.shared.execute(request, timeout: .seconds(30))
        return (Int(response.status.code), try await response.body.collect(upTo: 32 << 20))
    }
}
