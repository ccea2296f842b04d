import Foundation
import ProfferFailpoints

/// Who is killed, and where: a row of the table in Docs/Internals/Failpoints.md.
struct CrashCase: Sendable, CustomStringConvertible {
    enum Part: String, Sendable {
        case framework
        case master
        case agent
        case executor
    }

    /// Where.
    var point: Failpoint
    /// At which time of coming there.
    var number = 1
    /// How the task ends, as the framework is told.
    var ends: Set<String> = ["TASK_FINISHED"]
    /// How often its command is started.
    var starts = 1...1
    /// Whether the task has to end for the point to be reached.
    var isAfterEnd = false

    init(
        _ point: Failpoint, number: Int = 1, ends: Set<String> = ["TASK_FINISHED"],
        starts: ClosedRange<Int> = 1...1, isAfterEnd: Bool = false
    ) {
        self.point = point
        self.number = number
        self.ends = ends
        self.starts = starts
        self.isAfterEnd = isAfterEnd
    }

    var part: Part {
        Part(rawValue: String(point.rawValue.prefix { $0 != "." })) ?? .executor
    }

    /// Whether tasks have cgroups, where they can: what they have left is looked for only without.
    var isLimited: Bool { point != .executorSweepBefore && point != .executorSweepAfter }

    var description: String { point.rawValue + (number == 1 ? "" : "@\(number)") }

    /// How often each case runs: more in `make soak`.
    static let repeats =
        ProcessInfo.processInfo.environment["PROFFER_CRASH_REPEATS"].flatMap { Int($0) } ?? 3
}

extension CrashCase {
    /// Intent, RUNNING and the end are kept, in this order.
    static let framework: [CrashCase] = [
        CrashCase(.frameworkOutputsBefore),
        CrashCase(.frameworkOutputsAfter),
        CrashCase(.frameworkAcceptBefore),
        CrashCase(.frameworkAcceptAfter),
        CrashCase(.frameworkUpdateReceived),
        CrashCase(.frameworkOutputsBefore, number: 2),
        CrashCase(.frameworkOutputsAfter, number: 2),
        CrashCase(.frameworkAcknowledgeBefore),
        CrashCase(.frameworkAcknowledgeAfter),
        CrashCase(.frameworkUpdateReceived, number: 2, isAfterEnd: true),
        CrashCase(.frameworkOutputsBefore, number: 3, isAfterEnd: true),
        CrashCase(.frameworkOutputsAfter, number: 3, isAfterEnd: true),
        CrashCase(.frameworkAcknowledgeBefore, number: 2, isAfterEnd: true),
        CrashCase(.frameworkAcknowledgeAfter, number: 2, isAfterEnd: true),
    ]

    /// Tasks are not in the registry: a new master learns of them from their agent.
    static let master: [CrashCase] = [
        CrashCase(.masterRegistryBefore),
        CrashCase(.masterRegistryAfter),
        CrashCase(.masterRegistryBefore, number: 2),
        CrashCase(.masterRegistryAfter, number: 2),
        CrashCase(.masterAcceptReceived),
        CrashCase(.masterRunBefore),
        CrashCase(.masterRunAfter),
        CrashCase(.masterRunningReceived),
        CrashCase(.masterRunningBefore),
        CrashCase(.masterRunningAfter),
        CrashCase(.masterAcknowledgeReceived),
        CrashCase(.masterAcknowledgeBefore),
        CrashCase(.masterAcknowledgeAfter),
        CrashCase(.masterEndReceived, isAfterEnd: true),
        CrashCase(.masterEndBefore, isAfterEnd: true),
        CrashCase(.masterEndAfter, isAfterEnd: true),
        CrashCase(.masterAcknowledgeReceived, number: 2, isAfterEnd: true),
        CrashCase(.masterAcknowledgeBefore, number: 2, isAfterEnd: true),
        CrashCase(.masterAcknowledgeAfter, number: 2, isAfterEnd: true),
    ]

    /// What no executor was told of was never launched and is launched again under the same id;
    /// nothing that runs is touched.
    static let agent: [CrashCase] = [
        CrashCase(.agentRunReceived),
        CrashCase(.agentTaskStoredBefore),
        CrashCase(.agentTaskStoredAfter),
        CrashCase(.agentExecutorBefore),
        CrashCase(.agentExecutorAfter),
        CrashCase(.agentSandboxBefore),
        CrashCase(.agentSandboxAfter),
        CrashCase(.agentExecutorStoredBefore),
        CrashCase(.agentExecutorStoredAfter),
        CrashCase(.agentLaunchBefore),
        CrashCase(.agentLaunchAfter),
        CrashCase(.agentRunningReceived),
        CrashCase(.agentRunningStoredBefore),
        CrashCase(.agentRunningStoredAfter),
        CrashCase(.agentRunningBefore),
        CrashCase(.agentRunningAfter),
        CrashCase(.agentAcknowledgeReceived),
        CrashCase(.agentAcknowledgeStoredBefore),
        CrashCase(.agentAcknowledgeStoredAfter),
        CrashCase(.agentEndReceived, isAfterEnd: true),
        CrashCase(.agentEndStoredBefore, isAfterEnd: true),
        CrashCase(.agentEndStoredAfter, isAfterEnd: true),
        CrashCase(.agentEndBefore, isAfterEnd: true),
        CrashCase(.agentEndAfter, isAfterEnd: true),
        CrashCase(.agentAcknowledgeReceived, number: 2, isAfterEnd: true),
        CrashCase(.agentForgottenBefore, isAfterEnd: true),
        CrashCase(.agentForgottenAfter, isAfterEnd: true),
    ]

    /// Tasks end with their executor, and success is never made up.
    static let executor: [CrashCase] = [
        CrashCase(.executorBegin, ends: lost, starts: 0...0),
        CrashCase(.executorSubscribeBefore, ends: lost, starts: 0...0),
        CrashCase(.executorSubscribeAfter, ends: lost, starts: 0...0),
        CrashCase(.executorLaunchReceived, ends: lost, starts: 0...0),
        CrashCase(.executorPlanBefore, ends: lost, starts: 0...0),
        CrashCase(.executorPlanAfter, ends: lost, starts: 0...0),
        CrashCase(.executorStartBefore, ends: lost, starts: 0...0),
        CrashCase(.executorStartAfter, ends: lost, starts: 0...1),
        CrashCase(.executorRunningBefore, ends: lost, starts: 0...1),
        CrashCase(.executorRunningAfter, ends: lost, starts: 0...1),
        CrashCase(.executorExitReceived, ends: lost, isAfterEnd: true),
        CrashCase(.executorUndoBefore, ends: lost, isAfterEnd: true),
        CrashCase(.executorUndoAfter, ends: lost, isAfterEnd: true),
        CrashCase(.executorEndBefore, ends: lost, isAfterEnd: true),
        CrashCase(.executorEndAfter, isAfterEnd: true),
        CrashCase(.executorSweepBefore, isAfterEnd: true),
        CrashCase(.executorSweepAfter, isAfterEnd: true),
    ]

    private static let lost: Set<String> = ["TASK_FAILED"]

    static let all = framework + master + agent + executor
}
