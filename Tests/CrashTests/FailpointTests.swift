import ClusterProbe
import ProcessProbe
import Testing

@testable import ProfferFailpoints

@Suite("Failpoints")
struct FailpointTests {
    @Test("a list names points, what happens there and at which time")
    func list() throws {
        let found = try Failpoints.read("agent.run.received=kill,master.run.after=stop@12")
        #expect(found.count == 2)
        #expect(found[.agentRunReceived]?.action == .kill)
        #expect(found[.agentRunReceived]?.number == 1)
        #expect(found[.masterRunAfter]?.action == .stop)
        #expect(found[.masterRunAfter]?.number == 12)
        #expect(try Failpoints.read("").isEmpty)
    }

    @Test(
        "a list that cannot be read is refused",
        arguments: [
            "agent.run.received", "agent.run=kill", "agent.run.received=die",
            "agent.run.received=kill@0", "agent.run.received=kill@x", "agent.run.received=kill@1@2",
            "agent.run.received=kill=stop", "nothing=kill",
        ])
    func refused(_ text: String) {
        #expect(throws: FailpointProblem.self) { try Failpoints.read(text) }
    }

    @Test("nothing is on in a process without the variable")
    func off() {
        #expect(!Failpoints.isArmed)
        #expect(Failpoints.environment.isEmpty)
    }

    @Test("a daemon with a list that cannot be read says so and ends")
    func daemon() async throws {
        try await withProcesses { cluster in
            _ = try await cluster.startMaster()
            let agent = try cluster.start(
                "proffer-agent", try cluster.agentArguments(0),
                environment: ["PROFFER_FAILPOINTS": "agent.run=kill"], log: "agent-0")
            #expect(try await agent.exitCode() == 78)
            #expect(agent.output.contains("PROFFER_FAILPOINTS is not valid: 'agent.run=kill'"))
        }
    }
}
