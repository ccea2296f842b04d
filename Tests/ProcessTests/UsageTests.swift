import ClusterProbe
import Foundation
import Proffer
import ProfferRuntime
import Testing

@Suite("What processes use and offer", .serialized, .timeLimit(.minutes(5)))
struct UsageTests {
    @Test("top, the API and both daemons' metrics show what a task uses beside what it holds")
    func shown() async throws {
        try await withProcesses { cluster in
            _ = try await cluster.startMaster()
            let agent = try await cluster.startAgent(0, ["--usage-interval", "100ms"])
            try cluster.writeContext()
            let probe = try cluster.probe()
            let id = try await probe.subscribed()
            try await probe.run(
                "busy", "head -c 2000000 /dev/zero >big; while :; do :; done")
            let http = try cluster.master.http
            try await eventually("the usage of the task") {
                try await get(http + "/v1/usage").body.contains(#""disk_bytes":2"#)
            }
            let top = try await cluster.proffer("top", "--once")
            #expect(top.code == 0)
            let row = top.output.split(separator: "\n").first { $0.hasPrefix("busy") }
            #expect(row?.contains("/0.1 ") == true, "\(top.output)")
            let json = try await cluster.proffer("top", "--json")
            #expect(json.output.contains("\"memory_bytes\""))

            let endpoints = try await cluster.endpoints("agent-0", of: agent)
            let metrics = try await get(endpoints.http + "/metrics").body
            let labels = #"{framework="\#(id)",task="busy""#
            for name in ["cpu_seconds_total", "memory_bytes", "disk_bytes", "processes"] {
                #expect(metrics.contains("proffer_task_\(name)\(labels)}"), "\(name)")
            }
            #expect(metrics.contains("proffer_task_allocated\(labels),kind=\"cpus\"} 0.1"))
            #expect(metrics.contains("proffer_node_memory_used_bytes "))
            let whole = try await get(http + "/metrics").body
            #expect(whole.contains(#"proffer_resources{kind="mem",state="used"}"#))
            #expect(whole.contains(#"proffer_resources{kind="cpus",state="oversubscribed"} 0"#))
            await probe.stop(teardown: true)
        }
    }

    @Test("a revocable task runs on what is not used, and is killed when the node is pressed")
    func oversubscription() async throws {
        try await withProcesses { cluster in
            _ = try await cluster.startMaster()
            let spare = ["--oversubscribe", "cpus:1", "--usage-interval", "100ms"]
            let never = ["cpu", "memory", "stall"].flatMap { ["--pressure-\($0)", "101"] }
            let agent = try await cluster.startAgent(0, spare + never)
            let probe = try cluster.probe(
                FrameworkInfo(
                    name: "probe", capabilities: [.revocableResources, .partitionAware]))
            let offer = try await probe.offer("a revocable offer") {
                $0.resources.revocable.cpus == Milli(1)
            }
            var task = TaskInfo("spare", "while :; do :; done", on: offer)
            task.resources = Resources([
                Resource("cpus", .scalar(Milli(1)), isRevocable: true)
            ])
            probe.launch([task], on: offer)
            let pid = try #require(
                try await probe.update("spare", .running).containerStatus?.pid)

            // The next run of the agent takes the task back, and finds the node busy at once.
            try await agent.crash()
            _ = try await cluster.startAgent(
                0, spare + ["--pressure-cpu", "1", "--pressure-patience", "2"])
            let end = try await probe.update("spare", .gone)
            #expect(end.reason == .containerPreempted)
            #expect(end.message?.contains("% of the processors are busy, above 1 %") == true)
            #expect(!ProcessTable.isAlive(pid))
            await probe.stop(teardown: true)
        }
    }

    @Test(
        "settings of oversubscription that are not valid are refused",
        arguments: [
            ["--oversubscribe", "much"], ["--oversubscribe", "ports:[1-2]"],
            ["--oversubscribe-share", "0"], ["--pressure-cpu", "102"],
            ["--pressure-patience", "0"],
        ])
    func refusal(arguments: [String]) async throws {
        try await withProcesses { cluster in
            _ = try await cluster.startMaster()
            let agent = try cluster.start(
                "proffer-agent", try cluster.agentArguments(0) + arguments, log: "agent-0")
            #expect(try await agent.exitCode() == 78)
            #expect(agent.output.contains(arguments[0]))
        }
    }
}
