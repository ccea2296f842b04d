internal import AsyncHTTPClient
internal import Foundation
internal import NIOCore
internal import NIOHTTP1
internal import NIOSSL
internal import Synchronization

/// Why etcd did not do what it was asked.
enum EtcdProblem: Error, Hashable, Sendable {
    /// No member answered in time. The request may have been carried out.
    case unreachable(String)
    /// The space quota is used up.
    case noSpace
    /// The revision asked for has been compacted, or has not come about at this member.
    case revision(String)
    /// User or password, or what they may do.
    case denied(String)
    /// The request itself was refused.
    case refused(String)

    var text: String {
        switch self {
        case .unreachable(let text), .revision(let text), .denied(let text), .refused(let text):
            text
        case .noSpace: "the space quota of etcd is used up"
        }
    }
}

/// Speaks to the members of an etcd cluster over the JSON gateway of its v3 API (etcd 3.4 and
/// later).
///
/// A member that does not answer is left for the next one; every request has a time limit, within
/// which it is sent again. So whatever is sent must be harmless when it is carried out twice.
final class EtcdClient: Sendable {
    private struct State {
        var member = 0
        var token: String?
    }

    /// The shortest wait for an answer before another member is asked.
    private static let shortestTry = Duration.milliseconds(300)
    /// Answers are read up to this size.
    private static let largestAnswer = 256 << 20

    let address: EtcdAddress
    private let http: HTTPClient
    private let state = Mutex(State())

    init(_ address: EtcdAddress) throws(StoreProblem) {
        self.address = address
        var configuration = HTTPClient.Configuration()
        // Another member is nearer than a second attempt at the same one.
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.timeout.connect = .seconds(1)
        configuration.redirectConfiguration = .disallow
        configuration.httpVersion = .http1Only
        do {
            if address.isTLS {
                var tls = TLSConfiguration.makeClientConfiguration()
                if let file = address.authorityFile {
                    tls.trustRoots = .certificates(try NIOSSLCertificate.fromPEMFile(file))
                }
                if let file = address.certificateFile {
                    tls.certificateChain = try NIOSSLCertificate.fromPEMFile(file).map {
                        .certificate($0)
                    }
                }
                if let file = address.keyFile {
                    tls.privateKey = .privateKey(try NIOSSLPrivateKey(file: file, format: .pem))
                }
                configuration.tlsConfiguration = tls
            }
        } catch {
            throw StoreProblem(
                .address, path: address.description,
                because: "a certificate or key cannot be read: \(error)")
        }
        http = HTTPClient(
            eventLoopGroupProvider: .shared(HTTPClient.defaultEventLoopGroup),
            configuration: configuration)
    }

    func close() async { try? await http.shutdown() }

    // The library takes it for a mistake when a client goes without that; a second time is none.
    deinit { http.shutdown { _ in } }

    /// Sends a request until a member answers it, at most for so long.
    func call<Answer: Decodable>(
        _ path: String, _ body: some Encodable & Sendable, as type: Answer.Type,
        within limit: Duration
    ) async throws(EtcdProblem) -> Answer {
        let request = try Self.encoded(body)
        let end = ContinuousClock.now + limit
        var failures = 0
        var hasRenewed = false
        while true {
            let member = state.withLock { $0.member }
            let left = end - .now
            do {
                let patience = min(left, max(left / 2, Self.shortestTry))
                return try Self.decoded(
                    type, try await send(path, request, to: member, within: patience))
            } catch {
                switch error {
                case .denied where address.user != nil && !hasRenewed:
                    // A token ends by itself and with the member that gave it.
                    hasRenewed = true
                    state.withLock { $0.token = nil }
                    continue
                case .unreachable: leave(member)
                case .noSpace, .revision, .denied, .refused: throw error
                }
                failures += 1
                // Once round all members there is a pause.
                let pause = Duration.milliseconds(failures % address.members.count == 0 ? 50 : 0)
                guard ContinuousClock.now + pause < end - .milliseconds(10) else { throw error }
                if pause > .zero { try? await Task.sleep(for: pause) }
                if Task.isCancelled { throw .unreachable("it was given up") }
            }
        }
    }

    private func leave(_ member: Int) {
        state.withLock { state in
            if state.member == member { state.member = (member + 1) % address.members.count }
        }
    }

    /// Asks the next member from now on: for when an answer was one that makes no sense.
    func distrust() { leave(state.withLock { $0.member }) }

    private static func encoded(_ body: some Encodable) throws(EtcdProblem) -> [UInt8] {
        do {
            return [UInt8](try JSONEncoder().encode(body))
        } catch {
            throw .refused("\(error)")
        }
    }

    static func decoded<Answer: Decodable>(
        _ type: Answer.Type, _ body: [UInt8]
    ) throws(EtcdProblem) -> Answer {
        do {
            return try JSONDecoder().decode(type, from: Data(body))
        } catch {
            throw .refused("the answer cannot be understood: \(error)")
        }
    }

    private func send(
        _ path: String, _ body: [UInt8], to member: Int, within limit: Duration
    ) async throws(EtcdProblem) -> [UInt8] {
        guard limit > .zero else { throw .unreachable("no time is left") }
        var request = HTTPClientRequest(url: address.bases[member] + path)
        request.method = .POST
        request.body = .bytes(ByteBuffer(bytes: body))
        if let token = try await token(member, within: limit) {
            request.headers.add(name: "Authorization", value: token)
        }
        return try await exchange(request, member, within: limit)
    }

