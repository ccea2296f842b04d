internal import Glibc
public import ProfferIsolation
public import ProfferKernel
public import ProfferModel

/// What a check has found out.
public enum CheckAnswer: Hashable, Sendable {
    /// The command ended with this exit code; 128 plus the number when a signal ended it.
    case command(exitCode: Int)
    /// The server answered with this status code.
    case http(status: Int)
    /// The connection was made, or refused.
    case tcp(succeeded: Bool)
    /// There was no answer in time.
    case timedOut
    /// The check could not be done, and why.
    case failed(String)
}

/// A check to run.
public struct CheckPlan: Hashable, Sendable {
    /// What is asked.
    public var kind: CheckKind
    /// Where a command runs.
    public var directory: String
    /// The environment of a command; what the command itself says is added.
    public var environment: [EnvironmentVariable]
    /// Whom a command runs as, whatever it says itself: the task's user.
    public var user: String?
    /// What a command is kept to: the task's own.
    public var confinement: Confinement
    /// A namespace, such as `/proc/1/ns/net`, from which a server is asked; the node's when absent.
    public var network: String?
    /// The container in which a command runs; none when absent.
    public var container: ContainerEntry?
    /// When it is given up.
    public var deadline: Instant

    /// Sets every field.
    public init(
        kind: CheckKind, directory: String, environment: [EnvironmentVariable],
        user: String? = nil, confinement: Confinement = Confinement(), network: String? = nil,
        container: ContainerEntry? = nil, deadline: Instant
    ) {
        self.container = container
        self.network = network
        self.user = user
        self.confinement = confinement
        self.kind = kind
        self.directory = directory
        self.environment = environment
        self.deadline = deadline
    }
}

/// Runs checks side by side without blocking.
///
/// HTTP and TCP checks go to 127.0.0.1, of the task's own network if it has one. A redirect is an
/// answer and is not followed; of an answer only the first line is read, at most 4 KiB. `https` is
/// asked by the node's `curl` as the task, which does not look at the certificate and reads at most
/// 1 MiB.
public struct CheckRunner: ~Copyable, Sendable {
    private enum Phase {
        case connecting
        case reading([UInt8])
        case command
    }

    private struct Run {
        var plan: CheckPlan
        var phase: Phase
        var socket: Int32 = -1
        /// What curl writes.
        var output: Int32 = -1
    }

    /// The number that stands for the commands among the sockets.
    private static let commands = UInt64.max
    private static let answerLimit = 4096

    private let events: EventSet
    private var watcher: ProcessWatcher
    private var runs: [UInt64: Run] = [:]
    private var finished: [(token: UInt64, answer: CheckAnswer)] = []

    /// Makes a runner without checks.
    public init() throws(SystemError) {
        let events = try EventSet()
        let watcher = try ProcessWatcher()
        try events.add(watcher.fileDescriptor, token: Self.commands)
        self.events = events
        self.watcher = watcher
    }

    deinit {
        for run in runs.values {
            if run.socket >= 0 { close(run.socket) }
            if run.output >= 0 { close(run.output) }
        }
    }

    /// Becomes readable when ``takeAnswers(at:within:)`` has something to do.
    public var fileDescriptor: Int32 { events.descriptor }

    /// When the next check is given up, at once when there are answers waiting.
    ///
    /// O(checks under way).
    public var nextDeadline: Instant? {
        finished.isEmpty ? runs.values.map(\.plan.deadline).min() : .zero
    }

    /// Starts a check under a number that no check under way has.
    public mutating func start(_ plan: CheckPlan, token: UInt64) {
        do throws(SystemError) {
            runs[token] = try begin(plan, token: token)
        } catch {
            finished.append((token, .failed(error.description)))
        }
    }

