internal import Foundation
internal import Synchronization

/// Why a cluster's run ended before its time.
private enum EarlyEnd: Sendable {
    case interrupted
    case died(CommandProblem)
}

/// Runs `body` with a cluster, and ends the cluster whatever happens: when the body returns or
/// throws, when a signal comes at any moment, when one of the cluster's programs dies.
///
/// - Returns: Whether a signal ended it.
/// - Throws: What the body throws, or the failure of the program that died.
func withDevCluster(
    in path: String?, _ lifetime: DevDirectory.Lifetime, agentCount: Int, masterCount: Int = 1,
    usesEtcd: Bool = false,
    report: @escaping @Sendable (String) -> Void,
    _ body: @escaping @Sendable (DevCluster, ClusterContext) async throws -> Void
) async throws -> Bool {
    let early = Mutex<EarlyEnd?>(nil)
    let job = Mutex<(cluster: DevCluster, work: Task<Void, any Error>)?>(nil)
    let interrupts = Interrupts.install { kind in
        let running = job.withLock { $0 }
        switch kind {
        case .stop:
            let isFirst = early.withLock { early in
                defer { early = early ?? .interrupted }
                return early == nil
            }
            if isFirst { running?.work.cancel() } else { running?.cluster.hurry() }
        case .child:
            guard let running, let problem = running.cluster.deadDaemon() else { return }
            early.withLock { $0 = $0 ?? .died(problem) }
            running.work.cancel()
        }
    }
    defer { interrupts.remove() }
    let directory = try DevDirectory(path, lifetime)
    let cluster: DevCluster
    do {
        cluster = try DevCluster(
            directory, agentCount: agentCount, masterCount: masterCount, usesEtcd: usesEtcd,
            report: report)
    } catch {
        directory.release()
        throw error
    }
    let work = Task {
        let context = try await cluster.start()
        try await body(cluster, context)
    }
    job.withLock { $0 = (cluster, work) }
    // A signal before this line found nothing to cancel.
    if early.withLock({ $0 != nil }) { work.cancel() }
    let result = await work.result
    let isClean = await cluster.stop()
    switch early.withLock({ $0 }) {
    case .died(let problem): throw problem
    case .interrupted: break
    case nil: try result.get()
    }
    guard isClean else {
        throw CommandProblem(
            .failed, "processes of the cluster are left",
            because: "they did not end although they were killed",
            try: "look for them with 'ps -ef', and at the machine's disks")
    }
    return early.withLock { $0 } != nil
}
