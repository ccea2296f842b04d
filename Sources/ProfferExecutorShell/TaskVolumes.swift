internal import ProfferContainers
internal import ProfferExecutor
internal import ProfferFailpoints
internal import ProfferIsolation
internal import ProfferModel

/// Volumes of a task, with their errors in the words of the task's update.
enum TaskVolumes {
    /// The persistent volumes that a task has taken.
    static func mounts(
        of launch: TaskLaunch, _ planner: VolumePlanner
    ) throws(SystemError) -> [VolumeMount] {
        do throws(ContainerProblem) {
            return try planner.mounts(of: launch.resources)
        } catch {
            throw SystemError("start", launch.id.value, code: 0, hint: error.description)
        }
    }

    /// What a task without a container needs to find its volumes.
    static func steps(
        _ launch: TaskLaunch, _ name: String, _ mounts: [VolumeMount], _ volumes: VolumePlanner,
        _ planner: TaskPlanner
    ) throws(SystemError) -> [IsolationStep] {
        if mounts.isEmpty, !mayTakeLong(launch) { return [] }
        let owner = try NodeUsers.find(launch.command.user ?? planner.settings.user)
        do throws(ContainerProblem) {
            return try volumes.steps(
                name, mounts, launch.container, sandbox: launch.sandbox, owner: owner,
                isRoot: planner.facts.isRoot)
        } catch {
            throw SystemError("start", launch.id.value, code: 0, hint: error.description)
        }
    }

    /// Whether programs have to be run first, as drivers of volumes do.
    static func mayTakeLong(_ launch: TaskLaunch) -> Bool {
        launch.container?.volumes.contains { $0.external != nil } == true
    }
}

/// Makes what a task without a container needs and starts its first process.
struct PlainStart: Sendable {
    let launch: TaskLaunch
    let plan: IsolationPlan
    let runner: PlanRunner
    /// The user to run as when the task names none.
    let user: String?

    /// - Throws: ``SystemError`` that says what failed; then nothing is left.
    func run() throws(SystemError) -> ProcessIdentity {
        Failpoint.hit(.executorPlanBefore)
        try runner.carryOut(plan)
        Failpoint.hit(.executorPlanAfter)
        var command = launch.command
        command.user = command.user ?? user
        do throws(SystemError) {
            Failpoint.hit(.executorStartBefore)
            let process = try ProcessLauncher.start(
                ProcessPlan(
                    command: command, environment: launch.environment, directory: launch.sandbox,
                    confinement: plan.confinement), isExact: false)
            Failpoint.hit(.executorStartAfter)
            return process
        } catch {
            runner.undo(plan)
            throw error
        }
    }
}
