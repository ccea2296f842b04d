import ArgumentParser
import ProfferAPI
import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferCommands

@Suite("proffer top")
struct TopTests {
    private func node(
        _ name: String, cpus: Int64?, memory: Int64 = 0, tasks: [(TaskID, Int64, Int64)] = []
    ) -> NodeUsageObject {
        let usages = tasks.map { id, cpus, memory in
            TaskUsage(
                key: TaskKey("f", id), memoryBytes: memory << 20, processes: 1,
                cpus: Milli(thousandths: cpus))
        }
        let agent = AgentSummary(
            info: AgentInfo(hostname: name, id: AgentID(name)), state: .active,
            total: Resources(cpus: Milli(4), mem: Milli(1024)),
            allocated: Resources(cpus: Milli(3)),
            usage: cpus.map {
                AgentUsage(
                    memoryUsedBytes: memory << 20, cores: 4, cpus: Milli(thousandths: $0),
                    pressure: Pressure(cpu: .seconds(5), memory: nil, io: .zero), tasks: usages)
            })
        return NodeUsageObject(
            agent,
            tasks: tasks.map { id, _, _ in
                TaskSummary(
                    key: TaskKey("f", id), name: id.value, role: "*", agentID: AgentID(name),
                    state: .running, resources: Resources(cpus: Milli(1), mem: Milli(64)))
            })
    }

    private func rows(_ order: UsageOrder, _ nodes: [NodeUsageObject]) -> [String] {
        UsageScreen(nodes, order).text.split(separator: "\n").map {
            String($0.split(separator: " ").first ?? "")
        }
    }

    @Test(
        "nodes and tasks come in the order asked for, those that tie by their names",
        arguments: [
            (.cpu, ["n2", "n1", "n3"], ["b", "a", "c"]),
            (.mem, ["n1", "n2", "n3"], ["c", "a", "b"]),
            (.name, ["n1", "n2", "n3"], ["a", "b", "c"]),
        ] as [(UsageOrder, [String], [String])])
    func order(by order: UsageOrder, nodes: [String], tasks: [String]) {
        let shown = rows(
            order,
            [
                node("n3", cpus: nil),
                node("n1", cpus: 500, memory: 20, tasks: [("a", 100, 2), ("b", 900, 1)]),
                node("n2", cpus: 900, memory: 10, tasks: [("c", 50, 9)]),
            ])
        #expect(shown == ["NODE"] + nodes + ["TASK"] + tasks)
    }

    @Test("used stands before allocated and total; what is not known is a dash")
    func cells() {
        let text = UsageScreen(
            [node("n", cpus: 500, memory: 20, tasks: [("a", 100, 2)]), node("new", cpus: nil)],
            .name
        ).text
        #expect(text.contains("0.50/3/4"))
        #expect(text.contains("20/0/1024"))
        #expect(text.contains("5s/-/0s"))
        #expect(text.contains("0.10/1"))
        #expect(text.contains("2/64"))
        #expect(text.contains("-/3/4"))
    }

    @Test("a task's name cannot move the cursor or turn the text round")
    func hostile() {
        let name = TaskID("\u{1B}[2J\u{1B}]0;x\u{7}a\nb\u{202E}c\u{2028}d\u{9B}31m")
        let text = UsageScreen([node("n", cpus: 1, tasks: [(name, 1, 1)])], .cpu).text
        #expect(!text.unicodeScalars.contains { $0 != "\n" && $0.value < 32 })
        #expect(!text.contains("\u{202E}") && !text.contains("\u{9B}"))
        #expect(text.split(separator: "\n").count == 4)
    }

    @Test("a frame fills the terminal it is for, and says what it leaves out")
    func frame() {
        let nodes = (10..<40).map { node("n\($0)", cpus: 1) }
        let frame = UsageScreen(nodes, .name).frame(rows: 10, 20)
        let lines = frame.split(separator: "\n", omittingEmptySubsequences: false)
        #expect(lines.count == 10)
        #expect(lines[8].hasPrefix("… 26 more lines"))
        #expect(lines.dropFirst().dropLast().allSatisfy { $0.count <= 20 + "\u{1B}[K".count })
    }

    @Test("what is no order and no pause is refused")
    func arguments() {
        for wrong in [["top", "--sort", "x"], ["top", "--interval", "1ms"]] {
            #expect(throws: (any Error).self) { try ProfferCommand.parseAsRoot(wrong) }
        }
        #expect(throws: Never.self) {
            try ProfferCommand.parseAsRoot(["top", "--once", "--json", "--sort", "mem"])
        }
    }
}
