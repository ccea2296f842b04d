import Proffer

/// Says hello three times, wherever there is room.
@main
actor HelloFramework: Framework {
    let info = FrameworkInfo(name: "hello")
    var launched = 0
    var ended = 0

    func resourceOffers(_ offers: [Offer], _ scheduler: Scheduler) {
        for offer in offers {
            var budget = OfferBudget(offer)
            var tasks: [TaskInfo] = []
            while launched < 3,
                let resources = budget.take(cpus: Milli(thousandths: 100), mem: Milli(32))
            {
                launched += 1
                tasks.append(
                    TaskInfo(
                        name: "hello", id: TaskID("hello-\(launched)"), agentID: offer.agentID,
                        resources: resources,
                        command: CommandInfo(value: "echo hello from $(hostname)")))
            }
            scheduler.launch(tasks, on: offer, refuse: .seconds(3600))
        }
    }

    func statusUpdate(_ status: TaskStatus, _ scheduler: Scheduler) {
        print("\(status.taskID) is \(status.state.name) \(status.message ?? "")")
        if status.state.isTerminal { ended += 1 }
        if ended == 3 { scheduler.stop() }
    }
}
