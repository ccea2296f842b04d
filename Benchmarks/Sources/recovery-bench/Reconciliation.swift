import BenchSupport
import ProfferKernel
import ProfferModel

/// A framework asks about all its tasks.
enum Reconciliation {
    static func cells(quick: Bool) -> [Cell] {
        let counts = quick ? [1000] : [1000, 10_000, 50_000, 100_000]
        return counts.flatMap { count in
            [true, false].map { isKnown in
                Cell(
                    name: "explicit reconciliation of \(count) "
                        + (isKnown ? "known tasks" : "unknown tasks"),
                    unit: "s", bar: count == 100_000 ? "<= 1 s" : ""
                ) { measure(count, isKnown: isKnown) }
            }
        }
    }

    /// Seconds of CPU time from the question to the last answer, at the framework.
    private static func measure(_ count: Int, isKnown: Bool) -> Double {
        let agents = max(1, count / 100)
        let known = (0..<count).map { number in
            ReconcileTask(
                taskID: Conversation.task(number / 100, number % 100),
                agentID: isKnown ? AgentID("bench-S\(number / 100)") : nil)
        }
        var conversation = Conversation(
            agents: agents, tasks: isKnown ? 100 : 0, known: known)
        conversation.endTurn()
        conversation.pass(.seconds(1))
        let before = conversation.driver.policy.updates
        let begin = Usage.threadSeconds()
        for start in stride(from: 0, to: count, by: 1000) {
            let list = Array(known[start..<min(start + 1000, count)])
            conversation.give(
                .framework(
                    FrameworkCall(frameworkID: conversation.framework, call: .reconcile(list)),
                    from: Conversation.peer))
        }
        conversation.endTurn()
        conversation.pass(.seconds(10))
        let seconds = Usage.threadSeconds() - begin
        precondition(
            conversation.driver.policy.updates - before >= count, "a task was not answered for")
        return seconds
    }
}
