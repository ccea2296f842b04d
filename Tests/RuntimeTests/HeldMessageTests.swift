import CoreMetrics
import Logging
import ProfferAgent
@_spi(Driver) import ProfferKernel
import ProfferModel
import ProfferWire
import Synchronization
import Testing

@testable import ProfferRuntime
@testable import ProfferTransport

/// A store that keeps nothing, and says that it has when the test lets it.
private final class SlowStore: RecordStore {
    private let completions = Mutex<[@Sendable ((any Error)?) -> Void]>([])

    func load() -> [AgentRecord] { [] }
    func submit(
        _ records: [AgentRecord], completion: @escaping @Sendable ((any Error)?) -> Void
    ) { completions.withLock { $0.append(completion) } }
    func close() {}

    /// Everything that was submitted is durable.
    func complete() {
        let waiting = completions.withLock { completions in
            defer { completions = [] }
            return completions
        }
        for completion in waiting { completion(nil) }
    }
}

private struct NoExecutors: ExecutorHost {
    func open(_ report: @escaping @Sendable (ExecutorFate) -> Void) {}
    func makeSandbox(_ path: String) {}
    func launch(_ launch: ExecutorLaunch) {}
    func kill(_ container: ContainerID, pid: Int, startTicks: UInt64) {}
    func sweep(_ container: ContainerID, _ sandboxes: [String]) {}
    func adopt(_ container: ContainerID, pid: Int, startTicks: UInt64) -> Bool { false }
    func close() {}
}

private final class Mailbox: Sendable {
    private let mail = Mutex<[AgentMail]>([])

    func post(_ item: AgentMail) { mail.withLock { $0.append(item) } }

    func take() -> [AgentMail] {
        mail.withLock { mail in
            defer { mail = [] }
            return mail
        }
    }
}

@Suite("Messages that wait for the disk")
struct HeldMessageTests {
    /// What was said to whom.
    private func sent(_ links: Links) throws -> [(peer: PeerID, message: AgentToMaster)] {
        try links.commands.compactMap { command in
            guard case .send(let bytes, let peer) = command else { return nil }
            return (peer, try WireCodec.decodeAgentToMaster(bytes))
        }
    }

    @Test("what was meant for a session that has ended does not go out in the next one")
    func newSession() throws {
        let store = SlowStore()
        let mailbox = Mailbox()
        let endpoint = AgentEndpoint.master
        var handler = AgentHandler(
            machine: Agent(
                configuration: AgentConfiguration(workDirectory: "/tmp"),
                info: AgentInfo(hostname: "n", resources: Resources(cpus: Milli(1))),
                bootID: "b", replaying: [], livingExecutors: [],
                wallClock: WallClock(.zero, is: WallTime(nanosecondsSince1970: 0)), seed: 1,
                at: .zero),
            store: store, host: NoExecutors(),
            sink: AgentSink(
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
                metrics: NOOPMetricsHandler.instance),
            usageInterval: .seconds(1_000_000), at: .zero, measure: { AgentUsage() },
            post: { mailbox.post($0) })

        func turn(_ events: [TransportEvent]) throws -> [(peer: PeerID, message: AgentToMaster)] {
            var links = Links()
            handler.turn(events: events, mail: mailbox.take(), at: .zero, links: &links)
            return try sent(links)
        }
        func message(_ message: MasterToAgent, _ peer: PeerID) -> TransportEvent {
            .message(peer, WireCodec.encode(message))
        }

        let (first, second) = (PeerID(1), PeerID(2))
        _ = try turn([.opened(first, endpoint, PeerIdentity())])
        _ = try turn([message(.registered("a", pingTimeout: .seconds(75)), first)])
        store.complete()
        _ = try turn([])

        // The answer to this has to be durable first, and the disk is slow.
        let kill = MasterToAgent.kill(TaskKey("f", "t"), policy: nil)
        #expect(try turn([message(kill, first)]).isEmpty)
        _ = try turn([
            .closed(first, .leaseExpired), .opened(second, endpoint, PeerIdentity()),
        ])
        store.complete()
        let said = try turn([])
        #expect(said.map(\.peer) == [second])
        guard case .reregister? = said.first?.message else {
            Issue.record("said first: \(said)")
            return
        }

        // It is said again once the new session knows the agent.
        let later = try turn([
            message(.reregistered("a", pingTimeout: .seconds(75), reconcile: []), second)
        ])
        #expect(later.map(\.peer) == [second])
        guard case .update(_, let status, _)? = later.first?.message else {
            Issue.record("said later: \(later)")
            return
        }
        #expect(status.taskID == "t")
    }
}
