import ClusterProbe
import Foundation
import Glibc
import Synchronization

/// A proxy for TCP connections that does to bytes what networks do.
///
/// Listens on a port of its own on the loopback interface and carries bytes both ways, on two
/// threads for each connection. Ends with ``close()``.
final class ByteProxy: Sendable {
    /// What happens to bytes from now on.
    enum Fault: Sendable, Equatable {
        /// They are carried.
        case none
        /// Each piece comes later.
        case delay(milliseconds: UInt32)
        /// After so many further bytes the connection breaks, wherever in a frame that is; later
        /// connections are not touched.
        case cut(after: Int)
        /// They wait, and come when this ends.
        case stall
        /// They vanish and nobody is told; the connection breaks when this ends.
        case vanish
    }

    /// Which bytes.
    enum Direction: Sendable {
        case toServer
        case toClient
        case both
    }

    private struct State {
        var faults: [Fault] = [.none, .none]
        var connections: [Int: Pair] = [:]
        var number = 0
        var cuts = 0
        var isClosed = false
    }

    private struct Pair {
        var client: Int32
        var server: Int32
    }

    let port: Int
    private let target: Int
    private let listener: Int32
    private let state = Mutex(State())

    /// Carries connections to a port on the loopback interface.
    init(to target: Int) throws {
        self.target = target
        let listener = socket(
            AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        self.listener = listener
        var address = Self.address(0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, length) == 0 && Glibc.listen(listener, 64) == 0
                    && getsockname(listener, $0, &length) == 0
            }
        }
        port = Int(UInt16(bigEndian: address.sin_port))
        guard isBound else { throw NeverHappened(description: "no port for a proxy: \(errno)") }
        Thread { [self] in accept() }.start()
    }

    /// How many connections were cut by ``Fault/cut(after:)``.
    var cuts: Int { state.withLock { $0.cuts } }

    /// How many connections live.
    var connections: Int { state.withLock { $0.connections.count } }

    /// Begins a fault, in place of the one before.
    func set(_ fault: Fault, _ direction: Direction = .both) {
        let old = state.withLock { state in
            let old = state.faults
            if direction != .toClient { state.faults[0] = fault }
            if direction != .toServer { state.faults[1] = fault }
            return old
        }
        if old.contains(.vanish) { breakAll() }
    }

    /// Breaks every connection.
    func breakAll() {
        let all = state.withLock { Array($0.connections.values) }
        for pair in all { Self.shut(pair) }
    }

    /// Breaks every connection and lets no more in.
    func close() {
        state.withLock { $0.isClosed = true }
        shutdown(listener, Int32(SHUT_RDWR))
        breakAll()
    }

    private static func address(_ port: Int) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        address.sin_port = in_port_t(clamping: port).bigEndian
        return address
    }

    private static func shut(_ pair: Pair) {
        shutdown(pair.client, Int32(SHUT_RDWR))
        shutdown(pair.server, Int32(SHUT_RDWR))
    }

    private func accept() {
        while true {
            let client = Glibc.accept(listener, nil, nil)
            _ = fcntl(client, F_SETFD, FD_CLOEXEC)
            if state.withLock({ $0.isClosed }) || client < 0 {
                if client >= 0 { Glibc.close(client) }
                if state.withLock({ $0.isClosed }) { break }
                continue
            }
            connect(client)
        }
        Glibc.close(listener)
    }

    private func connect(_ client: Int32) {
        let server = socket(
            AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = Self.address(target)
        let isConnected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(server, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
        guard isConnected else {
            Glibc.close(server)
            Glibc.close(client)
            return
        }
        let pair = Pair(client: client, server: server)
        let number = state.withLock { state in
            state.number += 1
            state.connections[state.number] = pair
            return state.number
        }
        let ends = Ends()
        for (index, from, to) in [(0, client, server), (1, server, client)] {
            Thread { [self] in
                pump(index, from, to)
                Self.shut(pair)
                if ends.finishOne() {
                    state.withLock { $0.connections[number] = nil }
                    Glibc.close(client)
                    Glibc.close(server)
                }
            }.start()
        }
    }

    /// Counts the two threads of a connection.
    private final class Ends: Sendable {
        private let left = Mutex(2)

        func finishOne() -> Bool {
            left.withLock { left in
                left -= 1
                return left == 0
            }
        }
    }

    private func pump(_ index: Int, _ from: Int32, _ to: Int32) {
        var buffer = [UInt8](repeating: 0, count: 16_384)
        while true {
            let count = recv(from, &buffer, buffer.count, 0)
            if count <= 0 {
                // Whoever is on the other side of a hole is not told; the thread has nothing else
                // to do until the hole is gone.
                while state.withLock({ $0.faults[index] == .vanish && !$0.isClosed }) {
                    usleep(2_000)
                }
                return
            }
            guard carry(buffer[..<count], index, to) else { return }
        }
    }

    /// Carries a piece as the fault says; `false` when the connection is to break.
    private func carry(_ piece: ArraySlice<UInt8>, _ index: Int, _ to: Int32) -> Bool {
        while true {
            let (fault, isClosed) = state.withLock { state -> (Fault, Bool) in
                let fault = state.faults[index]
                if case .cut(let after) = fault {
                    state.faults[index] =
                        piece.count < after
                        ? .cut(after: after - piece.count) : .none
                    if piece.count >= after { state.cuts += 1 }
                }
                return (fault, state.isClosed)
            }
            if isClosed { return false }
            switch fault {
            case .none: return Self.write(piece, to)
            case .delay(let milliseconds):
                // The wait is the fault.
                usleep(milliseconds * 1000)
                return Self.write(piece, to)
            case .cut(let after):
                if piece.count < after { return Self.write(piece, to) }
                _ = Self.write(piece.prefix(after), to)
                return false
            case .stall:
                // Looks again at what the fault is now.
                usleep(2_000)
            case .vanish: return true
            }
        }
    }

    private static func write(_ piece: ArraySlice<UInt8>, _ to: Int32) -> Bool {
        var rest = piece
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes {
                send(to, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count <= 0 { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }
}
