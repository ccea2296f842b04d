internal import AsyncHTTPClient
internal import Foundation
internal import Glibc
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import ProfferAPI

/// Talks to one HTTP server of a cluster, or to whichever of several masters leads.
struct Client: Sendable {
    enum Method: String, Sendable {
        case get = "GET"
        case put = "PUT"
        case post = "POST"
        case delete = "DELETE"
    }

    /// What a server answered.
    struct Answer: Sendable {
        var status: Int
        var headers: HTTPHeaders
        var body: Data

        func number(_ header: String) -> Int64? { headers.first(name: header).flatMap(Int64.init) }
    }

    /// How long a cluster may be without a leader before that is told.
    private static let patience = Duration.seconds(10)

    /// The servers; of several, one serves and the others name it.
    let bases: [String]
    let tokenFile: String?

    /// For messages.
    var base: String { bases.joined(separator: " and ") }

    init(_ context: ClusterContext) {
        self.init(base: context.http, tokenFile: context.tokenFile)
    }

    init(base: String, tokenFile: String? = nil) {
        bases = base.split(separator: ",").map(String.init)
        self.tokenFile = tokenFile
    }

    func get<Value: Decodable>(_ path: String, as type: Value.Type) async throws -> Value {
        try decode(type, try await send(.get, path).body, path)
    }

    /// Asks a question that has a body.
    func post<Value: Decodable>(
        _ path: String, _ question: some Encodable, as type: Value.Type
    ) async throws -> Value {
        try decode(
            type, try await send(.post, path, body: try APICoding.encode(question)).body, path)
    }

    private func decode<Value: Decodable>(
        _ type: Value.Type, _ body: Data, _ path: String
    ) throws -> Value {
        do {
            return try APICoding.decode(type, from: body)
        } catch {
            throw CommandProblem(
                .failed, "the answer of \(base)\(path) cannot be understood",
                because: decodingProblem(error, in: body),
                try: "compare the versions of proffer and of the server")
        }
    }

    /// Carries out an order whose body is an object.
    func order(_ method: Method, _ path: String, _ body: some Encodable) async throws {
        try await order(
            method, path,
            body: String(decoding: try APICoding.encode(body), as: UTF8.self))
    }

    /// Carries out an order that needs the operator's token.
    func order(_ method: Method, _ path: String, body: String? = nil) async throws {
        _ = try await send(
            method, path, body: body.map { Data($0.utf8) }, token: try token())
    }

