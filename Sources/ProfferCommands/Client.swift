internal import AsyncHTTPClient
internal import Foundation
internal import NIOCore
internal import NIOFoundationCompat
internal import NIOHTTP1
internal import ProfferAPI

/// Talks to the HTTP servers of a cluster.
struct Client: Sendable {
    let base: String
    let tokenFile: String?

    init(_ context: ClusterContext) {
        base = context.http
        tokenFile = context.tokenFile
    }

    init(base: String) {
        self.base = base
        tokenFile = nil
    }

    func get<Value: Decodable>(_ path: String, as type: Value.Type) async throws -> Value {
        let (_, body) = try await send(.GET, path)
        do {
            return try APICoding.decode(type, from: body)
        } catch {
            throw CommandProblem(
                .failed, "the answer of \(base)\(path) cannot be understood",
                because: "\(error)", try: "compare the versions of proffer and of the master")
        }
    }

    /// Carries out an order that needs the operator's token.
    func order(_ method: HTTPMethod, _ path: String, body: String? = nil) async throws {
        guard let file = tokenFile,
            let token = try? String(contentsOfFile: file, encoding: .utf8)
        else {
            throw CommandProblem(
                .refused, "this order needs the operator's token",
                because: "the cluster file names no token file that can be read",
                try: "run it as the user who started the master")
        }
        _ = try await send(
            method, path, body: body.map { Data($0.utf8) },
            token: token.trimmingCharacters(in: .whitespacesAndNewlines))
    }

    func send(
        _ method: HTTPMethod, _ path: String, body: Data? = nil, token: String? = nil
    ) async throws -> (status: Int, body: Data) {
        var request = HTTPClientRequest(url: base + path)
        request.method = method
        if let token { request.headers.add(name: "Authorization", value: "Bearer \(token)") }
        if let body {
            request.headers.add(name: "Content-Type", value: "application/json")
            request.body = .bytes(ByteBuffer(data: body))
        }
        let response: HTTPClientResponse
        do {
            response = try await HTTPClient.shared.execute(request, timeout: .seconds(30))
        } catch {
            throw CommandProblem(
                .unreachable, "\(base) cannot be reached", because: "\(error)",
                try: "look whether the cluster runs; 'proffer dev' starts one")
        }
        let data = Data(buffer: try await response.body.collect(upTo: 64 << 20))
        let status = Int(response.status.code)
        guard status < 400 else { throw problem(status, data, path) }
        return (status, data)
    }

    /// Lines of the event stream, until it ends or the task is cancelled.
    func events(_ take: (EventObject) async -> Bool) async throws {
        let request = HTTPClientRequest(url: base + "/v1/events")
        let response = try await HTTPClient.shared.execute(
            request, deadline: .distantFuture)
        var pending = ""
        for try await buffer in response.body {
            pending += String(buffer: buffer)
            while let end = pending.range(of: "\n\n") {
                let block = pending[..<end.lowerBound]
                pending.removeSubrange(..<end.upperBound)
                for line in block.split(separator: "\n") where line.hasPrefix("data: ") {
                    let data = Data(line.dropFirst(6).utf8)
                    let event = try APICoding.decode(EventObject.self, from: data)
                    if await !take(event) { return }
                }
            }
        }
    }

    private func problem(_ status: Int, _ data: Data, _ path: String) -> CommandProblem {
        let object = try? APICoding.decode(ProblemObject.self, from: data)
        let code: CommandProblem.Code =
            switch status {
            case 404: .notFound
            case 401, 403: .refused
            case 409: .conflict
            case 503: .unreachable
            default: .failed
            }
        return CommandProblem(
            code, object?.title ?? "request \(path) failed",
            because: object?.detail
                ?? "status \(status): \(String(decoding: data.prefix(300), as: UTF8.self))",
            try: object?.advice ?? "look at the log of \(base)")
    }
}
