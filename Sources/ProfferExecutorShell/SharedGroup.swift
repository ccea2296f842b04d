internal import ProfferContainers
internal import ProfferIsolation
internal import ProfferModel
internal import Synchronization

/// What the tasks of a group share: made by the first that needs it, while the others wait, and
/// undone after the last of them.
final class SharedGroup: Sendable {
    /// The name of its plan.
    let name: String
    private let container: ContainerInfo
    private let settings: IsolationSettings
    private let runner: PlanRunner
    private let made = Mutex<Result<IsolationPlan, SystemError>?>(nil)

    init(
        name: String, container: ContainerInfo, settings: IsolationSettings, runner: PlanRunner
    ) {
        self.name = name
        self.container = container
        self.settings = settings
        self.runner = runner
    }

    /// The plan, once it is carried out.
    var plan: IsolationPlan? { made.withLock { try? $0?.get() } }

    /// Makes everything, for threads that may wait; only the first call does it.
    ///
    /// - Throws: ``SystemError`` that says what failed, at every call; then nothing is left.
    func make() throws(SystemError) {
        let result = made.withLock { made -> Result<IsolationPlan, SystemError> in
            let result = made ?? Result { () throws(SystemError) in try carryOut() }
            made = result
            return result
        }
        _ = try result.get()
    }

    private func carryOut() throws(SystemError) -> IsolationPlan {
        let planner = ContainerPlanner(directory: settings.containers.bundles)
        let plan = IsolationPlan(
            name: name,
            steps: planner.groupSteps(
                name, network: container.network,
                joining: try ContainerStart.joining(name, container, settings)))
        try runner.carryOut(plan)
        return plan
    }

    /// Undoes everything, for threads that may wait.
    func undo() {
        guard let plan else { return }
        runner.undo(plan, within: 2000)
    }
}
