import Foundation
import HTTPTypes
import ProfferAPI
import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferHTTP

@Suite("What is used, over HTTP")
struct UsageTests {
    private static let usage = AgentUsage(
        cpuTime: .seconds(10), loadMillis: 1500, memoryUsedBytes: 1 << 20,
        memoryTotalBytes: 4 << 20, cores: 2, cpus: Milli(thousandths: 750),
        network: NetworkUsage(receivedBytes: 7, sentBytes: 8),
        pressure: Pressure(memory: .milliseconds(1500)),
        tasks: [
            TaskUsage(
                key: TaskKey("f", "t"), cpuTime: .seconds(2), memoryBytes: 4096, processes: 3,
                cpus: Milli(thousandths: 250), throttledTime: .milliseconds(500), diskBytes: 9,
                network: NetworkUsage(receivedBytes: 1, sentBytes: 2),
                pressure: Pressure(cpu: .seconds(4)))
        ])

    private static let spare = Resources([
        Resource("cpus", .scalar(Milli(1)), isRevocable: true)
    ])

    private var view: FakeView {
        FakeView { call in
            switch call {
            case .agents:
                .agents([
                    AgentSummary(
                        info: AgentInfo(hostname: "node", id: "a"), state: .active,
                        total: Resources(cpus: Milli(2)), allocated: Resources(cpus: Milli(1)),
                        oversubscribed: Self.spare, usage: Self.usage),
                    AgentSummary(info: AgentInfo(hostname: "new", id: "b"), state: .active),
                ])
            case .tasks:
                .tasks([
                    Self.task("t", .running, Resources(cpus: Milli(1))),
                    Self.task("r", .running, Self.spare), Self.task("e", .failed, Resources()),
                ])
            default: .refused("not asked in this test")
            }
        }
    }

    private static func task(
        _ id: TaskID, _ state: TaskState, _ resources: Resources
    ) -> TaskSummary {
        TaskSummary(
            key: TaskKey("f", id), name: id.value, role: "*", agentID: "a", state: state,
            resources: resources)
    }

    @Test("each node shows what it uses beside what is allocated, with its live tasks")
    func nodes() async throws {
        let reply = try await request(view, .get, "/v1/usage")
        #expect(reply.status == 200)
        let list = try APICoding.decode(
            ObjectList<NodeUsageObject>.self, from: Data(reply.body.utf8))
        #expect(list.items.map(\.id) == ["a", "b"])
        let node = try #require(list.items.first)
        #expect(node.total["cpus"] == "2")
        #expect(node.allocated["cpus"] == "1")
        #expect(node.oversubscribed == ["cpus_revocable": "1"])
        #expect(node.usage?.cpus == 0.75)
        #expect(node.usage?.tasks.isEmpty == true)
        #expect(node.usage?.pressure?.memorySeconds == 1.5)
        #expect(node.usage?.pressure?.cpuSeconds == nil)
        #expect(node.tasks.map(\.id) == ["t", "r"])
        #expect(node.tasks.map(\.isRevocable) == [false, true])
        let task = try #require(node.tasks.first?.usage)
        #expect(task.cpus == 0.25 && task.throttledSeconds == 0.5 && task.diskBytes == 9)
        #expect(task.receivedBytes == 1 && task.sentBytes == 2)
        #expect(node.tasks.last?.usage == nil)
        #expect(list.items.last?.usage == nil)
    }

    @Test("the agent's metrics have every figure of node and tasks, each family in one piece")
    func text() throws {
        let text = UsageText(
            usage: Self.usage, total: Resources(cpus: Milli(2)),
            tasks: [
                (key: TaskKey("f", "t"), resources: Resources(cpus: Milli(1))),
                (key: TaskKey("f", "new"), resources: Resources(cpus: Milli(1))),
            ]
        ).text
        let lines = text.split(separator: "\n").map(String.init)
        for line in [
            "proffer_node_cpu_seconds_total 10", "proffer_node_cpus_used 0.75",
            "proffer_node_memory_used_bytes 1048576",
            #"proffer_node_network_bytes_total{direction="in"} 7"#,
            #"proffer_node_pressure_seconds_total{resource="memory"} 1.5"#,
            #"proffer_node_resources{kind="cpus"} 2"#,
            #"proffer_task_cpus_used{framework="f",task="t"} 0.25"#,
            #"proffer_task_throttled_seconds_total{framework="f",task="t"} 0.5"#,
            #"proffer_task_disk_bytes{framework="f",task="t"} 9"#,
            #"proffer_task_allocated{framework="f",task="new",kind="cpus"} 1"#,
            #"proffer_task_pressure_seconds_total{framework="f",task="t",resource="cpu"} 4"#,
        ] { #expect(lines.contains(line), "\(line)") }
        let types = lines.filter { $0.hasPrefix("# TYPE") }
        #expect(Set(types).count == types.count)
        #expect(!text.contains("node_pressure_seconds_total{resource=\"cpu\"}"))
    }

    @Test("what a task is called cannot break its line")
    func hostile() {
        let text = UsageText(
            usage: AgentUsage(tasks: [TaskUsage(key: TaskKey("f", "a\"} 1\nb\\c"))]),
            total: Resources(), tasks: []
        ).text
        #expect(text.contains(#"proffer_task_memory_bytes{framework="f",task="a\"} 1\nb\\c"} 0"#))
    }
}
