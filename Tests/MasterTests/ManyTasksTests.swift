import OrderedCollections
@_spi(Driver) import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferMaster

@Suite("Master with many tasks")
struct ManyTasksTests {
    private static let count = 5000

    private static func name(_ index: Int) -> TaskID { TaskID("task-\(index)") }

    /// What a master is given, without the checks after each step that a stage makes: they look at
    /// every row.
    private struct Feed {
        var master: Master
        var now = Instant.zero
        var events: [SchedulerEvent] = []
        private var updates: UInt64 = 0

        init() {
            master = Master(
                configuration: MasterConfiguration(),
                wallClock: WallClock(.zero, is: Stage.epoch), seed: 1, at: .zero)
        }

        mutating func give(_ input: MasterInput) {
            var outbox = Outbox<MasterEffect>()
            now = now + .milliseconds(2)
            master.handle(input, at: now, into: &outbox)
            take(&outbox)
        }

        private mutating func take(_ outbox: inout Outbox<MasterEffect>) {
            for effect in outbox.takeAll() {
                if case .tellFramework(let event, _) = effect { events.append(event) }
            }
        }

        /// Lets a second pass.
        mutating func pass() {
            let end = now + .seconds(1)
            while let deadline = master.nextDeadline, deadline <= end {
                now = max(now, deadline)
                var outbox = Outbox<MasterEffect>()
                master.wake(at: now, into: &outbox)
                take(&outbox)
            }
            now = end
        }

        mutating func nextUpdate() -> UpdateID {
            updates += 1
            return UpdateID(high: 0, low: updates)
        }
    }

    @Test("tasks come and go in any order, and nothing of them is left")
    func comeAndGo() throws {
        var feed = Feed()
        feed.give(
            .framework(
                FrameworkCall(call: .subscribe(Subscription(framework: Stage.info("a")))),
                from: PeerID(1)))
        let amount = Milli(Self.count)
        feed.give(
            .agent(
                .register(
                    AgentInfo(hostname: "n", resources: Resources(cpus: amount, mem: amount)),
                    version: "1", bootID: "b"), from: PeerID(2)))
        let id = try #require(feed.master.frameworks.keys.first)
        let agent = try #require(feed.master.agents.keys.first)
        func call(_ call: SchedulerCall) {
            feed.give(.framework(FrameworkCall(frameworkID: id, call: call), from: PeerID(1)))
        }
        for start in stride(from: 0, to: Self.count, by: 1000) {
            let offer = try #require(feed.master.offers.firstKey)
            let tasks = (start..<start + 1000).map {
                Stage.task(Self.name($0), agent, Resources(cpus: Milli(1), mem: Milli(1)))
            }
            call(
                .accept(
                    offers: [offer], operations: [Operation(action: .launch(tasks))],
                    filters: Filters(refuse: .zero)))
        }
        #expect(feed.master.tasks.count == Self.count)
        feed.events = []
        call(.reconcile([]))
        feed.pass()
        #expect(
            feed.events.compactMap {
                if case .update(let status) = $0 { status.taskID } else { nil }
            }
                == (0..<Self.count).map(Self.name))
        for offset in 0..<7 {
            for index in stride(from: offset, to: Self.count, by: 7) {
                let uuid = feed.nextUpdate()
                let status = TaskStatus(
                    taskID: Self.name(index), state: .finished, source: .executor, agentID: agent,
                    uuid: uuid)
                feed.give(
                    .agent(
                        .update(
                            id, status,
                            position: UpdatePosition(latestState: .finished, latestUUID: uuid)),
                        from: PeerID(2)))
                call(.acknowledge(Self.name(index), agent: agent, uuid: uuid))
            }
        }
        #expect(feed.master.tasks.isEmpty)
        #expect(feed.master.frameworks[id]?.tasks.isEmpty == true)
        #expect(feed.master.agents[agent]?.tasks.isEmpty == true)
    }
}
