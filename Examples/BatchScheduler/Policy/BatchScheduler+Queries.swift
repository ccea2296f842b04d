internal import Proffer

extension BatchScheduler {
    func view(_ slot: Slot<JobRow>) -> JobView? {
        guard let job = jobs[slot] else { return nil }
        var view = summary(job)
        view.tasks = job.tasks.map { task in
            TaskView(
                name: task.specification.name, state: Self.state(task.counts),
                counts: task.counts, specification: task.specification,
                demand: demandID(of: task, job))
        }
        return view
    }

    private func summary(_ job: JobRow) -> JobView {
        JobView(
            id: job.id, sequence: job.sequence, name: job.name, state: job.state,
            priority: job.priority, created: job.created, started: job.started,
            ended: job.ended, counts: job.counts, retries: job.retries,
            exitCode: job.state.isFinal ? job.exitCode : nil,
            message: job.message ?? whyNothingFits(job), tasks: [])
    }

    /// Why a task of which nothing runs is not launched.
    private func whyNothingFits(_ job: JobRow) -> String? {
        guard job.counts.ready > 0, let rest = largestRest else { return nil }
        for task in job.tasks where task.isQueued && !task.specification.demand.fits(rest) {
            guard task.counts.running == 0 else { continue }
            if task.isGangQueued { continue }
            return "task '\(task.specification.name)' waits for an offer with "
                + "\(task.specification.demand); the last offers had at most \(rest) left"
        }
        return nil
    }

    /// The demand that is stated for a task, when it waits for offers.
    private func demandID(of task: TaskRow, _ job: JobRow) -> String? {
        guard task.isQueued else { return nil }
        if task.isGangQueued { return Self.gangDemandID(job.id, task.specification.name) }
        return Self.demandID(
            task.specification.demand, priority: task.specification.priority ?? job.priority)
    }

    private static func state(_ counts: InstanceCounts) -> InstanceState {
        if counts.failed > 0 { return .failed }
        if counts.finished == counts.total { return .finished }
        if counts.done == counts.total { return .cancelled }
        if counts.running > 0 || counts.finished > 0 { return .running }
        return counts.ready > 0 ? .ready : .waiting
    }

    func list(_ state: JobState?, before: Int64?, limit: Int) -> BatchAnswer {
        var end = order.count
        if let before {
            var low = 0
            while low < end {
                let middle = (low + end) / 2
                if jobs[order[middle]]?.sequence ?? 0 < before {
                    low = middle + 1
                } else {
                    end = middle
                }
            }
        }
        var views: [JobView] = []
        for slot in order[..<end].reversed() {
            guard let job = jobs[slot], state == nil || job.state == state else { continue }
            if views.count == max(0, limit) {
                return .jobs(views, next: views.last?.sequence)
            }
            views.append(summary(job))
        }
        return .jobs(views, next: nil)
    }

    func instances(
        _ name: String, _ task: String?, _ state: InstanceState?, from: Int, limit: Int
    ) -> BatchAnswer {
        guard let slot = find(name), let job = jobs[slot] else { return .refused(.noJob(name)) }
        if let task, !job.tasks.contains(where: { $0.specification.name == task }) {
            return .refused(noTask(task, job))
        }
        var views: [InstanceView] = []
        var base = 0
        for (position, row) in job.tasks.enumerated() {
            let count = row.specification.count
            defer { base += count }
            guard task == nil || row.specification.name == task, base + count > from else {
                continue
            }
            for index in max(0, from - base)..<count {
                let ref = InstanceRef(job: slot, task: position, index: index)
                let view = view(ref, job, row)
                guard state == nil || view.state == state else { continue }
                if views.count == max(0, limit) {
                    return .instances(views, next: base + index)
                }
                views.append(view)
            }
        }
        return .instances(views, next: nil)
    }

    func instance(_ name: String, _ task: String?, _ index: Int) -> BatchAnswer {
        guard let slot = find(name), let job = jobs[slot] else { return .refused(.noJob(name)) }
        guard
            let position = job.tasks.firstIndex(where: {
                task == nil || $0.specification.name == task
            })
        else { return .refused(noTask(task ?? "", job)) }
        let row = job.tasks[position]
        guard 0..<row.specification.count ~= index else {
            return .refused(
                BatchProblem(
                    kind: .notFound,
                    what: "task '\(row.specification.name)' of job \(job.id) has no index "
                        + "\(index)",
                    because: "its indexes go from 0 to \(row.specification.count - 1)",
                    advice: "give one of those with --index"))
        }
        return .instance(
            view(InstanceRef(job: slot, task: position, index: index), job, row))
    }

    private func view(_ ref: InstanceRef, _ job: JobRow, _ task: TaskRow) -> InstanceView {
        var view = InstanceView(
            job: job.id, task: task.specification.name, index: ref.index,
            state: task.blockers > 0 ? .waiting : .ready, attempts: 0)
        guard ref.index < task.instances.count else {
            if job.ending != nil || job.state.isFinal { view.state = .cancelled }
            return view
        }
        let instance = task.instances[ref.index]
        view.state = instance.phase.state
        view.attempts = instance.attempts
        view.exitCode = instance.exitCode
        view.message = instance.message
        view.taskID = taskID(ref, attempt: instance.attempts)
        view.place = places[instance.place]
        view.started = instance.started
        view.ended = instance.ended
        if instance.phase == .collecting { view.message = "its outputs are being collected" }
        return view
    }

    private func noTask(_ name: String, _ job: JobRow) -> BatchProblem {
        let names = job.tasks.map(\.specification.name)
        let shown = names.prefix(10).joined(separator: ", ") + (names.count > 10 ? ", ..." : "")
        let meant = Spelling.nearest(to: name, in: names).map { ": perhaps '\($0)'" } ?? ""
        return BatchProblem(
            kind: .notFound, what: "job \(job.id) has no task '\(name)'",
            because: "its tasks are \(shown)", advice: "give one of those with --task\(meant)")
    }
}
