import Glibc
import ProfferKernel
import ProfferModel
import ProfferTransport
import ProfferWire
import ProfferZeroMQ
import Synchronization

/// The agent's end of an executor's socket: keeps what it hears, acknowledges every update.
final class FakeAgent: Sendable {
    enum Mail: Sendable {
        case tell(ExecutorEvent)
        case stop
    }

    struct Heard {
        var calls: [ExecutorCall] = []
        var credentials: [[UInt8]] = []
        var sessions = 0
    }

    let address: String
    private let reactor: Reactor<Mail>
    private let heard = Mutex(Heard())

    init(address: String, context: Context) throws {
        let endpoint = Endpoint.listen(EndpointID("executors"), address: address, .local)
        let coding = EnvelopeCoding(
            encode: { EnvelopeCodec.encode($0) }, decode: { try EnvelopeCodec.decode($0) })
        reactor = try Reactor(
            ReactorConfiguration(name: "fake-agent", endpoints: [endpoint], coding: coding),
            context: context)
        self.address = address
        _ = try reactor.start { [self] in Handler(agent: self) }
    }

    func tell(_ event: ExecutorEvent) { reactor.post(.tell(event)) }

    func stop() async {
        reactor.post(.stop)
        await reactor.finished()
    }

    var calls: [ExecutorCall] { heard.withLock { $0.calls } }
    var credentials: [[UInt8]] { heard.withLock { $0.credentials } }
    var sessions: Int { heard.withLock { $0.sessions } }

    var updates: [TaskStatus] {
        calls.flatMap { call -> [TaskStatus] in
            switch call {
            case .update(let status): [status]
            case .subscribe(_, let updates): updates
            case .message, .heartbeat, .usage: []
            }
        }
    }

    func updates(of id: TaskID) -> [TaskStatus] { updates.filter { $0.taskID == id } }

    var usages: [TaskUsage] {
        calls.flatMap { call -> [TaskUsage] in
            if case .usage(let usages) = call { usages } else { [] }
        }
    }

    private final class Handler: ReactorHandler {
        let agent: FakeAgent
        var peer: PeerID?

        init(agent: FakeAgent) { self.agent = agent }

        var nextDeadline: Instant? { nil }

        func turn(
            events: [TransportEvent], mail: [Mail], at now: Instant, links: inout Links
        ) {
            for event in events {
                switch event {
                case .opened(let peer, _, let identity):
                    self.peer = peer
                    agent.heard.withLock {
                        $0.credentials.append(identity.credential)
                        $0.sessions += 1
                    }
                case .closed: peer = nil
                case .readable: break
                case .message(let peer, let bytes):
                    guard let message = try? WireCodec.decodeExecutorMessage(bytes) else {
                        continue
                    }
                    agent.heard.withLock { $0.calls.append(message.call) }
                    answer(message, peer, &links)
                }
            }
            for item in mail {
                switch item {
                case .tell(let event):
                    if let peer { links.send(WireCodec.encode(event), to: peer) }
                case .stop: links.stop()
                }
            }
        }

        private func answer(_ message: ExecutorMessage, _ peer: PeerID, _ links: inout Links) {
            var updates: [TaskStatus] = []
            switch message.call {
            case .subscribe(_, let unacknowledged):
                updates = unacknowledged
                let framework = FrameworkInfo(
                    name: "tests", id: message.frameworkID, capabilities: [.taskKillingState])
                let event = ExecutorEvent.subscribed(
                    executor: ExecutorInfo(id: message.executorID), framework: framework,
                    agent: AgentInfo(hostname: "node", id: "agent"), container: "run")
                links.send(WireCodec.encode(event), to: peer)
            case .update(let status): updates = [status]
            case .message, .heartbeat, .usage: break
            }
            for status in updates {
                guard let uuid = status.uuid else { continue }
                let event = ExecutorEvent.acknowledged(status.taskID, uuid: uuid)
                links.send(WireCodec.encode(event), to: peer)
            }
        }
    }
}

/// A directory of its own, removed at the end.
final class Scratch: Sendable {
    let path: String

    init() throws {
        var template = Array("/tmp/proffer-executor-XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else { throw Failure() }
        path = String(cString: made)
    }

    struct Failure: Error {}

    deinit { Scratch.remove(path) }

    private static func remove(_ path: String) {
        if let stream = opendir(path) {
            while let entry = readdir(stream) {
                let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                    String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
                }
                if name == "." || name == ".." { continue }
                let isDirectory = entry.pointee.d_type == UInt8(DT_DIR)
                if isDirectory { remove("\(path)/\(name)") } else { unlink("\(path)/\(name)") }
            }
            closedir(stream)
        }
        rmdir(path)
    }

    func makeDirectory(_ name: String) -> String {
        mkdir("\(path)/\(name)", 0o700)
        return "\(path)/\(name)"
    }

    func text(_ name: String) -> String {
        guard let file = fopen("\(path)/\(name)", "r") else { return "" }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 65_536)
        let count = fread(&bytes, 1, bytes.count, file)
        return String(decoding: bytes[..<count], as: UTF8.self)
    }

    func exists(_ name: String) -> Bool { access("\(path)/\(name)", F_OK) == 0 }
}

/// Waits until something is true; fails after fifteen seconds.
func eventually(_ condition: () -> Bool) -> Bool {
    let end = SystemClock.now() + .seconds(15)
    while SystemClock.now() < end {
        if condition() { return true }
        usleep(2000)
    }
    return condition()
}
