import ClusterProbe
import Proffer
import ProfferEmbedded
import ProfferKernel
import Synchronization
import Testing

/// Kills all revocable tasks while a test says so.
private final class Switch: Sendable {
    private let state = Mutex(false)

    var isOn: Bool { state.withLock { $0 } }

    func turnOn() { state.withLock { $0 = true } }
}

private struct SwitchedController: QoSController {
    let pressure: Switch

    mutating func corrections(_ node: NodeUsage, at now: Instant) -> [QoSCorrection] {
        guard pressure.isOn else { return [] }
        return [.withhold]
            + node.tasks.filter(\.isRevocable).map { .kill($0.key, reason: "the test said so") }
    }
}

@Suite("Oversubscription in an embedded cluster", .serialized, .timeLimit(.minutes(2)))
struct OversubscriptionTests {
    @Test(
        """
        a task runs on what another one holds and does not use, and is killed for its sake, \
        which its framework is told
        """)
    func wholeStory() async throws {
        let pressure = Switch()
        let info = FrameworkInfo(
            name: "probe", capabilities: [.revocableResources, .partitionAware])
        try await withProbe(
            info, agents: 1,
            {
                $0.usageInterval = .milliseconds(50)
                $0.oversubscription = { _ in
                    Oversubscription(
                        estimator: FixedEstimator(Resources(cpus: Milli(1))),
                        controller: SwitchedController(pressure: pressure))
                }
            },
            { cluster, probe in
                let offer = try await probe.offer { $0.resources.nonRevocable.cpus == Milli(2) }
                probe.launch(
                    [TaskInfo("own", "exec sleep 600", on: offer, cpus: Milli(2))], on: offer)
                try await probe.update("own", .running)

                let spare = try await probe.offer("a revocable offer") {
                    $0.resources.revocable.cpus == Milli(1)
                }
                var task = TaskInfo("spare", "exec sleep 600", on: spare)
                task.resources = Resources([
                    Resource("cpus", .scalar(Milli(1)), isRevocable: true)
                ])
                probe.launch([task], on: spare)
                let pid = try #require(
                    try await probe.update("spare", .running).containerStatus?.pid)

                pressure.turnOn()
                let end = try await probe.update("spare", .gone)
                #expect(end.reason == .containerPreempted)
                #expect(
                    end.message == "its revocable resources were taken back: the test said so")
                #expect(!ProcessTable.isAlive(pid))
                #expect(probe.history.states(of: "own") == [.running])
                try await eventually("nothing revocable is left") {
                    try await cluster.agents().first?.oversubscribed.isEmpty == true
                }
            })
    }
}
