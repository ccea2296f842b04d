public import ProfferAgent
public import ProfferModel

/// The fate of an executor, as its host tells it.
public enum ExecutorFate: Hashable, Sendable {
    /// It has this process.
    case started(ContainerID, pid: Int, startTicks: UInt64)
    /// It has none, and why.
    case failed(ContainerID, message: String)
    /// It has ended with this wait status; -1 when that is not known.
    case ended(ContainerID, status: Int)
    /// Nothing is left of the tasks of a dead one.
    case swept(ContainerID)
}

/// Starts and ends executors for an agent, each in whatever form suits the host process.
///
/// Called on the agent's thread, so nothing here may wait for long.
public protocol ExecutorHost: Sendable {
    /// Begins to report; called once, before anything else.
    func open(_ report: @escaping @Sendable (ExecutorFate) -> Void) throws

    /// Makes a sandbox, with its parents, unless it is there.
    func makeSandbox(_ path: String) throws

    /// Starts an executor; answered with `started` or `failed`.
    func launch(_ launch: ExecutorLaunch)

    /// Holds a custom executor to what it and its tasks have taken, and gives it the volumes among
    /// it; called after its launch for every task that comes or goes, before it hears of the task.
    func resize(_ size: ExecutorSize)

    /// Kills an executor and everything in its process group, if it is still the same process;
    /// answered with `ended`, also when it was gone already.
    func kill(_ container: ContainerID, pid: Int, startTicks: UInt64)

    /// Kills what the tasks in these sandboxes have left: their executor is dead. Answered with
    /// `swept` when it is gone; not answered when something does not die, and asked again then.
    func sweep(_ container: ContainerID, _ sandboxes: [String])

    /// Watches an executor that an earlier run of the agent started; `false` when it is gone.
    func adopt(_ container: ContainerID, pid: Int, startTicks: UInt64) -> Bool

    /// Undoes what executors of an earlier run have left, but for those that live; called once,
    /// after every `adopt` and before the first `launch`.
    ///
    /// Without records nobody knows what runs on the node: whatever an agent of this directory has
    /// started is killed, because its resources are about to be offered.
    func settle(living: [ContainerID], hasRecords: Bool)

    /// Moves directories that nobody uses out of the way, to be removed later; it must be quick.
    func discard(_ paths: [String])

    /// Puts the data of destroyed volumes out of reach, to be removed later, and sets aside
    /// whatever is where new ones will be; it must be quick.
    func changeVolumes(destroyed: [VolumePlace], created: [VolumePlace])

    /// Lets go of everything without killing what outlives the agent.
    func close()
}

extension ExecutorHost {
    /// Does nothing, for a host whose executors leave nothing.
    public func settle(living: [ContainerID], hasRecords: Bool) {}

    /// Does nothing, for a host whose directories go with it.
    public func discard(_ paths: [String]) {}

    /// Does nothing, for a host that limits nobody.
    public func resize(_ size: ExecutorSize) {}

    /// Does nothing, for a host whose tasks have no volumes.
    public func changeVolumes(destroyed: [VolumePlace], created: [VolumePlace]) {}
}
