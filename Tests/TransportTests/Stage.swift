import Foundation
import Glibc
import ProfferKernel
import ProfferSession
import ProfferTransport
import ProfferWire
import ProfferZeroMQ
import Synchronization
import Testing

/// Waits until a condition holds; a generous deadline makes a failure of it.
func eventually(
    _ what: Comment, at location: SourceLocation = #_sourceLocation,
    _ isReached: () throws -> Bool
) async throws {
    for _ in 0..<4000 {
        if try isReached() { return }
        try await Task.sleep(for: .milliseconds(5))
    }
    Issue.record(what, sourceLocation: location)
}

extension Recorder {
    var opened: [PeerID] { state.withLock { $0.opened } }
    var messages: [[UInt8]] { state.withLock { $0.messages } }
    var closed: [CloseReason] { state.withLock { $0.closed } }
}

/// A listening reactor on TCP with CURVE, its keys and its records.
final class Server: Sendable {
    static let domain = "test"

    let keys: KeyPair
    let allowed = AllowList()
    let recorder = Recorder()
    let reactor: Reactor<Order>
    let address: String

    init(
        echoes: Bool = false, at listen: String = "tcp://127.0.0.1:*", keys: KeyPair? = nil,
        _ configure: (inout ReactorConfiguration) -> Void = { _ in }
    ) throws {
        let keys = try keys ?? KeyPair.generate()
        self.keys = keys
        let security: ListenSecurity =
            listen.hasPrefix("tcp") ? .curve(keys, domain: Self.domain, allowed) : .local
        var configuration = ReactorConfiguration(
            name: "server", endpoints: [.listen(EndpointID("s"), address: listen, security)],
            coding: coding)
        configuration.clusterID = "c"
        configuration.epoch = 3
        configure(&configuration)
        reactor = try Reactor<Order>(configuration, context: try Context())
        let recorder = recorder
        address = try #require(
            try reactor.start { TestHandler(recorder, echoes: echoes) }[EndpointID("s")])
    }

    func newKeys() throws -> KeyPair {
        let keys = try KeyPair.generate()
        allowed.insert(keys.publicKey, domain: Self.domain)
        return keys
    }

    func dialer(
        _ keys: KeyPair, addresses: [String]? = nil, serverKey: String? = nil,
        _ configure: (inout ReactorConfiguration) -> Void = { _ in }
    ) throws -> Client {
        let security: DialSecurity =
            address.hasPrefix("tcp")
            ? .curve(keys, serverKey: serverKey ?? self.keys.publicKey) : .local
        var configuration = ReactorConfiguration(
            name: "client",
            endpoints: [
                .dial(EndpointID("c"), addresses: addresses ?? [address], security)
            ], coding: coding)
        configure(&configuration)
        return try Client(configuration)
    }

    func stop() async {
        reactor.post(.stop)
        await reactor.finished()
    }
}

/// A dialling reactor and its records.
final class Client: Sendable {
    let recorder = Recorder()
    let reactor: Reactor<Order>

    init(_ configuration: ReactorConfiguration) throws {
        reactor = try Reactor<Order>(configuration, context: try Context())
        let recorder = recorder
        _ = try reactor.start { TestHandler(recorder) }
    }

    func stop() async {
        reactor.post(.stop)
        await reactor.finished()
    }
}

/// A peer that speaks ZeroMQ and CURVE but keeps no rules above them.
final class RawClient {
    private let context: Context
    private let socket: Socket
    private(set) var received: [Envelope] = []

    init(_ server: Server, _ keys: KeyPair, routingID: String? = nil) throws {
        context = try Context()
        socket = try Socket(.dealer, in: context)
        try socket.apply(SocketLimits(), isRouter: false)
        if let routingID { try socket.setRoutingID(routingID) }
        try socket.actAsClient(keys, server: server.keys.publicKey)
        try socket.connect(server.address)
    }

