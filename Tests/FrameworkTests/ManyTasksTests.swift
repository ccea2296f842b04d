@_spi(Driver) import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferFramework

@Suite("Framework with many tasks")
struct ManyTasksTests {
    private static let count = 20_000

    private static func name(_ index: Int) -> TaskID { TaskID("task-\(index)") }

    /// A driver that knows of many tasks from an earlier run.
    private func bench() -> Bench {
        Bench(id: "f") { options in
            options.knownTasks = (0..<Self.count).map {
                ReconcileTask(taskID: Self.name($0), agentID: "n")
            }
        }
    }

    private func reconciled(_ bench: Bench) -> [[ReconcileTask]] {
        bench.calls.compactMap { if case .reconcile(let list) = $0 { list } else { nil } }
    }

    @Test("they are asked about in messages of at most 1,000, each once and in order")
    func batches() {
        var bench = bench()
        bench.connect()
        let batches = reconciled(bench)
        #expect(batches.count == 20)
        #expect(batches.allSatisfy { $0.count <= 1000 })
        #expect(batches.joined().map(\.taskID) == (0..<Self.count).map(Self.name))
        #expect(batches.joined().allSatisfy { $0.agentID == "n" })
    }

    @Test("only those without an answer are asked about again")
    func unanswered() {
        var bench = bench()
        bench.connect()
        for index in 0..<Self.count where index % 8 != 0 {
            bench.event(.update(Bench.status(.running, task: Self.name(index))))
        }
        bench.forget()
        bench.pass(.seconds(7))
        let asked = reconciled(bench)
        #expect(asked.map(\.count) == [1000, 1000, 500])
        #expect(
            asked.joined().map(\.taskID) == stride(from: 0, to: Self.count, by: 8).map(Self.name))
    }

    @Test("each leaves the driver with its end, in whatever order they end")
    func ends() {
        var bench = bench()
        bench.connect()
        var number: UInt64 = 0
        for offset in 0..<7 {
            for index in stride(from: offset, to: Self.count, by: 7) {
                number += 1
                bench.event(
                    .update(Bench.status(.finished, uuid: number, task: Self.name(index))))
            }
        }
        #expect(bench.driver.tasks.isEmpty)
        #expect(bench.driver.unanswered.isEmpty)
        #expect(bench.driver.policy.updates.count == Self.count)
    }

    @Test("kills are repeated in the order in which they were due, until the end of each")
    func kills() {
        var bench = bench()
        bench.connect()
        for index in 0..<Self.count {
            bench.give(.command(.kill(Self.name(index), agent: "n", policy: nil)))
        }
        for index in 0..<Self.count where index % 100 != 0 {
            bench.event(.update(Bench.status(.killed, task: Self.name(index))))
        }
        bench.forget()
        bench.pass(.seconds(10))
        let repeated = bench.calls.compactMap { call in
            if case .kill(let task, _, _) = call { task } else { nil }
        }
        #expect(repeated == stride(from: 0, to: Self.count, by: 100).map(Self.name))
        for task in repeated { bench.event(.update(Bench.status(.killed, task: task))) }
        bench.forget()
        bench.pass(.seconds(10))
        #expect(!bench.calls.contains { if case .kill = $0 { true } else { false } })
    }
}