    private mutating func begin(
        _ plan: CheckPlan, token: UInt64
    ) throws(SystemError) -> Run? {
        switch plan.kind {
        case .command(let command) where plan.container != nil:
            if let entry = plan.container?.plan(command) {
                let process = try ProcessLauncher.start(entry, isExact: false)
                try watcher.watchChild(process, token: token)
            }
            return Run(plan: plan, phase: .command)
        case .command(var command):
            // Another user would be given the task's sandbox, and none is the executor's, who may
            // be root.
            command.user = plan.user
            let process = try ProcessLauncher.start(
                ProcessPlan(
                    command: command, environment: plan.environment + command.environment,
                    directory: plan.directory, output: .discarded,
                    confinement: plan.confinement), isExact: false)
            try watcher.watchChild(process, token: token)
            return Run(plan: plan, phase: .command)
        case .http(let scheme, let port, let path):
            let isPrintable = path.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
            let scheme = scheme.lowercased()
            guard scheme == "http" || scheme == "https", isPrintable else {
                let problem = isPrintable ? "'\(scheme)' is not supported" : "the path is not valid"
                finished.append((token, .failed(problem)))
                return nil
            }
            if scheme == "https" { return try beginCurl(plan, port, path, token) }
            return Run(plan: plan, phase: .connecting, socket: try connect(port, plan, token))
        case .tcp(let port):
            return Run(plan: plan, phase: .connecting, socket: try connect(port, plan, token))
        }
    }

