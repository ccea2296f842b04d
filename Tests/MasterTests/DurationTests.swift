import OrderedCollections
import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferMaster

@Suite("Times that frameworks name")
struct DurationTests {
    private static let ages = Duration.nanoseconds(Int64.max)

    @Test("a refusal time below zero is the default, a very long one a year, zero none")
    func refusals() {
        let stage = Stage()
        let configuration = stage.master.configuration
        func refusal(_ time: Duration?) -> Duration? {
            stage.master.refusal(Filters(refuse: time))
        }
        #expect(stage.master.refusal(nil) == configuration.defaultRefusal)
        #expect(refusal(nil) == configuration.defaultRefusal)
        #expect(refusal(.nanoseconds(-1)) == configuration.defaultRefusal)
        #expect(refusal(.nanoseconds(Int64.min)) == configuration.defaultRefusal)
        #expect(refusal(Self.ages) == configuration.longestRefusal)
        #expect(refusal(.zero) == nil)
        #expect(refusal(.nanoseconds(1)) == .nanoseconds(1))
    }

    @Test("an offer that is declined for less than no time comes back after the default")
    func decline() throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("a"))
        stage.addAgent()
        stage.decline(try stage.offer(id), refuse: .seconds(-3600), by: id)
        #expect(stage.offers[id] == [])
        stage.pass(stage.master.configuration.defaultRefusal + .seconds(1))
        #expect(stage.offers[id]?.count == 1)
    }

    @Test("a framework with a failover time-out of ages can go and come back")
    func failover() {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("a", failover: Self.ages))
        stage.disconnect(id)
        stage.pass(.seconds(365 * 24 * 3600))
        #expect(stage.subscribe(Stage.info("a", failover: Self.ages, id: id)) == id)
    }

    private static let tcp = CheckKind.tcp(port: 80)

    private static func task(_ change: (inout TaskInfo) -> Void) -> TaskInfo {
        var task = Stage.task("t", "")
        change(&task)
        return task
    }

    @Test(
        "a task with a time below zero ends as TASK_ERROR with the reason TASK_INVALID",
        arguments: [
            task { $0.healthCheck = HealthCheck(kind: tcp, delay: .seconds(-1)) },
            task { $0.healthCheck = HealthCheck(kind: tcp, interval: .seconds(-1)) },
            task { $0.healthCheck = HealthCheck(kind: tcp, timeout: .seconds(-1)) },
            task { $0.healthCheck = HealthCheck(kind: tcp, gracePeriod: .seconds(-1)) },
            task { $0.check = CheckInfo(kind: tcp, delay: .seconds(-1)) },
            task { $0.check = CheckInfo(kind: tcp, interval: .nanoseconds(Int64.min)) },
            task { $0.check = CheckInfo(kind: tcp, timeout: .nanoseconds(-1)) },
            task { $0.killPolicy = KillPolicy(gracePeriod: .seconds(-1)) },
            task { $0.maxCompletionTime = .seconds(-1) },
        ])
    func negative(task: TaskInfo) throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("a"))
        stage.addAgent()
        let offer = try stage.offer(id)
        var task = task
        task.agentID = offer.agentID
        stage.forget()
        stage.accept(offer, [.launch([task])])
        let updates = stage.updates(id)
        #expect(updates.map(\.state) == [.error])
        #expect(updates.map(\.reason) == [.taskInvalid])
        #expect(updates.first?.message?.contains("negative") == true)
        #expect(stage.master.tasks.isEmpty)
    }
}
