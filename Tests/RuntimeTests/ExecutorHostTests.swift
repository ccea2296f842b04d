import ClusterProbe
import Foundation
import ProfferAgent
import ProfferModel
import Synchronization
import Testing

@testable import ProfferRuntime

@Suite("Executor host")
struct ExecutorHostTests {
    private let scratch: TemporaryDirectory
    private let fates = Fates()

    init() throws { scratch = try TemporaryDirectory("host") }

    private final class Fates: Sendable {
        private let list = Mutex<[ExecutorFate]>([])
        var all: [ExecutorFate] { list.withLock { $0 } }
        func note(_ fate: ExecutorFate) { list.withLock { $0.append(fate) } }
    }

    private func host(_ program: String = "/bin/true") throws -> ProcessExecutorHost {
        let host = try ProcessExecutorHost(
            root: scratch.path, program: program, agentAddress: "ipc:///nowhere")
        let fates = self.fates
        host.open { fates.note($0) }
        return host
    }

    private func launch(
        _ container: ContainerID, _ command: String? = nil,
        environment: [EnvironmentVariable] = []
    ) -> ExecutorLaunch {
        ExecutorLaunch(
            containerID: container, key: ExecutorKey("f", "e"),
            info: ExecutorInfo(
                id: "e", kind: command == nil ? .default : .custom,
                command: command.map { CommandInfo(value: $0) }),
            directory: scratch.file("executors/\(container)"), token: "secret",
            environment: environment)
    }

    private func started(_ container: ContainerID) async throws -> (pid: Int, ticks: UInt64) {
        try await eventually("the start of \(container); so far \(fates.all)") {
            for case .started(container, let pid, let ticks) in fates.all { return (pid, ticks) }
            return nil
        }
    }

    private func ended(_ container: ContainerID) async throws -> Int {
        try await eventually("the end of \(container); so far \(fates.all)") {
            for case .ended(container, let status) in fates.all { return status }
            return nil
        }
    }

    @Test("an executor is started in its directory, and its end is told with its status")
    func lifeOfExecutor() async throws {
        let host = try host()
        host.launch(launch("c", "pwd > where; exit 3"))
        #expect(try await started("c").pid > 0)
        #expect(try await ended("c") == 3 << 8)
        let directory = scratch.file("executors/c")
        #expect(TextFile.read(directory + "/where") == directory + "\n")
        host.close()
    }

    @Test("an executor is told its agent's address and what the agent gives it, not more")
    func environment() async throws {
        setenv("PROFFER_HOST_TEST_SECRET", "x", 1)
        defer { unsetenv("PROFFER_HOST_TEST_SECRET") }
        let host = try host()
        host.launch(
            launch("c", "env > all", environment: [EnvironmentVariable(name: "A", value: "b")]))
        #expect(try await ended("c") == 0)
        let text = TextFile.read(scratch.file("executors/c/all")) ?? ""
        #expect(text.contains("PROFFER_AGENT_ADDRESS=ipc:///nowhere\n"))
        #expect(text.contains("A=b\n"))
        #expect(!text.contains("PROFFER_HOST_TEST_SECRET"))
        host.close()
    }

    @Test("a program that cannot be started is told with its name")
    func noProgram() async throws {
        let host = try host("/no/such/executor")
        host.launch(launch("c"))
        let message = try await eventually("the failure") {
            for case .failed("c", let message) in fates.all { return message }
            return nil as String?
        }
        #expect(message.contains("/no/such/executor"))
        host.close()
    }

    @Test("a killed executor has ended by KILL, and killing it again still answers")
    func kill() async throws {
        let host = try host()
        host.launch(launch("c", "exec sleep 600"))
        let (pid, ticks) = try await started("c")
        host.kill("c", pid: pid, startTicks: ticks)
        #expect(try await ended("c") == 9)
        #expect(!ProcessTable.isAlive(pid))
        host.kill("c", pid: pid, startTicks: ticks)
        try await eventually("a second answer") {
            fates.all.filter { $0 == .ended("c", status: -1) }.count == 1
        }
        host.close()
    }

    @Test("an executor outlives its host; the next host takes it back and notices its end")
    func adopt() async throws {
        let first = try host()
        first.launch(launch("c", "exec sleep 600"))
        let (pid, ticks) = try await started("c")
        first.close()
        #expect(ProcessTable.isAlive(pid))
        let second = try host()
        #expect(second.adopt("c", pid: pid, startTicks: ticks))
        second.kill("c", pid: pid, startTicks: ticks)
        _ = try await ended("c")
        #expect(!ProcessTable.isAlive(pid))
        second.close()
    }