    /// Sends parts as one message, as soon as there is a connection.
    func send(_ parts: [[UInt8]]) async throws {
        try await eventually("sent") {
            do {
                for (index, part) in parts.enumerated() {
                    try socket.send(part, more: index < parts.count - 1)
                }
                return true
            } catch let error as ZeroMQError where error.isTryAgain {
                return false
            }
        }
    }

    func send(_ envelope: Envelope) async throws {
        try await send([EnvelopeCodec.encode(envelope)])
    }

    /// Opens a session and waits for the acceptance.
    func open(_ session: UInt64) async throws {
        try await send(Envelope(session: session, content: .open(credential: [])))
        try await eventually("accepted") {
            try contents(session).contains {
                if case .accepted = $0 { true } else { false }
            }
        }
    }

    func drain() throws {
        var frame = Frame()
        while try socket.receive(&frame) {
            received.append(try EnvelopeCodec.decode(frame.bytes))
        }
    }

    /// What has been said in a session so far.
    func contents(_ session: UInt64) throws -> [Envelope.Content] {
        try drain()
        return received.filter { $0.session == session }.map(\.content)
    }

    /// The numbers of the messages that have come in a session so far, each once.
    func messages(_ session: UInt64) throws -> Set<UInt64> {
        try drain()
        return received.reduce(into: []) { numbers, envelope in
            guard envelope.session == session, case .message = envelope.content else { return }
            numbers.insert(envelope.sequence)
        }
    }

    /// Waits until a session is closed, and returns the reason.
    func reason(_ session: UInt64) async throws -> String {
        var reason: String?
        try await eventually("closed") {
            for case .closed(let text) in try contents(session) { reason = text }
            return reason != nil
        }
        return reason ?? ""
    }
}

/// A TCP relay whose connections can be cut.
final class Relay: Sendable {
    private let listener: Int32
    private let target: UInt16
    let address: String
    private let open = Mutex<[Int32]>([])

    init(to address: String) throws {
        target = try #require(address.split(separator: ":").last.flatMap { UInt16($0) })
        let descriptor = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        listener = descriptor
        var name = Self.loopback(0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let code = withUnsafeMutablePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { any in
                bind(descriptor, any, length) == 0 && listen(descriptor, 64) == 0
                    && getsockname(descriptor, any, &length) == 0
            }
        }
        try #require(code)
        self.address = "tcp://127.0.0.1:\(UInt16(bigEndian: name.sin_port))"
        spawnThread(name: "relay") { [self] in
            while true {
                let near = accept(listener, nil, nil)
                guard near >= 0 else { return }
                relay(near)
            }
        }
    }

    private static func loopback(_ port: UInt16) -> sockaddr_in {
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_port = port.bigEndian
        name.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return name
    }

    private func relay(_ near: Int32) {
        let far = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var name = Self.loopback(target)
        let code = withUnsafePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(far, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard code == 0 else {
            close(near)
            close(far)
            return
        }
        open.withLock { $0 += [near, far] }
        for (from, to) in [(near, far), (far, near)] {
            spawnThread(name: "relay") {
                var buffer = [UInt8](repeating: 0, count: 4096)
                while true {
                    let count = recv(from, &buffer, buffer.count, 0)
                    guard count > 0, Glibc.send(to, buffer, count, Int32(MSG_NOSIGNAL)) == count
                    else { break }
                }
                // Descriptors stay open until the end, so that no number is used twice.
                shutdown(from, Int32(SHUT_RDWR))
                shutdown(to, Int32(SHUT_RDWR))
            }
        }
    }

    /// Cuts every connection; new ones are relayed.
    func cut() {
        open.withLock { for descriptor in $0 { shutdown(descriptor, Int32(SHUT_RDWR)) } }
    }

    func end() {
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
        cut()
    }
}

/// A new directory below the temporary one, removed at the end.
final class Scratch {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.path + "/p-" + UUID().uuidString
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: false,
            attributes: [.posixPermissions: 0o700])
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}