    private mutating func beginCurl(
        _ plan: CheckPlan, _ port: Int, _ path: String, _ token: UInt64
    ) throws(SystemError) -> Run {
        let request = try CurlRequest(port: port, path: path)
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw SystemError("open", "pipe", code: errno) }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        _ = fcntl(ends[0], F_SETFL, O_NONBLOCK)
        defer { close(ends[1]) }
        var confinement = plan.confinement
        if let network = plan.network { confinement.namespaces.append(network) }
        var command = request.command
        command.user = plan.user
        do throws(SystemError) {
            let process = try ProcessLauncher.start(
                ProcessPlan(
                    command: command, environment: [], directory: plan.directory,
                    output: .descriptors(output: ends[1], error: ends[1]),
                    confinement: confinement), isExact: false)
            try watcher.watchChild(process, token: token)
        } catch {
            close(ends[0])
            throw error
        }
        return Run(plan: plan, phase: .command, output: ends[0])
    }

    private func connect(
        _ port: Int, _ plan: CheckPlan, _ token: UInt64
    ) throws(SystemError) -> Int32 {
        guard let port = UInt16(exactly: port), port > 0 else {
            throw SystemError("connect to", "port \(port)", code: EINVAL)
        }
        let descriptor = try TaskNetwork.openSocket(in: plan.network)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        let code = errno
        do throws(SystemError) {
            // A refusal that is known at once shows as an event of the socket all the same.
            guard result == 0 || code == EINPROGRESS || code == ECONNREFUSED else {
                throw SystemError("connect to", "port \(port)", code: code)
            }
            try events.add(descriptor, token: token, writable: true)
        } catch {
            close(descriptor)
            throw error
        }
        return descriptor
    }

    /// Gives up a check without an answer.
    public mutating func cancel(_ token: UInt64) {
        finished.removeAll { $0.token == token }
        drop(token)
    }

    /// Moves every check on and returns those that have ended.
    ///
    /// - Parameters:
    ///   - now: The present instant of the monotonic clock.
    ///   - milliseconds: How long to wait for something to happen.
    /// - Returns: The answers with the numbers of their checks.
    public mutating func takeAnswers(
        at now: Instant, within milliseconds: Int32 = 0
    ) -> [(token: UInt64, answer: CheckAnswer)] {
        for token in events.ready(within: milliseconds) {
            if token == Self.commands {
                reapCommands()
            } else {
                advance(token)
            }
        }
        for (token, run) in runs where run.plan.deadline <= now { end(token, .timedOut) }
        defer { finished = [] }
        return finished
    }

    private mutating func reapCommands() {
        for finished in watcher.takeEnds() where runs[finished.token] != nil {
            guard let exit = finished.exit else {
                end(finished.token, .failed("the command was lost"))
                continue
            }
            let code = exit.code ?? exit.signal.map { 128 + $0 } ?? 0
            if let output = runs[finished.token]?.output, output >= 0 {
                end(finished.token, CurlRequest.answer(code, output))
            } else {
                end(finished.token, .command(exitCode: code))
            }
        }
    }

    private mutating func advance(_ token: UInt64) {
        guard let run = runs[token] else { return }
        switch run.phase {
        case .command: break
        case .connecting: finishConnection(token, run)
        case .reading(let received): readAnswer(token, run, received)
        }
    }

    private mutating func finishConnection(_ token: UInt64, _ run: Run) {
        var code: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        getsockopt(run.socket, SOL_SOCKET, SO_ERROR, &code, &size)
        var address = sockaddr_in()
        var addressSize = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isConnected = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                getpeername(run.socket, $0, &addressSize) == 0
            }
        }
        switch run.plan.kind {
        case .tcp, .command: end(token, .tcp(succeeded: code == 0 && isConnected))
        case .http(_, let port, let path):
            guard code == 0, isConnected else {
                let error = SystemError(
                    "connect to", "port \(port)", code: code == 0 ? ECONNREFUSED : code)
                return end(token, .failed(error.description))
            }
            let request =
                "GET \(path.hasPrefix("/") ? path : "/" + path) HTTP/1.1\r\n"
                + "Host: 127.0.0.1:\(port)\r\nUser-Agent: proffer-executor\r\nAccept: */*\r\n"
                + "Connection: close\r\n\r\n"
            let bytes = Array(request.utf8)
            let sent = send(run.socket, bytes, bytes.count, Int32(MSG_NOSIGNAL))
            do throws(SystemError) {
                // A fresh socket takes a request of this size at once.
                guard sent == bytes.count else {
                    throw SystemError("write to", "port \(port)", code: errno)
                }
                try events.change(run.socket, token: token, writable: false)
                runs[token]?.phase = .reading([])
            } catch {
                end(token, .failed(error.description))
            }
        }
    }

    private mutating func readAnswer(_ token: UInt64, _ run: Run, _ received: [UInt8]) {
        var bytes = received
        let limit = Self.answerLimit - bytes.count
        let more = [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
            count = max(0, recv(run.socket, buffer.baseAddress, limit, 0))
        }
        bytes += more
        if let end = bytes.firstIndex(of: 0x0A) {
            return self.end(token, Self.parseStatus(bytes[..<end]))
        }
        if more.isEmpty || bytes.count >= Self.answerLimit {
            return end(token, .failed("the answer was not HTTP"))
        }
        runs[token]?.phase = .reading(bytes)
    }

    private static func parseStatus(_ line: ArraySlice<UInt8>) -> CheckAnswer {
        let parts = line.split(separator: 0x20)
        guard parts.count >= 2, parts[0].starts(with: "HTTP/".utf8),
            let status = Int(String(decoding: parts[1].filter { $0 != 0x0D }, as: UTF8.self)),
            (100...999).contains(status)
        else { return .failed("the answer was not HTTP") }
        return .http(status: status)
    }

    private mutating func end(_ token: UInt64, _ answer: CheckAnswer) {
        guard runs[token] != nil else { return }
        drop(token)
        finished.append((token, answer))
    }

    private mutating func drop(_ token: UInt64) {
        guard let run = runs.removeValue(forKey: token) else { return }
        if run.output >= 0 { close(run.output) }
        if run.socket >= 0 {
            events.remove(run.socket)
            close(run.socket)
        } else {
            run.plan.container?.leave()
            // Its end is awaited still, so that it is reaped.
            watcher.signalGroup(token, SIGKILL)
        }
    }
}
