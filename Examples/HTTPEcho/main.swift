import Glibc

// http-echo: a small HTTP server for demonstrations and tests of schedulers.
//
//   http-echo [--version-text TEXT] [--port PORT] [--delay-ms N] [--drain-ms N]
//
// It listens on --port, $PORT0 or $PORT of 127.0.0.1, and of $HOST when that is another address of
// this machine, but never of all addresses. `GET /health` answers 200, every other
// path answers the version text and the pid. On SIGTERM it goes on serving until no request has
// come for --drain-ms (250), so that a proxy that still sends here loses nothing, answers
// `/health` with 503 and every request with `Connection: close`, and then ends with code 0.

/// What the command line and the environment say.
struct Options {
    var versionText = "v1"
    var port: UInt16?
    var delayMilliseconds: UInt32 = 0
    var drainMilliseconds: Int64 = 250
    /// However many requests still come, no connection is accepted after so long.
    var drainLimitMilliseconds: Int64 = 2000

    init(_ arguments: ArraySlice<String>) {
        for name in ["PORT0", "PORT"] where port == nil {
            port = getenv(name).flatMap { UInt16(String(cString: $0)) }
        }
        var rest = arguments
        while let argument = rest.popFirst() {
            guard let value = rest.popFirst() else { fail("\(argument) needs a value") }
            switch argument {
            case "--version-text": versionText = value
            case "--port": port = UInt16(value)
            case "--delay-ms": delayMilliseconds = UInt32(value) ?? 0
            case "--drain-ms": drainMilliseconds = Int64(value) ?? 250
            default: fail("unknown option \(argument)")
            }
        }
    }
}

func fail(_ message: String) -> Never {
    say("http-echo: \(message)", to: STDERR_FILENO)
    exit(64)
}

func log(_ message: String) { say("http-echo \(getpid()): \(message)", to: STDOUT_FILENO) }

func say(_ line: String, to descriptor: Int32) {
    let bytes = Array((line + "\n").utf8)
    write(descriptor, bytes, bytes.count)
}

func milliseconds() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
}

/// One client; several requests may follow each other on it.
struct Connection {
    var received: [UInt8] = []
    var unsent: ArraySlice<UInt8> = []
    var endsWhenSent = false
}

/// Why a server cannot listen on an address.
struct ListenProblem: Error {
    var code: Int32
    var text: String { String(cString: strerror(code)) }
    /// Whether the address belongs to another machine.
    var isElsewhere: Bool { code == EADDRNOTAVAIL }
}

/// Serves all connections from one thread.
struct Server {
    private static let requestLimit = 16_384

    let options: Options
    private var listeners: [Int32]
    let stopDescriptor: Int32
    private var connections: [Int32: Connection] = [:]
    private var drainBegan: Int64?
    private var lastRequest: Int64 = 0

    init(options: Options, listeners: [Int32], stopDescriptor: Int32) {
        self.options = options
        self.listeners = listeners
        self.stopDescriptor = stopDescriptor
    }

    /// A socket that listens on one address of this machine, or the reason why there is none.
    static func listen(on host: in_addr, port: UInt16) -> Result<Int32, ListenProblem> {
        let flags = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        let listener = socket(AF_INET, flags, 0)
        var on: Int32 = 1
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr = host
        let isBound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
        guard isBound, Glibc.listen(listener, 1024) == 0 else {
            let problem = ListenProblem(code: errno)
            close(listener)
            return .failure(problem)
        }
        return .success(listener)
    }

    /// Serves until SIGTERM has come and the drain is over.
    mutating func run() {
        while true {
            let waiting = [stopDescriptor] + listeners
            var descriptors = waiting.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            for (descriptor, connection) in connections {
                let events = connection.unsent.isEmpty ? POLLIN : POLLOUT
                descriptors.append(pollfd(fd: descriptor, events: Int16(events), revents: 0))
            }
            let ready = poll(&descriptors, nfds_t(descriptors.count), drainBegan == nil ? 1000 : 20)
            let now = milliseconds()
            if ready > 0 {
                if descriptors[0].revents != 0, drainBegan == nil {
                    drainBegan = now
                    lastRequest = now
                    log("draining")
                }
                for item in descriptors.dropFirst(waiting.count) where item.revents != 0 {
                    advance(item.fd, now)
                }
                for item in descriptors[..<waiting.count].dropFirst() where item.revents != 0 {
                    acceptAll(from: item.fd, now)
                }
            }
            if isDrained(now) { return }
        }
    }

    /// Closes the listeners when the drain is over, then waits for the last answers.
    private mutating func isDrained(_ now: Int64) -> Bool {
        guard let drainBegan else { return false }
        let isQuiet = now - lastRequest >= options.drainMilliseconds
        if !listeners.isEmpty, isQuiet || now - drainBegan >= options.drainLimitMilliseconds {
            for listener in listeners {
                acceptAll(from: listener, now)
                close(listener)
            }
            listeners = []
            lastRequest = now
            return false
        }
        return listeners.isEmpty && (connections.isEmpty || isQuiet)
    }

    private mutating func acceptAll(from listener: Int32, _ now: Int64) {
        while true {
            let descriptor = accept(listener, nil, nil)
            if descriptor < 0 { return }
            _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
            connections[descriptor] = Connection()
            advance(descriptor, now)
        }
    }

