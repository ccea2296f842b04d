/// A named step in the life of a task at which a test can end or stop the process that takes it.
///
/// The steps are those of the shells, where inputs arrive and effects leave; a machine has none.
/// Off unless the environment has `PROFFER_FAILPOINTS` (see ``Failpoints``): then passing one costs
/// the load of a Bool.
public enum Failpoint: String, CaseIterable, Sendable {
    // A framework: its intent and its updates are kept, its calls leave.
    case frameworkOutputsBefore = "framework.outputs.before"
    case frameworkOutputsAfter = "framework.outputs.after"
    case frameworkAcceptBefore = "framework.accept.before"
    case frameworkAcceptAfter = "framework.accept.after"
    case frameworkUpdateReceived = "framework.update.received"
    case frameworkAcknowledgeBefore = "framework.acknowledge.before"
    case frameworkAcknowledgeAfter = "framework.acknowledge.after"

    // A master.
    case masterRegistryBefore = "master.registry.before"
    case masterRegistryAfter = "master.registry.after"
    case masterAcceptReceived = "master.accept.received"
    case masterRunBefore = "master.run.before"
    case masterRunAfter = "master.run.after"
    case masterRunningReceived = "master.running.received"
    case masterRunningBefore = "master.running.before"
    case masterRunningAfter = "master.running.after"
    case masterAcknowledgeReceived = "master.acknowledge.received"
    case masterAcknowledgeBefore = "master.acknowledge.before"
    case masterAcknowledgeAfter = "master.acknowledge.after"
    case masterEndReceived = "master.end.received"
    case masterEndBefore = "master.end.before"
    case masterEndAfter = "master.end.after"

    // An agent.
    case agentRunReceived = "agent.run.received"
    case agentTaskStoredBefore = "agent.task-stored.before"
    case agentTaskStoredAfter = "agent.task-stored.after"
    case agentSandboxBefore = "agent.sandbox.before"
    case agentSandboxAfter = "agent.sandbox.after"
    case agentExecutorBefore = "agent.executor.before"
    case agentExecutorAfter = "agent.executor.after"
    case agentExecutorStoredBefore = "agent.executor-stored.before"
    case agentExecutorStoredAfter = "agent.executor-stored.after"
    case agentLaunchBefore = "agent.launch.before"
    case agentLaunchAfter = "agent.launch.after"
    case agentRunningReceived = "agent.running.received"
    case agentRunningStoredBefore = "agent.running-stored.before"
    case agentRunningStoredAfter = "agent.running-stored.after"
    case agentRunningBefore = "agent.running.before"
    case agentRunningAfter = "agent.running.after"
    case agentAcknowledgeReceived = "agent.acknowledge.received"
    case agentAcknowledgeStoredBefore = "agent.acknowledge-stored.before"
    case agentAcknowledgeStoredAfter = "agent.acknowledge-stored.after"
    case agentEndReceived = "agent.end.received"
    case agentEndStoredBefore = "agent.end-stored.before"
    case agentEndStoredAfter = "agent.end-stored.after"
    case agentEndBefore = "agent.end.before"
    case agentEndAfter = "agent.end.after"
    case agentForgottenBefore = "agent.forgotten.before"
    case agentForgottenAfter = "agent.forgotten.after"

    // An executor.
    case executorBegin = "executor.begin"
    case executorSubscribeBefore = "executor.subscribe.before"
    case executorSubscribeAfter = "executor.subscribe.after"
    case executorLaunchReceived = "executor.launch.received"
    case executorPlanBefore = "executor.plan.before"
    case executorPlanAfter = "executor.plan.after"
    case executorStartBefore = "executor.start.before"
    case executorStartAfter = "executor.start.after"
    case executorRunningBefore = "executor.running.before"
    case executorRunningAfter = "executor.running.after"
    case executorExitReceived = "executor.exit.received"
    case executorUndoBefore = "executor.undo.before"
    case executorUndoAfter = "executor.undo.after"
    case executorEndBefore = "executor.end.before"
    case executorEndAfter = "executor.end.after"
    case executorSweepBefore = "executor.sweep.before"
    case executorSweepAfter = "executor.sweep.after"

    /// Says that the process has come to this point.
    @inline(__always)
    public static func hit(_ point: Failpoint) {
        if Failpoints.isArmed { Failpoints.reach(point) }
    }

    /// Sends something between two points.
    ///
    /// The second one is reached with the next ``turn()``, because what a handler sends leaves only
    /// when its turn has ended.
    @inline(__always)
    public static func sending(
        _ points: @autoclosure () -> (before: Failpoint, after: Failpoint)?, _ send: () -> Void
    ) {
        guard Failpoints.isArmed, let points = points() else { return send() }
        Failpoints.reach(points.before)
        send()
        Failpoints.postpone(points.after)
    }

    /// Says that a new turn of a handler begins: what the last one sent has left.
    @inline(__always)
    public static func turn() {
        if Failpoints.isArmed { Failpoints.reachPostponed() }
    }
}
