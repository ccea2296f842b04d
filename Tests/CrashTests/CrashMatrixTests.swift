import ClusterProbe
import Foundation
import ProcessProbe
import ProfferFailpoints
import Testing

/// Kills each part of a cluster at each step of a task's life.
@Suite("Crash matrix", .timeLimit(.minutes(30)))
struct CrashMatrixTests {
    @Test(
        "a task runs at most once and has one outcome, whoever is killed",
        arguments: CrashCase.all)
    func crash(_ row: CrashCase) async throws {
        for _ in 0..<CrashCase.repeats {
            try await withBench { bench in try await run(row, bench) }
        }
    }

    @Test("every failpoint has a row")
    func complete() {
        let rows = Set(CrashCase.all.map(\.point))
        #expect(Failpoint.allCases.filter { !rows.contains($0) } == [])
    }

    @Test("the document and the code name the same failpoints")
    func documented() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        let text = try TextFile.read(root.path + "/Docs/Internals/Failpoints.md")
            .orThrow("no document")
        let rows = try text.components(separatedBy: "## The points").last.orThrow("no table")
        let parts = ["framework.", "master.", "agent.", "executor."]
        let named = Set(
            rows.components(separatedBy: "`").filter { word in
                parts.contains { word.hasPrefix($0) } && !word.contains(" ")
            })
        #expect(named == Set(Failpoint.allCases.map(\.rawValue)))
    }

    private func run(_ row: CrashCase, _ bench: CrashBench) async throws {
        let armed = bench.armed(row.point, row.number)
        bench.groups = TaskGroups(isLimited: row.isLimited)
        func environment(_ part: CrashCase.Part) -> [String: String] {
            row.part == part ? armed : [:]
        }
        var master = try await bench.cluster.startMaster(environment: environment(.master))
        var agent = try await bench.startAgent(
            environment: environment(.agent).merging(environment(.executor)) { $1 })
        var framework = try bench.startFramework(environment: environment(.framework))

        try await eventually("\(row) to be reached, after \(bench.entries())") {
            if row.isAfterEnd, bench.states().contains("TASK_RUNNING") { bench.openGate() }
            return bench.isReached(row.point)
        }
        let lived = bench.starts().filter { ProcessTable.isAlive($0) }.map { ($0, bench.birth($0)) }
        switch row.part {
        case .framework:
            try await framework.exitCode()
            framework = try bench.startFramework()
        case .master:
            try await master.exitCode()
            master = try await bench.cluster.startMaster()
        case .agent:
            try await agent.exitCode()
            agent = try await bench.startAgent()
        case .executor: break
        }
        try await converge(row, bench, lived)
        try await check(row, bench)

        try await bench.end(framework)
        try await eventually("\(row): every process to be gone") {
            bench.cluster.tasks().isEmpty && bench.cluster.executors().isEmpty
                && bench.groups.all.isEmpty
        }
        #expect(master.isRunning && agent.isRunning, "\(row): \(master.output) \(agent.output)")
    }

    /// Waits for the task's end; lets it end once everybody knows that it runs.
    private func converge(
        _ row: CrashCase, _ bench: CrashBench, _ lived: [(pid: Int, birth: String?)]
    ) async throws {
        if row.part != .executor, !row.isAfterEnd {
            try await eventually("\(row): the task to run or end, after \(bench.entries())") {
                bench.states().contains("TASK_RUNNING") || bench.end() != nil
            }
            for (pid, birth) in lived {
                #expect(bench.birth(pid) == birth, "\(row): the task was disturbed")
            }
        }
        try await eventually("\(row): the end of the task, after \(bench.entries())") {
            bench.openGate()
            return bench.end() != nil
        }
    }

    private func check(_ row: CrashCase, _ bench: CrashBench) async throws {
        try await bench.wholeAgain()
        let entries = bench.entries()
        #expect(row.starts.contains(bench.starts().count), "\(row): \(bench.starts()) \(entries)")
        #expect(bench.end().map { row.ends.contains($0) } == true, "\(row): \(entries)")
        #expect(!entries.contains { $0.first == "vanished" }, "\(row): \(entries)")
        #expect(entries.count { $0.first == "id" } == 1, "\(row): \(entries)")
        let uuids = entries.filter { $0.first == "update" }.map { $0[2] }
        #expect(Set(uuids).count == uuids.count, "\(row): \(entries)")
        // Only a framework that dies between keeping and acknowledging sees an update again.
        let repeats = entries.count { $0.first == "again" }
        #expect(repeats <= (row.part == .framework ? 1 : 0), "\(row): \(entries)")
        #expect(bench.states().filter { $0 == bench.end() }.count == 1, "\(row): \(entries)")
    }
}
