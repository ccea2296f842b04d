internal import OrderedCollections
internal import ProfferAllocation
internal import ProfferKernel
internal import ProfferModel

/// What spoils a call of which everything is done or nothing.
struct Culprit {
    var part: Int
    /// The operation, unless the part is wrong as a whole.
    var operation: Int?
    /// The task of that operation, unless it is wrong as a whole.
    var task: Int?
    /// The reason that tasks are given which are not at fault.
    var reason = StatusReason.invalidOffers
    /// In words that name it.
    var problem: String
}

extension Master {
    /// Uses offers of several agents, all parts or none.
    ///
    /// Everything is tried before anything is done; what follows then cannot fail.
    mutating func acceptTogether(
        _ parts: [OfferAcceptance], _ filters: Filters?, _ id: FrameworkID, at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) {
        let named = parts.flatMap(\.offers)
        var culprit = problemOfParts(parts, id)
        if culprit == nil {
            let prepared = parts.map { prepare($0.offers, id) }
            culprit = tryOut(prepared, parts.map(\.operations))
        }
        if let culprit {
            outbox.append(
                .observe(
                    .invalidCall(id, call: "ACCEPT_TOGETHER", problem: culprit.problem)))
            giveBack(named, id, at: now, into: &outbox)
            refuse(parts.map(\.operations), id, culprit, into: &outbox)
            return
        }
        // Before the first operation, so that none can take another part's offers back.
        let consumed = parts.map { consume($0.offers, at: now, into: &outbox) }
        for (part, consumed) in zip(parts, consumed) {
            guard var accepted = consumed else { continue }
            apply(
                part.operations, &accepted, refuse: refusal(filters), at: now, into: &outbox)
        }
    }

    private func problemOfParts(_ parts: [OfferAcceptance], _ id: FrameworkID) -> Culprit? {
        guard !parts.isEmpty else { return Culprit(part: 0, problem: "no part is named") }
        var seen: Set<OfferID> = []
        for (index, part) in parts.enumerated() {
            var problem = problemOfOffers(part.offers, id)
            for offer in part.offers where !seen.insert(offer).inserted {
                problem = problem ?? "offer \(offer) is named in two parts"
            }
            if let problem {
                return Culprit(
                    part: index,
                    problem: "the offers of part \(index + 1) cannot be used: \(problem)")
            }
        }
        return problemOfGangs(parts.flatMap(\.offers)).map { Culprit(part: 0, problem: $0) }
    }

    /// What offers of one agent and role hold together; nothing changes.
    private func prepare(_ ids: [OfferID], _ id: FrameworkID) -> AcceptedOffers {
        let list = ids.compactMap { offers[$0]?.offer }
        return AcceptedOffers(
            id, list.first?.agentID ?? "", list.first?.role ?? "*",
            list.reduce(into: Resources()) { $0 += $1.resources })
    }

    /// Goes through the operations of several parts without doing anything.
    func tryOut(_ parts: [AcceptedOffers], _ operations: [[Operation]]) -> Culprit? {
        var trial = Trial()
        for (index, part) in parts.enumerated() {
            guard let agent = agents[part.agent], agent.isRegistered, agent.peer != nil else {
                let isKnown = agents[part.agent]?.state == .disconnected
                return Culprit(
                    part: index, reason: isKnown ? .agentDisconnected : .agentRemoved,
                    problem: "the agent '\(part.agent)' is not there any more")
            }
            var accepted = part
            accepted.trial = trial
            for (place, operation) in operations[index].enumerated() {
                let elsewhere = parts.indices.filter {
                    $0 != index && parts[$0].agent == part.agent
                }
                let found =
                    tryOut(operation, &accepted)
                    ?? problemOfDestroy(operation, elsewhere.map { parts[$0] }).map { (nil, $0) }
                guard let (task, problem) = found else { continue }
                let prefix =
                    task == nil ? "operation \(place + 1) of part \(index + 1): " : ""
                return Culprit(
                    part: index, operation: place, task: task, problem: prefix + problem)
            }
            trial = accepted.trial
        }
        return nil
    }

