internal import ProfferModel

extension Master {
    /// Why a custom executor's task may not name secrets.
    static let foreignSecrets =
        "only the agent's own executor is handed the secrets of a task; name them in the command of"
        + " its executor instead"

    /// What is wrong with the secrets of a task, or `nil`.
    func problemOfSecrets(_ task: TaskInfo) -> String? {
        if let problem = problemOfSecrets(task.command) { return problem }
        for volume in task.container?.volumes ?? [] {
            if let problem = volume.secret?.problem {
                return "the secret of its volume '\(volume.containerPath)' \(problem)"
            }
        }
        return nil
    }

    /// What is wrong with the secrets of an executor, or `nil`.
    func problemOfSecrets(_ executor: ExecutorInfo) -> String? {
        if let problem = problemOfSecrets(executor.command) { return problem }
        let volumes = executor.container?.volumes ?? []
        return volumes.contains { $0.secret != nil }
            ? "an executor can have secrets in its environment only" : nil
    }

    private func problemOfSecrets(_ command: CommandInfo?) -> String? {
        for variable in command?.environment ?? [] {
            if let problem = variable.secret?.problem {
                return "the secret of its environment variable '\(variable.name)' \(problem)"
            }
        }
        return nil
    }
}

extension TaskInfo {
    /// Whether it names a secret, or tells one itself.
    var hasSecrets: Bool {
        command?.environment.contains { $0.secret != nil } == true
            || container?.volumes.contains { $0.secret != nil } == true
    }
}
