internal import AsyncHTTPClient
internal import Foundation
internal import NIOCore
internal import NIOHTTP1

/// Talks to the HTTP API of a batch scheduler.
struct BatchClient: Sendable {
    let base: String

    /// Finds the server by what the user gave, or by the environment and the cluster file.
    init(server: String?, context: String?) throws {
        let environment = ProcessInfo.processInfo.environment
        if let address = server ?? environment["PROFFER_BATCH"], !address.isEmpty {
            base = address.hasSuffix("/") ? String(address.dropLast()) : address
            return
        }
        struct Contents: Decodable {
            var batch: String?
        }
        let given = context ?? environment["PROFFER_CONTEXT"].flatMap { $0.isEmpty ? nil : $0 }
        let path = given ?? (environment["HOME"] ?? "/root") + "/.proffer/context.json"
        guard let data = FileManager.default.contents(atPath: path) else {
            throw Problem(
                .unreachable, "no batch scheduler is known", because: "there is no file \(path)",
                try: "start a cluster with 'proffer dev', or give the address with --server")
        }
        guard let address = (try? JSONDecoder().decode(Contents.self, from: data))?.batch else {
            throw Problem(
                .unreachable, "no batch scheduler is known",
                because: "the cluster file \(path) names none under 'batch'",
                try: "give the address with --server or in PROFFER_BATCH")
        }
        base = address
    }

    func get<Value: Decodable>(_ path: String, as type: Value.Type) async throws -> Value {
        try decode(type, try await send(.GET, path).body, path)
    }

    func submit(_ text: String) async throws -> JobObject {
        try decode(JobObject.self, try await send(.POST, "/v1/jobs", body: text).body, "/v1/jobs")
    }

    func cancel(_ job: String) async throws -> JobObject {
        let path = "/v1/jobs/\(Self.escape(job))"
        return try decode(JobObject.self, try await send(.DELETE, path).body, path)
    }

    func show(_ job: String) async throws -> JobObject {
        try await get("/v1/jobs/\(Self.escape(job))", as: JobObject.self)
    }

    /// Part of a log, from `offset`, and where the next part begins.
    func log(_ path: String, offset: Int64) async throws -> (bytes: Data, next: Int64) {
        let answer = try await send(.GET, path + "&offset=\(offset)")
        let start = answer.headers.first(name: "X-File-Offset").flatMap(Int64.init) ?? offset
        return (answer.body, start + Int64(answer.body.count))
    }

    static func escape(_ text: String) -> String {
        var plain = CharacterSet.alphanumerics
        plain.insert(charactersIn: "-_.")
        return text.addingPercentEncoding(withAllowedCharacters: plain) ?? text
    }

    private func decode<Value: Decodable>(
        _ type: Value.Type, _ data: Data, _ path: String
    ) throws -> Value {
        do {
            return try JSON.decode(type, from: data)
        } catch {
            throw Problem(
                .failed, "the answer of \(base)\(path) cannot be understood",
                because: "\(error)", try: "look whether a batch scheduler listens there")
        }
    }

    private func send(
        _ method: HTTPMethod, _ path: String, body: String? = nil
    ) async throws -> (body: Data, headers: HTTPHeaders) {
        var request = HTTPClientRequest(url: base + path)
        request.method = method
        if let body {
            request.headers.add(name: "Content-Type", value: "application/yaml")
            request.body = .bytes(ByteBuffer(string: body))
        }
        let response: HTTPClientResponse
        let data: Data
        do {
            response = try await WebClient.http.execute(request, timeout: .seconds(60))
            let bytes = try await response.body.collect(upTo: 64 << 20)
            data = Data(bytes.readableBytesView)
        } catch {
            throw Problem(
                .unreachable, "the batch scheduler at \(base) cannot be reached",
                because: "\(error)",
                try: "look whether it runs: 'batch-scheduler serve' or 'proffer dev' starts it")
        }
        guard response.status.code >= 400 else { return (data, response.headers) }
        throw Self.problem(Int(response.status.code), data, base + path)
    }

    private static func problem(_ status: Int, _ data: Data, _ url: String) -> any Error {
        let object = try? JSON.decode(ProblemObject.self, from: data)
        if let errors = object?.errors { return JobFileProblems(errors) }
        let code: Problem.Code =
            switch status {
            case 404: .notFound
            case 401, 403: .refused
            case 502, 503: .unreachable
            default: .failed
            }
        return Problem(
            code, object?.title ?? "the request \(url) failed",
            because: object?.detail
                ?? "status \(status): \(String(decoding: data.prefix(300), as: UTF8.self))",
            try: object?.advice ?? "look at the log of the batch scheduler")
    }
}
