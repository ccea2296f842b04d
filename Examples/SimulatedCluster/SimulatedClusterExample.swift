import Proffer
import ProfferSimulation

/// Lets a policy run in clusters where everything goes wrong.
@main
enum SimulatedClusterExample {
    static let copies = SimulatedFramework(
        name: "copies",
        behavior: { _, _ in SimulatedTask() },
        complaint: { (policy: ThreeCopies) in
            policy.live.count == 3 ? nil : "there are \(policy.live.count) copies"
        },
        start: { (kept: [ThreeCopies.Output], _) in
            let policy = ThreeCopies(kept: kept)
            var options = FrameworkOptions(
                info: FrameworkInfo(name: "copies", failoverTimeout: .seconds(600)))
            options.knownTasks = policy.live.map { ReconcileTask(taskID: $0) }
            return SimulatedFramework.Start(policy: policy, options: options)
        })

    static func main() {
        var configuration = SimulationConfiguration()
        configuration.workloads = [copies]
        for seed in UInt64(1)...20 {
            let report = Simulation(configuration).run(seed: seed)
            print("seed \(seed): \(report.violation.map { "\($0)" } ?? "all is well")")
        }
    }
}
