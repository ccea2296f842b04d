import ProfferAgent
import ProfferKernel
import ProfferModel
import Testing

/// A node of four cores with 100 bytes of memory, busy as a test says.
private struct Node {
    var busy: Int64? = 1000
    var memory: Int64 = 10
    var waited: Duration = .zero
    var tasks: [NodeUsage.Task] = []
    var now = Instant.zero

    mutating func add(
        _ id: TaskID, holds: Int64, uses: Int64?, memory: Int64 = 0, isRevocable: Bool = false
    ) {
        let key = TaskKey("f", id)
        let resources = Resources([
            Resource("cpus", .scalar(Milli(thousandths: holds)), isRevocable: isRevocable)
        ])
        tasks.append(
            NodeUsage.Task(
                key: key, resources: resources,
                usage: uses.map {
                    TaskUsage(key: key, memoryBytes: memory, cpus: Milli(thousandths: $0))
                }))
    }

    var usage: NodeUsage {
        NodeUsage(
            total: Resources(cpus: Milli(4)),
            usage: AgentUsage(
                memoryUsedBytes: memory, memoryTotalBytes: 100, cores: 4,
                cpus: busy.map { Milli(thousandths: $0) },
                pressure: Pressure(memory: waited)), tasks: tasks)
    }

    mutating func next(_ waits: Duration = .zero) -> (NodeUsage, Instant) {
        now = now + .seconds(5)
        waited += waits
        return (usage, now)
    }
}

@Suite("What is slack, and when it is taken back")
struct SlackTests {
    private static let options = SlackEstimator.Options(
        sharePercent: 50, window: 3, step: Milli(thousandths: 250), reserve: .zero)

    /// What is estimated in each of so many measurements, in thousandths of a core.
    private func estimates(
        _ count: Int, _ estimator: inout SlackEstimator, _ node: inout Node,
        waits: Duration = .zero
    ) -> [Int64] {
        (0..<count).map { _ in
            let (usage, now) = node.next(waits)
            return estimator.estimate(usage, at: now).cpus.thousandths
        }
    }

    @Test("nothing is slack until a window was watched; then a share of it, in whole steps")
    func window() {
        var node = Node()
        node.add("a", holds: 3000, uses: 1300)
        var estimator = SlackEstimator(Self.options)
        #expect(estimates(4, &estimator, &node) == [0, 0, 750, 750])
    }

    @Test("a peak counts as long as the window remembers it")
    func peak() {
        var node = Node()
        node.add("a", holds: 3000, uses: 1000)
        var estimator = SlackEstimator(Self.options)
        #expect(estimates(3, &estimator, &node).last == 1000)
        node.tasks = []
        node.add("a", holds: 3000, uses: 2500)
        #expect(estimates(1, &estimator, &node) == [250])
        node.tasks = []
        node.add("a", holds: 3000, uses: 1000)
        #expect(estimates(3, &estimator, &node) == [250, 250, 1000])
    }

    @Test("a task that was not watched for a window, or was not measured, has no slack")
    func young() {
        var node = Node()
        node.add("a", holds: 1000, uses: 0)
        var estimator = SlackEstimator(Self.options)
        #expect(estimates(3, &estimator, &node).last == 500)
        node.add("b", holds: 3000, uses: 0)
        node.add("c", holds: 3000, uses: nil)
        #expect(estimates(3, &estimator, &node) == [500, 500, 2000])
    }

    @Test("what other processes of the node take is no slack, what revocable tasks use is")
    func idle() {
        var node = Node(busy: 3500)
        node.add("a", holds: 4000, uses: 0)
        var estimator = SlackEstimator(Self.options)
        #expect(estimates(3, &estimator, &node).last == 500)
        node.add("r", holds: 1000, uses: 1000, isRevocable: true)
        #expect(estimates(3, &estimator, &node).last == 1500)
    }

    @Test(
        "a pressed node has no slack, and none before a window has passed since",
        arguments: [
            Node(busy: 3700), Node(memory: 91), Node(waited: .seconds(1)), Node(busy: nil),
        ])
    private func pressed(start: Node) {
        var node = Node()
        node.add("a", holds: 4000, uses: 0)
        var estimator = SlackEstimator(Self.options)
        #expect(estimates(3, &estimator, &node).last == 2000)
        node.busy = start.busy
        node.memory = start.memory
        #expect(estimates(1, &estimator, &node, waits: start.waited) == [0])
    }

    // MARK: Taking back

    private func victims(
        _ count: Int, _ controller: inout PressureController, _ node: inout Node,
        waits: Duration = .zero
    ) -> [[TaskID]] {
        (0..<count).map { _ in
            let (usage, now) = node.next(waits)
            return controller.corrections(usage, at: now).map { correction in
                switch correction {
                case .kill(let key, _): key.task
                case .withhold: "withhold"
                }
            }
        }
    }

    private var crowd: Node {
        var node = Node()
        node.add("own", holds: 2000, uses: 2000, memory: 90)
        node.add("busy", holds: 500, uses: 900, memory: 1, isRevocable: true)
        node.add("large", holds: 500, uses: 100, memory: 50, isRevocable: true)
        return node
    }

    @Test("one task goes after so many measurements in a row, then one after each")
    func patience() {
        var node = crowd
        var controller = PressureController(patience: 2)
        #expect(victims(2, &controller, &node) == [[], []])
        node.busy = 3700
        #expect(victims(3, &controller, &node) == [["withhold"], ["busy"], ["busy"]])
        node.busy = 1000
        #expect(victims(1, &controller, &node) == [[]])
        node.busy = 3700
        #expect(victims(2, &controller, &node) == [["withhold"], ["busy"]])
    }

    @Test("who uses most of what is short goes, and of equal ones the youngest")
    func choice() {
        var node = crowd
        var controller = PressureController(patience: 1)
        node.memory = 91
        #expect(victims(1, &controller, &node) == [["large"]])
        node.memory = 10
        #expect(victims(1, &controller, &node, waits: .seconds(1)) == [["large"]])
        node.tasks = []
        node.busy = 4000
        for id in ["old", "young"] as [TaskID] {
            node.add(id, holds: 100, uses: 0, isRevocable: true)
        }
        #expect(victims(1, &controller, &node) == [["young"]])
    }

    @Test("without revocable tasks nobody goes, and no more is offered")
    func guaranteed() {
        var node = Node(busy: 4000, memory: 100)
        node.add("own", holds: 2000, uses: 2000)
        var controller = PressureController(patience: 1)
        #expect(victims(2, &controller, &node) == [["withhold"], ["withhold"]])
    }

    @Test("the reason says what there was too much of")
    func reason() {
        var node = crowd
        node.busy = 4000
        var controller = PressureController(patience: 1)
        let (usage, now) = node.next()
        #expect(
            controller.corrections(usage, at: now)
                == [
                    .kill(
                        TaskKey("f", "busy"),
                        reason: "100 % of the processors are busy, above 90 %")
                ])
    }
}
