internal import Foundation
internal import Glibc
internal import ProfferTransport
internal import Synchronization

/// Carries bytes between a master and the members of etcd, and can stop doing so: a partition of
/// the network that needs no rights.
///
/// While it is cut, connections stay as they are and nothing goes through, as with a lost cable.
final class Relay: Sendable {
    /// Where it listens, one port for each member.
    let ports: [UInt16]
    private let listeners: [Int32]
    private let isCut = Atomic(false)
    private let isClosed = Atomic(false)

    /// Begins to carry to these ports of the loopback.
    init(to targets: [UInt16]) throws {
        var listeners: [Int32] = []
        var ports: [UInt16] = []
        for _ in targets {
            let (descriptor, port) = try Self.listen()
            listeners.append(descriptor)
            ports.append(port)
        }
        self.listeners = listeners
        self.ports = ports
        for (listener, target) in zip(listeners, targets) {
            spawnThread(name: "relay") { [self] in takeIn(listener, target) }
        }
    }

    /// Stops or goes on.
    func cut(_ isCut: Bool) { self.isCut.store(isCut, ordering: .releasing) }

    /// Ends for good.
    func close() {
        isClosed.store(true, ordering: .releasing)
        for listener in listeners { shutdown(listener, Int32(SHUT_RDWR)) }
    }

    /// A free port of the loopback, and a socket that listens there.
    private static func listen() throws -> (Int32, UInt16) {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = loopback(0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) == 0 && Glibc.listen(descriptor, 64) == 0
                    && getsockname(descriptor, $0, &length) == 0
            }
        }
        guard descriptor >= 0, isBound else {
            let code = errno
            if descriptor >= 0 { Glibc.close(descriptor) }
            throw CommandProblem(
                .failed, "no port is free", because: String(cString: strerror(code)),
                try: "end programs that hold ports of 127.0.0.1")
        }
        return (descriptor, UInt16(bigEndian: address.sin_port))
    }

    /// Ports of the loopback that nobody has at this moment, all different.
    static func freePorts(_ count: Int) throws -> [UInt16] {
        let taken = try (0..<count).map { _ in try listen() }
        for (descriptor, _) in taken { Glibc.close(descriptor) }
        return taken.map(\.1)
    }

    private static func loopback(_ port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return address
    }

    private func takeIn(_ listener: Int32, _ target: UInt16) {
        while !isClosed.load(ordering: .acquiring) {
            let near = accept(listener, nil, nil)
            guard near >= 0 else {
                if errno == EINTR { continue }
                break
            }
            _ = fcntl(near, F_SETFD, FD_CLOEXEC)
            let far = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
            var address = Self.loopback(target)
            let isConnected = withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    connect(far, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
                }
            }
            guard isConnected else {
                Glibc.close(near)
                if far >= 0 { Glibc.close(far) }
                continue
            }
            let pair = Pair(near, far)
            spawnThread(name: "relay") { [self] in carry(pair.near, pair.far, pair) }
            spawnThread(name: "relay") { [self] in carry(pair.far, pair.near, pair) }
        }
        Glibc.close(listener)
    }

    /// Two connected sockets, closed when both directions have ended.
    private final class Pair: Sendable {
        let near: Int32
        let far: Int32

        init(_ near: Int32, _ far: Int32) {
            self.near = near
            self.far = far
        }

        func end() {
            shutdown(near, Int32(SHUT_RDWR))
            shutdown(far, Int32(SHUT_RDWR))
        }

        deinit {
            Glibc.close(near)
            Glibc.close(far)
        }
    }

    private func carry(_ from: Int32, _ to: Int32, _ pair: Pair) {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = read(from, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            // A thread that carries this direction alone: nothing else waits for it.
            while isCut.load(ordering: .acquiring), !isClosed.load(ordering: .acquiring) {
                usleep(20_000)
            }
            var sent = 0
            while sent < count {
                let step = buffer[sent..<count].withUnsafeBytes {
                    send(to, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
                }
                guard step > 0 else { break }
                sent += step
            }
            if sent < count { break }
        }
        pair.end()
    }
}
