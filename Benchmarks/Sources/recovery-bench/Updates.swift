import BenchSupport
import ProfferKernel
import ProfferModel
import ProfferWire

/// Updates from agents through the master to a framework, and the acknowledgements back.
enum Updates {
    static func cells(quick: Bool) -> [Cell] {
        let (agents, tasks) = quick ? (20, 50) : (1000, 100)
        return [
            Cell(
                name: "updates of \(agents * tasks) tasks on \(agents) agents, acknowledged",
                unit: "per second", bar: ">= 50000"
            ) { rate(agents: agents, tasks: tasks, rounds: quick ? 2 : 5) },
            Cell(
                name: "catch-up of \(agents * tasks) tasks with two updates each", unit: "s",
                bar: "<= 5 s"
            ) {
                Double(agents * tasks * 2) / rate(agents: agents, tasks: tasks, rounds: 2)
            },
        ]
    }

    /// How many updates a second of CPU time brings from the agents' bytes to the bytes of the
    /// acknowledgement for them; a turn of the master takes 512 messages.
    private static func rate(agents: Int, tasks: Int, rounds: Int) -> Double {
        var conversation = Conversation(agents: agents, tasks: tasks)
        conversation.endTurn()
        var seconds = 0.0
        for round in 0..<rounds {
            var messages: [(agent: Int, bytes: [UInt8])] = []
            for place in 0..<tasks {
                for agent in 0..<agents {
                    let uuid = UpdateID(
                        high: UInt64(round + 1), low: UInt64(agent * tasks + place))
                    let status = TaskStatus(
                        taskID: Conversation.task(agent, place), state: .running,
                        source: .executor, reason: .taskHealthCheckStatusUpdated,
                        agentID: conversation.agents[agent], executorID: "proffer-executor",
                        timestamp: WallTime(nanosecondsSince1970: 1_700_000_000_000_000_000),
                        uuid: uuid, healthy: round % 2 == 0)
                    messages.append(
                        (
                            agent,
                            WireCodec.encode(
                                .update(
                                    conversation.framework, status,
                                    position: UpdatePosition(
                                        latestState: .running, latestUUID: uuid)))
                        ))
                }
            }
            let begin = Usage.threadSeconds()
            for (index, message) in messages.enumerated() {
                conversation.hear(message.bytes, from: message.agent)
                if index % 512 == 511 { conversation.endTurn() }
            }
            conversation.endTurn()
            seconds += Usage.threadSeconds() - begin
        }
        let count = agents * tasks * rounds
        precondition(conversation.acknowledged == count, "an update was not acknowledged")
        precondition(conversation.driver.policy.updates >= count, "an update was lost")
        return Double(count) / seconds
    }
}
