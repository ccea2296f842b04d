import Proffer

/// Gives a warm executor one small job after another, up to as many at a time as fit an offer.
@main
actor WarmFramework: Framework {
    let info = FrameworkInfo(name: "warm")
    private let executor: ExecutorInfo
    private var bounds: [Int]
    private var live = 0
    private var failed = 0

    init() throws {
        // The first word is the path of `warm-executor` on the agents; the rest are the jobs.
        let words = CommandLine.arguments.dropFirst()
        guard let program = words.first, program.hasPrefix("/") else {
            throw Usage(description: "usage: warm-framework /path/of/warm-executor NUMBER...")
        }
        executor = ExecutorInfo(
            id: "warm",
            command: CommandInfo(value: program, shell: false, arguments: [program]),
            resources: Resources(cpus: Milli(thousandths: 100), mem: Milli(64)))
        bounds = words.dropFirst().compactMap { Int($0) }.reversed()
    }

    func resourceOffers(_ offers: [Offer], _ scheduler: Scheduler) {
        for offer in offers {
            var budget = OfferBudget(offer)
            var tasks: [TaskInfo] = []
            // What the executor itself needs is taken once, with the first task.
            let room = budget.take(cpus: Milli(thousandths: 100), mem: Milli(64)) != nil
            while room, let bound = bounds.last,
                let resources = budget.take(cpus: Milli(thousandths: 100), mem: Milli(8))
            {
                bounds.removeLast()
                tasks.append(
                    TaskInfo(
                        name: "primes", id: TaskID("below-\(bound)"), agentID: offer.agentID,
                        resources: resources, executor: executor, data: Array("\(bound)".utf8)))
            }
            live += tasks.count
            scheduler.launch(tasks, on: offer, refuse: .seconds(1))
        }
    }

    func statusUpdate(_ status: TaskStatus, _ scheduler: Scheduler) {
        guard status.state.isTerminal else { return }
        live -= 1
        if status.state == .finished {
            print("\(status.taskID): \(String(decoding: status.data ?? [], as: UTF8.self))")
        } else {
            failed += 1
            print("\(status.taskID): \(status.state.name) \(status.message ?? "")")
        }
        if bounds.isEmpty, live == 0 {
            print("\(failed) failed")
            scheduler.stop()
        }
    }
}

struct Usage: Error, CustomStringConvertible {
    let description: String
}