    /// A shared volume that another part holds cannot end in this one.
    private func problemOfDestroy(
        _ operation: Operation, _ others: [AcceptedOffers]
    ) -> String? {
        guard case .destroy(let volumes) = operation.action else { return nil }
        let isElsewhere = volumes.items.contains { volume in
            volume.isShared && others.contains { $0.remaining.items.contains(volume) }
        }
        return isElsewhere ? "another part holds the shared volume" : nil
    }

    /// What is wrong with an operation, and with which of its tasks, or `nil`: then `accepted` is
    /// as it would be after it.
    private func tryOut(
        _ operation: Operation, _ accepted: inout AcceptedOffers
    ) -> (task: Int?, problem: String)? {
        switch operation.action {
        case .launch(let list):
            for (index, task) in list.enumerated() {
                if let problem = problemOfLaunch(task, operation, accepted) {
                    return (index, problem)
                }
                note([task], task.executor, &accepted)
            }
        case .launchGroup(let executor, let list):
            if let problem = problemOfLaunch(executor, list, operation, accepted) {
                return (nil, problem)
            }
            note(list, executor, &accepted)
        case .reserve, .unreserve, .create, .destroy, .grow, .shrink:
            switch conversion(operation.action, accepted) {
            case .failure(let problem): return (nil, problem.text)
            case .success(let change):
                accepted.convert(change.from, into: change.to)
                var total =
                    accepted.trial.totals[accepted.agent]
                    ?? agents[accepted.agent]?.info.resources ?? Resources()
                total -= change.from
                total += change.to
                accepted.trial.totals[accepted.agent] = total
            }
        }
        return nil
    }

    private func note(
        _ list: [TaskInfo], _ executor: ExecutorInfo?, _ accepted: inout AcceptedOffers
    ) {
        if var executor, runningExecutor(executor.id, accepted) == nil {
            executor.frameworkID = accepted.framework
            accepted.take(executor.resources)
            let placed = PlacedExecutor(agent: accepted.agent, executor: executor.id)
            accepted.trial.starting[placed] = executor
        }
        for task in list {
            accepted.take(task.resources)
            let shared = task.resources.filter { $0.isShared }
            accepted.trial.shared[accepted.agent, default: Resources()] += shared
            accepted.trial.launching.insert(task.id)
        }
    }

    /// Answers every task, and every operation with an id, of a call that is not done.
    mutating func refuse(
        _ parts: [[Operation]], _ framework: FrameworkID, _ culprit: Culprit,
        into outbox: inout Outbox<MasterEffect>
    ) {
        let message = "nothing of the call is done: \(culprit.problem)"
        for (part, operations) in parts.enumerated() {
            for (place, operation) in operations.enumerated() {
                let isCulprit = part == culprit.part && place == culprit.operation
                guard isCulprit else {
                    refuse(
                        [operation], framework, .dropped, culprit.reason, message,
                        into: &outbox)
                    continue
                }
                switch operation.action {
                case .launch(let list):
                    for (index, task) in list.enumerated() {
                        let isGuilty = index == culprit.task
                        report(
                            task.id, task.agentID, framework, isGuilty ? .error : .dropped,
                            isGuilty ? .taskInvalid : culprit.reason,
                            isGuilty ? culprit.problem : message, into: &outbox)
                    }
                case .launchGroup(_, let list):
                    for task in list {
                        report(
                            task.id, task.agentID, framework, .error, .taskGroupInvalid,
                            culprit.problem, into: &outbox)
                    }
                case .reserve, .unreserve, .create, .destroy, .grow, .shrink:
                    answer(
                        operation, framework, .error, culprit.problem, nil, into: &outbox)
                }
            }
        }
    }
}