    private func exchange(
        _ request: HTTPClientRequest, _ member: Int, within limit: Duration
    ) async throws(EtcdProblem) -> [UInt8] {
        let http = self.http
        let (status, answer): (HTTPResponseStatus, [UInt8])
        do {
            // The client's own deadline ends with the head of the answer.
            (status, answer) = try await withThrowingTaskGroup(
                of: (HTTPResponseStatus, [UInt8])?.self
            ) { group in
                group.addTask {
                    let deadline = NIODeadline.now() + Self.amount(limit)
                    let response = try await http.execute(request, deadline: deadline)
                    let body = try await response.body.collect(upTo: Self.largestAnswer)
                    return (response.status, Array(buffer: body))
                }
                group.addTask {
                    try await Task.sleep(for: limit)
                    return nil
                }
                defer { group.cancelAll() }
                guard let first = try await group.next(), let answer = first else {
                    throw EtcdProblem.unreachable("the answer was not whole in time")
                }
                return answer
            }
        } catch {
            throw .unreachable("\(address.members[member]): \(error)")
        }
        guard status == .ok else { throw Self.problem(status, answer, address.members[member]) }
        return answer
    }

    private static func amount(_ span: Duration) -> TimeAmount {
        .nanoseconds(
            span.components.seconds * 1_000_000_000 + span.components.attoseconds / 1_000_000_000)
    }

    static func problem(
        _ status: HTTPResponseStatus, _ body: [UInt8], _ member: String
    ) -> EtcdProblem {
        guard let problem = try? JSONDecoder().decode(Etcd.Problem.self, from: Data(body)) else {
            let text = "\(member): status \(status.code)"
            return status.code >= 500 ? .unreachable(text) : .refused(text)
        }
        return Self.problem(problem)
    }

    /// By the codes of gRPC.
    static func problem(_ problem: Etcd.Problem) -> EtcdProblem {
        let text = problem.text
        if text.contains("database space exceeded") { return .noSpace }
        if text.contains("revision has been compacted") || text.contains("future revision") {
            return .revision(text)
        }
        // A token of before a change of users.
        if text.contains("revision of auth store is old") || text.contains("invalid auth token")
            || text.contains("user name is empty")
        {
            return .denied(text)
        }
        switch problem.number {
        case 7, 16: return .denied(text)
        case 1, 2, 4, 10, 13, 14: return .unreachable(text)
        default: return .refused(text)
        }
    }

    // MARK: Users

    private func token(_ member: Int, within limit: Duration) async throws(EtcdProblem) -> String? {
        guard let user = address.user else { return nil }
        if let token = state.withLock({ $0.token }) { return token }
        var request = HTTPClientRequest(url: address.bases[member] + "/v3/auth/authenticate")
        request.method = .POST
        request.body = .bytes(
            ByteBuffer(
                bytes: try Self.encoded(
                    Etcd.Credentials(name: user, password: address.password ?? ""))))
        let answer: [UInt8]
        do {
            answer = try await exchange(request, member, within: limit)
        } catch .refused(let text) {
            throw .denied(text)
        }
        guard let token = try Self.decoded(Etcd.Token.self, answer).token else {
            throw .denied("etcd gave no token to user '\(user)'")
        }
        state.withLock { $0.token = token }
        return token
    }

    /// Takes another token than etcd gave, for tests.
    func forgeToken(_ token: String) { state.withLock { $0.token = token } }

    // MARK: Special calls

    /// What a member says of its version.
    func version(within limit: Duration) async throws(EtcdProblem) -> Etcd.Version {
        var last = EtcdProblem.unreachable("no member was asked")
        for member in address.members.indices {
            do {
                let request = HTTPClientRequest(url: address.bases[member] + "/version")
                return try Self.decoded(
                    Etcd.Version.self, try await exchange(request, member, within: limit))
            } catch {
                last = error
            }
        }
        throw last
    }

    /// Watches a key until the stream breaks, calling `changed` at each event.
    func watch(
        _ key: Data, from revision: Int64, changed: @Sendable () -> Void
    ) async throws(EtcdProblem) {
        let body = try Self.encoded(
            Etcd.WatchRequest(
                create: .init(key: key, startRevision: QuotedNumber(revision))))
        let member = state.withLock { $0.member }
        var request = HTTPClientRequest(url: address.bases[member] + "/v3/watch")
        request.method = .POST
        request.body = .bytes(ByteBuffer(bytes: body))
        if let token = try await token(member, within: .seconds(1)) {
            request.headers.add(name: "Authorization", value: token)
        }
        do {
            let response = try await http.execute(request, deadline: .distantFuture)
            var line: [UInt8] = []
            for try await buffer in response.body {
                for byte in buffer.readableBytesView {
                    guard byte == UInt8(ascii: "\n") else {
                        line.append(byte)
                        if line.count > 1 << 20 { throw EtcdProblem.refused("too long a line") }
                        continue
                    }
                    let answer = try Self.decoded(Etcd.Streamed<Etcd.WatchAnswer>.self, line)
                    line.removeAll(keepingCapacity: true)
                    if answer.error != nil || answer.result?.canceled == true { return }
                    if answer.result?.events?.isEmpty == false { changed() }
                }
            }
        } catch let problem as EtcdProblem {
            throw problem
        } catch {
            throw .unreachable("\(error)")
        }
    }
}
