import Glibc
import Proffer

/// Keeps one service with data of its own: the volume is made once, and whenever the service has
/// ended it is launched again on the node that has its data.
///
/// Reservation and volume belong to the role, so they outlive the framework too: a new one with the
/// same role finds the volume in its offers. `KEPT_STATE_HOME` names a file that keeps whether the
/// volume was made; without it a framework that is started anew would make another one.
@main
actor KeptState: Framework {
    static let role = "kept-state"
    let info = FrameworkInfo(name: "kept-state", roles: [role])
    private let home = variable("KEPT_STATE_HOME") ?? "kept-state.home"
    private let command =
        variable("KEPT_STATE_COMMAND")
        ?? "echo started on $(hostname) >>data/starts; exec sleep 3600"
    private var isRunning = false

    private static let volume = Resource(
        "disk", .scalar(Milli(64)), reservations: [Reservation(role: role)],
        disk: DiskInfo(persistenceID: "state", containerPath: "data"))
    private static let space = Resource(
        "disk", .scalar(Milli(64)), reservations: [Reservation(role: role)])

    func resourceOffers(_ offers: [Offer], _ scheduler: Scheduler) {
        for offer in offers {
            let hasVolume = offer.resources.items.contains {
                $0.disk?.persistenceID == "state" && $0.reservedRole == Self.role
            }
            let isMade = access(home, F_OK) == 0
            var budget = OfferBudget(offer)
            guard !isRunning, hasVolume || !isMade,
                var resources = budget.take(cpus: Milli(thousandths: 100), mem: Milli(32))
            else {
                // Elsewhere there is nothing to wait for; its own node is asked for again soon.
                scheduler.decline(offer, refuse: .seconds(hasVolume ? 1 : 5))
                continue
            }
            resources += Self.volume
            launch(resources, on: offer, hasVolume: hasVolume, scheduler)
        }
    }

    private func launch(
        _ resources: Resources, on offer: Offer, hasVolume: Bool, _ scheduler: Scheduler
    ) {
        isRunning = true
        let task = TaskInfo(
            name: "kept-state", id: TaskID("kept-state-\(UInt64.random(in: 0...UInt64.max))"),
            agentID: offer.agentID, resources: resources, command: CommandInfo(value: command))
        var operations: [Operation] = []
        if !hasVolume {
            operations.append(Operation(action: .reserve(Resources([Self.space]))))
            operations.append(Operation(action: .create(Resources([Self.volume]))))
            close(creat(home, 0o600))
        }
        operations.append(Operation(action: .launch([task])))
        scheduler.call(
            .accept(offers: [offer.id], operations: operations, filters: Filters(refuse: .zero)))
    }

    func statusUpdate(_ status: TaskStatus, _ scheduler: Scheduler) {
        print("\(status.state.name) on \(status.agentID?.value ?? "?") \(status.message ?? "")")
        guard status.state.isTerminal else { return }
        isRunning = false
        scheduler.revive()
    }
}

private func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
