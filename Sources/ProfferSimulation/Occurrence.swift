internal import ProfferAgent
internal import ProfferElection
internal import ProfferKernel
internal import ProfferMaster
internal import ProfferModel

/// What has crossed a boundary: between a machine and its shell, a process and its disk, a node's
/// kernel and its processes.
enum Occurrence {
    case processEnded(Int)
    /// A client has a session with a master or agent of an epoch.
    case sessionOpened(Int, epoch: UInt64)
    case masterLeads(Int, epoch: UInt64, [MasterRecord])
    case masterEnded(Int, epoch: UInt64)
    case masterInput(Int, epoch: UInt64, MasterInput)
    /// A deadline of a master has come.
    case masterWakes(Int, epoch: UInt64)
    /// What a master has decided; it may have to wait for a commit.
    case masterEffect(Int, epoch: UInt64, MasterEffect)
    /// What a master lets out.
    case masterSent(Int, epoch: UInt64, Message, PeerID)
    case masterDurable(Int, epoch: UInt64, fence: Fence, [MasterRecord])
    case operatorAnswer(Int, QueryID, OperatorAnswer)
    case agentBoots(Int, [AgentRecord], [ContainerID])
    case agentInput(Int, epoch: UInt64, AgentInput)
    case agentEffect(Int, AgentEffect)
    case agentSent(Int, Message)
    case agentDurable(Int, [AgentRecord])
    case agentWiped(Int)
    case executorInput(Int, ExecutorKey, ExecutorEvent)
    case executorSent(Int, ExecutorMessage)
    case taskBegan(node: Int, pid: Int, TaskKey, Resources)
    case taskEnded(node: Int, pid: Int, TaskKey)
    case frameworkBoots(Int, FrameworkInfo)
    case frameworkRegistered(Int, FrameworkID)
    case frameworkInput(Int, FrameworkID?, SchedulerEvent)
    case frameworkSent(Int, FrameworkCall)
    case policySaw(Int, FrameworkID?, TaskStatus)
    case frameworkEnded(Int, FrameworkID?)
}
