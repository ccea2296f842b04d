internal import Foundation
internal import Logging
internal import ProfferAgent
internal import ProfferContainers
internal import ServiceLifecycle
internal import Synchronization

/// Removes the directories of tasks and executors that have ended, when it is time to.
struct DirectoryCollector: Service {
    let directories: EndedDirectories
    let rule: CollectionRule
    let interval: Duration
    let logger: Logger
    /// The directories of what is on the node, and of what has ended but is not settled.
    let inUse: @Sendable () async throws -> Set<String>
    /// Has the agent put directories away that nobody uses.
    let discard: @Sendable ([String]) async throws -> Void

    func run() async throws {
        await cancelWhenGracefulShutdown {
            var used: Set<String> = []
            while !Task.isCancelled {
                // First of all: an agent that cannot start must not be waited for.
                try? await Task.sleep(for: interval)
                if Task.isCancelled { return }
                do {
                    used = try await look(after: used)
                } catch is NodeStopped {
                    return
                } catch {
                    logger.error(
                        "ended directories cannot be collected", metadata: ["error": "\(error)"])
                }
            }
        }
    }

    /// Looks once.
    ///
    /// - Parameter before: What was in use at the look before.
    /// - Returns: What is in use now.
    /// - Throws: What the agent throws when it is asked.
    func look(after before: Set<String>) async throws -> Set<String> {
        // The directories come first: one that is made after the question is not among them.
        let entries = await onOwnThread { directories.entries() }
        let used = try await inUse()
        let now = Int64(time(nil))
        let candidates = entries.filter { !used.contains($0.path) }.map { entry in
            // A task may end long after its last word, and its directory counts from its end.
            let hasJustEnded = before.contains(entry.path)
            if hasJustEnded { directories.touch(entry.path) }
            return CollectionRule.Candidate(
                path: entry.path,
                age: hasJustEnded ? .zero : .seconds(max(0, now - entry.changedAt)))
        }
        let use = directories.diskUse()
        let due = rule.due(candidates, use: use)
        if !due.isEmpty { try await discard(due) }
        // A task may leave millions of files; the agent's end does not wait for all of them.
        let isStopped = Atomic(false)
        let (removed, left) = await withTaskCancellationHandler {
            await onOwnThread {
                directories.removeDiscarded { isStopped.load(ordering: .relaxed) }
            }
        } onCancel: {
            isStopped.store(true, ordering: .relaxed)
        }
        if removed > 0 {
            logger.info(
                "removed directories of ended tasks and executors",
                metadata: ["count": "\(removed)", "disk_use": "\(use / 10)%"])
        }
        for path in left {
            logger.warning("a directory cannot be removed", metadata: ["path": "\(path)"])
        }
        return used
    }

    /// Runs what may take long elsewhere than on one of the few threads of tasks.
    private func onOwnThread<Value: Sendable>(
        _ body: @escaping @Sendable () -> Value
    ) async -> Value {
        await withCheckedContinuation { continuation in
            DispatchQueue.global(qos: .utility).async { continuation.resume(returning: body()) }
        }
    }
}
