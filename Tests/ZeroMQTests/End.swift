import Foundation
import Glibc
import ProfferZeroMQ
import Testing

/// A socket with its monitor, and everything that has come out of both.
final class End {
    let monitor: Monitor
    let socket: Socket
    private(set) var messages: [[[UInt8]]] = []
    private(set) var keys: [String?] = []
    private(set) var events: [ConnectionEvent] = []

    init(
        _ kind: Socket.Kind, _ context: Context, limits: SocketLimits = SocketLimits(),
        configure: (borrowing Socket) throws -> Void = { _ in }
    ) throws {
        socket = try Socket(kind, in: context)
        monitor = try Monitor(socket)
        try socket.apply(limits, isRouter: kind == .router)
        try configure(socket)
    }

    func drain() throws {
        var frame = Frame()
        while try socket.receive(&frame) {
            var parts = [frame.bytes]
            while frame.hasMore, try socket.receive(&frame) { parts.append(frame.bytes) }
            keys.append(frame.property("User-Id"))
            messages.append(parts)
        }
        while let event = try monitor.next() { events.append(event) }
    }

    /// The last parts of the messages, without what stands before them.
    var bodies: [[UInt8]] { messages.compactMap(\.last) }

    func has(_ isWanted: (ConnectionEvent) -> Bool) -> Bool { events.contains(where: isWanted) }

    var handshakes: Int {
        events.count { if case .handshakeSucceeded = $0 { true } else { false } }
    }

    var problems: [HandshakeProblem] {
        events.compactMap { if case .handshakeFailed(_, let problem) = $0 { problem } else { nil } }
    }

    var disconnections: Int {
        events.count { if case .disconnected = $0 { true } else { false } }
    }
}

/// Lets the sockets work until a condition holds; a generous deadline makes a failure of it.
func eventually(
    _ what: Comment, _ ends: End..., authenticator: AuthenticatorBox? = nil,
    at location: SourceLocation = #_sourceLocation, _ isReached: () throws -> Bool
) throws {
    for _ in 0..<4000 {
        try authenticator?.authenticator.answerAll()
        for end in ends { try end.drain() }
        if try isReached() { return }
        poll(nil, 0, 5)
    }
    Issue.record(what, sourceLocation: location)
}

/// An authenticator that can be handed around.
final class AuthenticatorBox {
    let authenticator: Authenticator
    let allowed = AllowList()

    init(_ context: Context) throws {
        authenticator = try Authenticator(in: context, allowList: allowed)
    }
}

/// A TCP connection that does not speak ZeroMQ.
final class RawPeer {
    private let descriptor: Int32

    init?(_ address: String) {
        guard let colon = address.lastIndex(of: ":"),
            let port = UInt16(address[address.index(after: colon)...])
        else { return nil }
        descriptor = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_port = port.bigEndian
        name.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let code = withUnsafePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard code == 0 else { return nil }
    }

    deinit { close(descriptor) }

    func send(_ bytes: [UInt8]) {
        _ = Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    }

    /// Whether the other end has closed the connection; what it sent before is thrown away.
    var isCutOff: Bool {
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
            if count == 0 { return true }
            if count < 0 { return errno != EAGAIN && errno != EINTR }
        }
    }
}

/// A new directory below the temporary one, removed at the end.
final class Scratch {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.path + "/proffer-" + UUID().uuidString
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: false,
            attributes: [.posixPermissions: 0o700])
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String) -> String { path + "/" + name }
}
