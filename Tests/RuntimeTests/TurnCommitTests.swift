import CoreMetrics
import Logging
import ProfferAgent
import ProfferKernel
import ProfferModel
import ProfferWire
import Synchronization
import Testing

@testable import ProfferRuntime
@testable import ProfferTransport

@Suite("One commit for a turn of an agent")
struct TurnCommitTests {
    /// Keeps what it is given and confirms nothing by itself.
    private final class SlowStore: RecordStore {
        let submitted = Mutex<[[AgentRecord]]>([])

        func load() -> [AgentRecord] { [] }

        func submit(
            _ records: [AgentRecord], completion: @escaping @Sendable ((any Error)?) -> Void
        ) { submitted.withLock { $0.append(records) } }

        func close() {}
    }

    private final class NoHost: ExecutorHost {
        let sandboxes = Mutex<[String]>([])

        func open(_ report: @escaping @Sendable (ExecutorFate) -> Void) {}
        func makeSandbox(_ path: String) { sandboxes.withLock { $0.append(path) } }
        func launch(_ launch: ExecutorLaunch) {}
        func kill(_ container: ContainerID, pid: Int, startTicks: UInt64) {}
        func sweep(_ container: ContainerID, _ sandboxes: [String]) {}
        func adopt(_ container: ContainerID, pid: Int, startTicks: UInt64) -> Bool { false }
        func close() {}
    }

    @Test("launches that come together are durable together, and nothing happens before")
    func launches() {
        let (store, host) = (SlowStore(), NoHost())
        var handler = AgentHandler(
            machine: Agent(
                configuration: AgentConfiguration(workDirectory: "/w"),
                info: AgentInfo(hostname: "h", resources: Resources()), bootID: "b",
                replaying: [], livingExecutors: [],
                wallClock: WallClock(.zero, is: WallTime(nanosecondsSince1970: 0)), seed: 1,
                at: .zero),
            store: store, host: host,
            sink: AgentSink(
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
                metrics: NOOPMetricsHandler.instance),
            usageInterval: .seconds(5), at: .zero, measure: { AgentUsage() }, post: { _ in })
        let peer = PeerID(1)
        func turn(_ messages: [MasterToAgent], mail: [AgentMail] = []) {
            var links = Links()
            handler.turn(
                events: messages.map { .message(peer, WireCodec.encode($0)) }, mail: mail,
                at: .zero, links: &links)
        }
        var links = Links()
        handler.turn(
            events: [.opened(peer, AgentEndpoint.master, PeerIdentity())], mail: [], at: .zero,
            links: &links)
        turn([.registered("a", pingTimeout: .seconds(75))])
        let before = store.submitted.withLock { $0.count }
        turn([], mail: (0..<before).map { .committed(ticket: UInt64($0 + 1)) })
        let runs = (0..<3).map { number in
            MasterToAgent.run(
                RunTask(
                    framework: FrameworkInfo(name: "f", id: "f"),
                    tasks: [
                        TaskInfo(
                            name: "t", id: TaskID("t\(number)"), agentID: "a",
                            resources: Resources(), command: CommandInfo(value: "true"))
                    ], role: "*"))
        }
        turn(runs)
        let commits = store.submitted.withLock { Array($0.dropFirst(before)) }
        #expect(commits.count == 1)
        let tasks = commits.joined().filter { record in
            if case .task = record { true } else { false }
        }
        #expect(tasks.count == 3)
        #expect(host.sandboxes.withLock { $0.isEmpty })
        turn([], mail: [.committed(ticket: UInt64(before + 1))])
        #expect(host.sandboxes.withLock { $0.count } == 3)
    }
}
