internal import DequeModule
internal import ProfferKernel
internal import ProfferModel

extension Agent {
    func answer(_ operation: AgentOperation, _ query: QueryID, _ turn: inout Turn) {
        switch operation {
        case .summary: turn.effects.append(.answer(.summary(summary), query))
        case .sandbox(let key):
            let held = taskSlots[key].flatMap { tasks[$0] }?.sandbox ?? ""
            let path =
                held.isEmpty ? paths.sandbox(key, number: launchNumbers[key] ?? 1) : held
            turn.effects.append(.answer(.sandbox(path: path), query))
        case .discard(let paths):
            let used = directoriesInUse
            let unused = paths.filter { !used.contains($0) }
            if !unused.isEmpty { turn.effects.append(.discard(paths: unused)) }
            turn.effects.append(
                .answer(.inUse(paths: paths.filter { used.contains($0) }), query))
        }
    }

    /// The directories of what lives or may still be asked for: a task whose last update is not
    /// acknowledged is one.
    private var directoriesInUse: Set<String> {
        Set(
            tasks.slots.compactMap { tasks[$0]?.sandbox }
                + executors.slots.compactMap { executors[$0]?.directory })
    }

    private var summary: AgentReport {
        var report = AgentReport(info: info, isRegistered: isRegistered, usage: measures.usage)
        report.frameworks = frameworks.slots.compactMap { frameworks[$0]?.info }
        report.executors = executors.slots.compactMap { executors[$0] }.map { row in
            ExecutorReport(
                key: row.key, containerID: row.containerID, directory: row.directory,
                pid: row.pid, isConnected: row.peer != nil, tasks: row.taskCount)
        }
        report.tasks = tasks.slots.compactMap { tasks[$0] }.compactMap { row in
            guard let info = row.info else { return nil }
            return TaskReport(
                key: row.key, name: info.name, executorID: row.executorID, state: row.state,
                resources: info.resources, sandbox: row.sandbox,
                unacknowledgedUpdates: row.pending.count)
        }
        return report
    }
}
