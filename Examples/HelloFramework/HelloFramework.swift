import Proffer

/// Says hello three times, wherever there is room.
@main
struct HelloFramework: Framework {
    let info = FrameworkInfo(name: "hello")
    let progress = Progress()

    func resourceOffers(_ offers: [Offer], _ scheduler: Scheduler) async {
        for offer in offers {
            var budget = OfferBudget(offer)
            var tasks: [TaskInfo] = []
            while await progress.launched < 3,
                let resources = budget.take(cpus: Milli(thousandths: 100), mem: Milli(32))
            {
                let id = TaskID("hello-\(await progress.launchNext())")
                let command = CommandInfo(value: "echo hello from $(hostname)")
                tasks.append(
                    TaskInfo(
                        name: id.value, id: id, agentID: offer.agentID, resources: resources,
                        command: command))
            }
            scheduler.launch(tasks, on: offer, refuse: .seconds(3600))
        }
    }

    func statusUpdate(_ status: TaskStatus, _ scheduler: Scheduler) async {
        print("\(status.taskID) is \(status.state.name) \(status.message ?? "")")
        if status.state.isTerminal, await progress.endNext() == 3 { scheduler.stop() }
    }

    actor Progress {
        var launched = 0
        var ended = 0
        func launchNext() -> Int {
            launched += 1
            return launched
        }
        func endNext() -> Int {
            ended += 1
            return ended
        }
    }
}