    @Test("a process that only has the same number is not taken for the executor, nor killed")
    func reusedNumber() async throws {
        let host = try host()
        host.launch(launch("c", "exec sleep 600"))
        let (pid, ticks) = try await started("c")
        #expect(!host.adopt("other", pid: pid, startTicks: ticks + 1))
        host.kill("other", pid: pid, startTicks: ticks + 1)
        #expect(try await ended("other") == -1)
        #expect(ProcessTable.isAlive(pid))
        host.kill("c", pid: pid, startTicks: ticks)
        _ = try await ended("c")
        host.close()
    }

    @Test("nothing is made outside the agent's directory")
    func outside() async throws {
        let host = try host()
        #expect(throws: DaemonProblem.self) { try host.makeSandbox("/tmp/elsewhere") }
        #expect(throws: (any Error).self) { try host.makeSandbox(scratch.file("../elsewhere")) }
        #expect(throws: (any Error).self) { try host.makeSandbox(scratch.file("a/../../b")) }
        try host.makeSandbox(scratch.file("a/b"))
        let attributes = try FileManager.default.attributesOfItem(atPath: scratch.file("a/b"))
        #expect((attributes[.posixPermissions] as? NSNumber)?.intValue == 0o700)
        host.close()
    }

    @Test("an agent without records kills what runs below its sandboxes, and nothing else")
    func forgotten() async throws {
        let host = try host()
        for (container, sandbox) in [("c", "sandboxes/f/t"), ("d", "sandboxes-of-others/t")] {
            try host.makeSandbox(scratch.file(sandbox))
            host.launch(
                launch(
                    ContainerID(container), "exec sleep 600",
                    environment: [
                        EnvironmentVariable(
                            name: "PROFFER_SANDBOX", value: scratch.file(sandbox))
                    ]))
        }
        let pid = try await started("c").pid
        let other = try await started("d")
        host.settle(living: [], hasRecords: true)
        #expect(ProcessTable.isAlive(pid))
        host.settle(living: [], hasRecords: false)
        #expect(!ProcessTable.isAlive(pid))
        #expect(ProcessTable.isAlive(other.pid))
        host.kill("d", pid: other.pid, startTicks: other.ticks)
        _ = try await ended("d")
        host.close()
    }

    @Test("a sweep kills what carries the mark of the sandbox")
    func sweep() async throws {
        let host = try host()
        let sandbox = scratch.file("work/t")
        try host.makeSandbox(sandbox)
        host.launch(
            launch(
                "c", "exec sleep 600",
                environment: [EnvironmentVariable(name: "PROFFER_SANDBOX", value: sandbox)]))
        let pid = try await started("c").pid
        host.sweep("c", [sandbox])
        try await eventually("the answer to the sweep; so far \(fates.all)") {
            fates.all.contains(.swept("c")) ? () : nil
        }
        #expect(!ProcessTable.isAlive(pid))
        _ = try await ended("c")
        host.close()
    }
}

@Suite("Reply")
struct ReplyTests {
    @Test("the first answer counts")
    func once() async throws {
        let answer = try await withCheckedThrowingContinuation { continuation in
            let reply = Reply<Int>(continuation)
            reply.answer(1)
            reply.answer(2)
        }
        #expect(answer == 1)
    }

    @Test("a question that is dropped without an answer tells the asker that the node has stopped")
    func dropped() async {
        await #expect(throws: NodeStopped.self) {
            try await withCheckedThrowingContinuation { continuation in
                _ = Reply<Int>(continuation)
            }
        }
    }
}

@Suite("Event hub")
struct EventHubTests {
    private let event = ClusterEvent.agent("a", hostname: "h", .active)

    @Test("every reader gets every event from its subscription on, until the end")
    func events() async {
        let hub = EventHub()
        #expect(!hub.hasReaders)
        hub.publish(event)
        let (first, second) = (hub.subscribe(), hub.subscribe())
        #expect(hub.hasReaders)
        hub.publish(event)
        hub.publish(event)
        hub.close()
        for stream in [first, second] {
            var count = 0
            for await _ in stream { count += 1 }
            #expect(count == 2)
        }
        for await _ in hub.subscribe() { Issue.record("an event after the end") }
    }

    @Test("a reader that falls too far behind loses its stream, the others keep theirs")
    func slowReader() async {
        let hub = EventHub()
        let slow = hub.subscribe()
        for _ in 0...EventHub.bufferLimit { hub.publish(event) }
        var count = 0
        for await _ in slow { count += 1 }
        #expect(count == EventHub.bufferLimit)
        #expect(!hub.hasReaders)
    }

    @Test("one reader too many ends the stream of the oldest, the others keep theirs")
    func tooManyReaders() async {
        let hub = EventHub()
        let streams = (0...EventHub.readerLimit).map { _ in hub.subscribe() }
        hub.publish(event)
        hub.close()
        var counts: [Int] = []
        for stream in streams {
            var count = 0
            for await _ in stream { count += 1 }
            counts.append(count)
        }
        #expect(counts == [0] + Array(repeating: 1, count: EventHub.readerLimit))
    }
}