    private mutating func end(_ descriptor: Int32) {
        connections[descriptor] = nil
        close(descriptor)
    }

    /// Reads, answers and writes as far as possible without waiting.
    private mutating func advance(_ descriptor: Int32, _ now: Int64) {
        guard var connection = connections[descriptor] else { return }
        while connection.unsent.isEmpty {
            if let request = takeRequest(&connection) {
                answer(request, &connection, now)
                break
            }
            var buffer = [UInt8](repeating: 0, count: 4096)
            let count = recv(descriptor, &buffer, buffer.count, 0)
            if count < 0, errno == EAGAIN || errno == EINTR { break }
            if count <= 0 || connection.received.count > Self.requestLimit {
                return end(descriptor)
            }
            connection.received += buffer[..<count]
        }
        while !connection.unsent.isEmpty {
            let count = connection.unsent.withUnsafeBytes {
                send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count < 0, errno == EAGAIN || errno == EINTR { break }
            if count <= 0 { return end(descriptor) }
            connection.unsent = connection.unsent.dropFirst(count)
            if connection.unsent.isEmpty, connection.endsWhenSent { return end(descriptor) }
        }
        connections[descriptor] = connection
        // A second request may have come in the same packet.
        if connection.unsent.isEmpty, headEnd(connection.received) != nil {
            advance(descriptor, now)
        }
    }

    private func headEnd(_ bytes: [UInt8]) -> Int? {
        guard bytes.count >= 4 else { return nil }
        return (3..<bytes.count).first { index in
            bytes[index] == 10 && bytes[index - 1] == 13 && bytes[index - 2] == 10
                && bytes[index - 3] == 13
        }
    }

    /// Takes the head of a request; bodies are not expected.
    private func takeRequest(_ connection: inout Connection) -> String? {
        guard let end = headEnd(connection.received) else { return nil }
        let head = String(decoding: connection.received[...end], as: UTF8.self)
        connection.received.removeFirst(end + 1)
        return head
    }

    private mutating func answer(_ head: String, _ connection: inout Connection, _ now: Int64) {
        lastRequest = now
        if options.delayMilliseconds > 0 { usleep(options.delayMilliseconds * 1000) }
        let line = head.split(separator: "\r\n").first ?? ""
        let words = line.split(separator: " ")
        let isDraining = drainBegan != nil
        var status = "200 OK"
        var body = "\(options.versionText) \(getpid())\n"
        if words.count != 3 || words[0] != "GET" && words[0] != "HEAD" {
            status = "400 Bad Request"
            body = "only GET is served\n"
        } else if words[1] == "/health" {
            status = isDraining ? "503 Service Unavailable" : "200 OK"
            body = isDraining ? "draining\n" : "ok\n"
        }
        let lowered = head.lowercased()
        connection.endsWhenSent =
            isDraining || lowered.contains("connection: close") || words.last == "HTTP/1.0"
            || status.hasPrefix("400")
        let text =
            "HTTP/1.1 \(status)\r\nContent-Type: text/plain\r\n"
            + "Content-Length: \(body.utf8.count)\r\n"
            + "Connection: \(connection.endsWhenSent ? "close" : "keep-alive")\r\n\r\n"
            + (words.first == "HEAD" ? "" : body)
        connection.unsent = Array(text.utf8)[...]
    }
}

let options = Options(CommandLine.arguments.dropFirst())
guard let port = options.port, port > 0 else {
    fail("no port: give --port or set PORT0 or PORT")
}

// SIGTERM writes a byte to a pipe that the server polls.
var pipeEnds: [Int32] = [0, 0]
guard pipe(&pipeEnds) == 0 else { fail("no pipe") }
let stopWriter = pipeEnds[1]
signal(SIGTERM) { _ in
    var byte: UInt8 = 1
    write(stopWriter, &byte, 1)
}
signal(SIGINT, SIG_IGN)

// 127.0.0.1 always; on a machine whose agents have loopback addresses of their own, $HOST too.
let loopback = in_addr(s_addr: UInt32(0x7F00_0001).bigEndian)
var addresses = [loopback]
var host = in_addr()
if let name = getenv("HOST"), inet_pton(AF_INET, name, &host) == 1, host.s_addr != 0,
    host.s_addr != loopback.s_addr
{
    addresses.append(host)
}
var listeners: [Int32] = []
for address in addresses {
    switch Server.listen(on: address, port: port) {
    case .success(let listener): listeners.append(listener)
    case .failure(let problem):
        // Another server of this machine may have the port on 127.0.0.1 when $HOST is given.
        if problem.isElsewhere || addresses.count > 1 && address.s_addr == loopback.s_addr {
            log("does not listen on \(text(address)): \(problem.text)")
        } else {
            fail("cannot listen on \(text(address)), port \(port): \(problem.text)")
        }
    }
}
guard !listeners.isEmpty else { fail("no address to listen on") }

func text(_ address: in_addr) -> String {
    let bytes = withUnsafeBytes(of: address.s_addr) { $0.map(String.init) }
    return bytes.joined(separator: ".")
}

var server = Server(options: options, listeners: listeners, stopDescriptor: pipeEnds[0])
log("\(options.versionText) listens on port \(port)")
server.run()
log("done")