    /// The operator's token.
    ///
    /// - Throws: ``CommandProblem`` when it cannot be read.
    func token() throws -> String {
        guard let file = tokenFile,
            let token = try? String(contentsOfFile: file, encoding: .utf8)
        else {
            throw CommandProblem(
                .refused, "this order needs the operator's token",
                because: "the cluster file names no token file that can be read",
                try: "run it as the user who started the master")
        }
        return token.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// Has a conversation with a server: what comes is handed to `take` while `body` is sent.
    ///
    /// - Throws: ``CommandProblem`` when the server cannot be reached or answers 400 or more.
    func converse(
        _ path: String, token: String, body: AsyncStream<ByteBuffer>,
        take: (ByteBuffer) async throws -> Void
    ) async throws {
        var request = HTTPClientRequest(url: base + path)
        request.method = .POST
        request.headers.add(name: "Authorization", value: "Bearer \(token)")
        request.body = .stream(body, length: .unknown)
        for try await buffer in try await stream(request) { try await take(buffer) }
    }

    /// The body of an answer, however long it takes.
    private func stream(
        _ request: HTTPClientRequest
    ) async throws -> HTTPClientResponse.Body {
        let response: HTTPClientResponse
        do {
            response = try await Self.http.execute(request, deadline: .distantFuture)
        } catch {
            throw CommandProblem(
                .unreachable, "\(base) cannot be reached", because: "\(error)",
                try: "look whether that agent runs, with 'proffer agents'")
        }
        guard response.status == .ok else {
            let data = Data(try await response.body.collect(upTo: 1 << 20).readableBytesView)
            throw Self.problem(Int(response.status.code), data, request.url)
        }
        return response.body
    }

    /// - Throws: ``CommandProblem`` when the server cannot be reached or answers 400 or more.
    func send(
        _ method: Method, _ path: String, body: Data? = nil, token: String? = nil
    ) async throws -> Answer {
        let end = ContinuousClock.now + Self.patience
        while true {
            let (base, answer) = try await askAll(method, path, body: body, token: token)
            if bases.count > 1, Self.isBetweenLeaders(answer), ContinuousClock.now < end {
                // Between two leaders.
                try await Task.sleep(for: .milliseconds(300))
                continue
            }
            guard answer.status < 400, answer.status != 307 else {
                throw Self.problem(answer.status, answer.body, base + path)
            }
            return answer
        }
    }

    /// Asks the servers in turn until one serves, at first where one of them says the leader is.
    ///
    /// Only to servers of the list: an order carries the operator's token.
    private func askAll(
        _ method: Method, _ path: String, body: Data?, token: String?
    ) async throws -> (String, Answer) {
        var left = bases
        var last: (String, Answer)?
        var failure: (any Error)?
        while !left.isEmpty {
            let base = left.removeFirst()
            do {
                let answer = try await exchange(base, method, path, body: body, token: token)
                guard Self.isBetweenLeaders(answer), bases.count > 1 else {
                    return (base, answer)
                }
                last = (base, answer)
                let place = answer.headers.first(name: "Location") ?? ""
                if let leader = left.firstIndex(where: { place.hasPrefix($0 + "/") }) {
                    left.insert(left.remove(at: leader), at: 0)
                }
            } catch {
                try Task.checkCancellation()
                // An order may have been carried out before the connection broke: given again, it
                // might count twice.
                guard token == nil || !Self.mayHaveArrived(error) else {
                    throw CommandProblem(
                        .failed, "\(base) did not answer, and may have carried out the order",
                        because: "\(error)",
                        try: "look whether it was, and give it again if not")
                }
                failure = error
            }
        }
        if let last { return last }
        throw CommandProblem(
            .unreachable, "\(base) cannot be reached",
            because: failure.map { "\($0)" } ?? "there is no address",
            try: "look whether the cluster runs; 'proffer dev' starts one")
    }

    /// Whether a master said that it does not lead; nothing was done then.
    private static func isBetweenLeaders(_ answer: Answer) -> Bool {
        guard answer.status == 503 else { return answer.status == 307 }
        let problem = try? APICoding.decode(ProblemObject.self, from: answer.body)
        return problem?.title == ProblemObject.noLeader
    }

    private static func mayHaveArrived(_ error: any Error) -> Bool {
        if let error = error as? HTTPClientError {
            return error != .connectTimeout && error != .tlsHandshakeTimeout
        }
        if let error = error as? IOError {
            return ![ECONNREFUSED, EHOSTUNREACH, ENETUNREACH].contains(error.errnoCode)
        }
        return !(error is NIOConnectionError)
    }

    private func exchange(
        _ base: String, _ method: Method, _ path: String, body: Data?, token: String?
    ) async throws -> Answer {
        var request = HTTPClientRequest(url: base + path)
        request.method = HTTPMethod(rawValue: method.rawValue)
        request.headers.add(name: "From", value: Self.user)
        if let token { request.headers.add(name: "Authorization", value: "Bearer \(token)") }
        if let body {
            request.headers.add(name: "Content-Type", value: "application/json")
            request.body = .bytes(body)
        }
        let response = try await Self.http.execute(
            request, timeout: .seconds(bases.count > 1 ? 5 : 30))
        let data = Data(try await response.body.collect(upTo: 64 << 20).readableBytesView)
        return Answer(
            status: Int(response.status.code), headers: response.headers, body: data)
    }

    /// Leaves redirections to ``send(_:_:body:token:)``; lives as long as the program.
    private static let http: HTTPClient = {
        var configuration = HTTPClient.Configuration.singletonConfiguration
        configuration.redirectConfiguration = .disallow
        configuration.timeout.connect = .seconds(5)
        // A refused connection is told at once, and as such: then nothing was heard there.
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.timeout.read = .seconds(30)
        return HTTPClient(
            eventLoopGroupProvider: .singleton, configuration: configuration)
    }()

    /// Events as they come, until `take` returns false, the stream ends or the task is cancelled.
    func events(_ take: (EventObject) async -> Bool) async throws {
        var leader = bases[0]
        for base in bases where bases.count > 1 {
            let answer = try? await exchange(
                base, .get, "/v1/summary", body: nil, token: nil)
            if answer?.status == 200 { leader = base }
        }
        let request = HTTPClientRequest(url: leader + "/v1/events")
        let response = try await HTTPClient.shared.execute(request, deadline: .distantFuture)
        var line: [UInt8] = []
        for try await buffer in response.body {
            for byte in buffer.readableBytesView {
                guard byte == UInt8(ascii: "\n") else {
                    line.append(byte)
                    continue
                }
                if line.starts(with: Array("data: ".utf8)) {
                    let event = try APICoding.decode(
                        EventObject.self, from: Data(line.dropFirst(6)))
                    if await !take(event) { return }
                }
                line.removeAll(keepingCapacity: true)
            }
        }
    }

    /// Hands the body of an answer on piece by piece, however long it is.
    ///
    /// - Throws: ``CommandProblem`` when the server cannot be reached or answers 400 or more.
    func download(_ path: String, _ take: (Data) throws -> Void) async throws {
        var request = HTTPClientRequest(url: bases[0] + path)
        request.headers.add(name: "From", value: Self.user)
        for try await buffer in try await stream(request) {
            try take(Data(buffer.readableBytesView))
        }
    }

    /// Who asks, for the logs of servers; they cannot check it.
    private static let user: String = {
        var host = [CChar](repeating: 0, count: 256)
        gethostname(&host, host.count - 1)
        let name = host.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        return percentEncoded(ProcessInfo.processInfo.environment["USER"] ?? "\(getuid())")
            + "@" + percentEncoded(String(decoding: name, as: UTF8.self))
    }()

    static func problem(_ status: Int, _ data: Data, _ url: String) -> CommandProblem {
        let object = try? APICoding.decode(ProblemObject.self, from: data)
        let message = (try? JSONDecoder().decode(MarathonProblem.self, from: data))?.text
        let code: CommandProblem.Code =
            switch status {
            case 404: .notFound
            case 401, 403: .refused
            case 409: .conflict
            case 422: .invalidFile
            case 503: .unreachable
            default: .failed
            }
        let advice =
            switch status {
            case 400, 422: "correct it and try again"
            case 409: "look with 'proffer ps', and try again when the change before is done"
            default: "look at the log of that server"
            }
        return CommandProblem(
            code, object?.title ?? "request \(url) failed",
            because: object?.detail ?? message
                ?? "status \(status): \(String(decoding: data.prefix(300), as: UTF8.self))",
            try: object?.advice ?? advice)
    }
}

/// An error in Marathon's form, which the service scheduler speaks.
private struct MarathonProblem: Decodable {
    struct Detail: Decodable {
        var path: String
        var errors: [String]
    }

    var message: String
    var details: [Detail]?

    var text: String {
        let reasons = (details ?? []).map { "\($0.path): \($0.errors.joined(separator: ", "))" }
        return reasons.isEmpty ? message : reasons.joined(separator: "; ")
    }
}

/// Text as one segment of a path or one value of a query.
func percentEncoded(_ text: some StringProtocol) -> String {
    let digits = Array("0123456789ABCDEF")
    var result = ""
    for byte in text.utf8 {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
            UInt8(ascii: "_"), UInt8(ascii: "~"):
            result.append(Character(UnicodeScalar(byte)))
        case _:
            result.append("%")
            result.append(digits[Int(byte >> 4)])
            result.append(digits[Int(byte & 15)])
        }
    }
    return result
}
