internal import ProfferAgent
internal import ProfferKernel
internal import ProfferMaster
internal import ProfferModel

/// Updates of tasks from the agent's disk to the policy and back: S9, S12, S13, S14, S21.
final class UpdateChecker: Checker {
    private struct Item {
        var sequence: UInt64
        var state: TaskState
    }

    /// What an agent has kept of a task's updates, ever.
    private struct Line {
        var sequences = OrderedTable<UpdateID, Item>()
        var isTaskKept = false
        var kept = OrderedTable<UInt64, UpdateID>()
    }

    private struct Place: Hashable {
        var agent: Int
        var key: TaskKey
    }

    private struct Seen {
        var last: UInt64 = 0
        var isOver = false
    }

    private var lines = OrderedTable<Place, Line>()
    private var seen = LookupTable<Place, Seen>()
    /// What the present process of each framework has heard.
    private var heard = LookupTable<Int, Set<UpdateID>>()
    private var places = LookupTable<UpdateID, Place>()
    /// What frameworks have acknowledged.
    private var acknowledged = LookupTable<UpdateID, Bool>()
    private var removedAt = LookupTable<Place, UInt64>()
    /// Frameworks that an agent was told have ended, or does not know to live.
    private var endedFrameworks = LookupTable<FrameworkID, Bool>()
    private var known = LookupTable<FrameworkID, Int>()

    func observe(_ occurrence: borrowing Occurrence, in world: World, _ findings: Findings) {
        switch occurrence {
        case .agentDurable(let index, let records):
            for record in records { keep(record, index, findings) }
        case .agentWiped(let index): wipe(index)
        case .agentInput(_, _, .master(let message, _)): hear(message, findings)
        case .agentSent(let index, let message): check(message, index, findings)
        case .frameworkSent(_, let call):
            if case .acknowledge(_, _, let uuid) = call.call { acknowledged[uuid] = true }
        case .frameworkBoots(let index, _): heard.remove(index)
        case .policySaw(let index, let id, let status):
            if let uuid = status.uuid {
                findings.expect(
                    heard[index]?.contains(uuid) != true, "S13",
                    "the update \(uuid) of \(status.taskID) came twice to one process")
                heard[index, default: []].insert(uuid)
            }
            see(status, id, findings)
        default: break
        }
    }

    /// Nothing is on the disk any more, and nothing that was there is sent.
    private func wipe(_ index: Int) {
        for (place, line) in Array(lines) where place.agent == index {
            var line = line
            line.isTaskKept = false
            line.kept = OrderedTable()
            lines[place] = line
        }
    }

    // MARK: Disk

    private func keep(_ record: AgentRecord, _ index: Int, _ findings: Findings) {
        switch record {
        case .task(let key, let checkpoint):
            let place = Place(agent: index, key: key)
            if checkpoint == nil, lines[place]?.isTaskKept == true {
                checkForgotten(place, findings)
            }
            var line = lines[place] ?? Line()
            line.isTaskKept = checkpoint != nil
            lines[place] = line
        case .update(let key, let sequence, let status?):
            guard let uuid = status.uuid else { return }
            let place = Place(agent: index, key: key)
            var line = lines[place] ?? Line()
            // A new launch of the id begins anew.
            if sequence == 1, line.kept.isEmpty, !line.sequences.isEmpty {
                line.sequences = OrderedTable()
                seen.remove(place)
            }
            if let old = line.kept[sequence], old != uuid { line.sequences.remove(old) }
            if let last = line.sequences.values.map(\.state).last, line.kept[sequence] == nil {
                findings.expect(
                    last.mayBecome(status.state), "S12",
                    "\(key.task) becomes \(status.state.name) after \(last.name) on its agent")
            }
            line.sequences[uuid] = Item(sequence: sequence, state: status.state)
            line.kept[sequence] = uuid
            lines[place] = line
            places[uuid] = place
        case .update(let key, let sequence, nil):
            let place = Place(agent: index, key: key)
            guard let uuid = lines[place]?.kept.remove(sequence) else { return }
            checkAcknowledged(uuid, place, findings)
        case .identity, .framework, .executor: break
        }
    }

    /// An update leaves the disk only when its framework has acknowledged it or a later one, or has
    /// ended.
    private func checkAcknowledged(_ uuid: UpdateID, _ place: Place, _ findings: Findings) {
        if endedFrameworks[place.key.framework] == true { return }
        guard let line = lines[place], let own = line.sequences[uuid] else { return }
        let isHeard = line.sequences.contains { other, item in
            item.sequence >= own.sequence && acknowledged[other] == true
        }
        findings.expect(
            isHeard, "S14",
            "the update \(uuid) of \(place.key.task) was dropped and nobody has acknowledged it")
        removedAt[place] = own.sequence
    }

    private func checkForgotten(_ place: Place, _ findings: Findings) {
        if endedFrameworks[place.key.framework] == true { return }
        let hasEnded = lines[place]?.sequences.values.contains { $0.state.isTerminal } ?? false
        findings.expect(
            hasEnded, "S9", "the agent forgot \(place.key.task), of whose end nobody knows")
    }

    // MARK: Messages

    private func hear(_ message: MasterToAgent, _ findings: Findings) {
        switch message {
        case .shutdownFramework(let id): endedFrameworks[id] = true
        case .acknowledge(let key, let uuid):
            findings.expect(
                acknowledged[uuid] == true, "S14",
                "the acknowledgement of \(uuid) of \(key.task) reached the agent, and the "
                    + "framework has not sent it")
        default: break
        }
    }

    private func check(_ message: Message, _ index: Int, _ findings: Findings) {
        switch message {
        case .toMaster(.update(let framework, let status, _)):
            guard let uuid = status.uuid else { return }
            let place = Place(agent: index, key: TaskKey(framework, status.taskID))
            guard let item = lines[place]?.sequences[uuid] else {
                findings.report(
                    "S21",
                    "\(status.state.name) of \(status.taskID) was sent before it was durable")
                return
            }
            findings.expect(
                lines[place]?.kept[item.sequence] == uuid
                    || (lines[place]?.kept.isEmpty == false
                        && (removedAt[place] ?? 0) < item.sequence)
                    // Its updates are forgotten at once, also those that are about to leave.
                    || endedFrameworks[framework] == true,
                "S14", "\(status.state.name) of \(status.taskID) was sent after it was acknowledged"
            )
        case .executorEvent(.acknowledged(let task, let uuid)):
            // Of a task that the agent does not have, it lets the executor go.
            guard let place = places[uuid] else {
                unheard.append((index, task, uuid))
                return
            }
            findings.expect(
                place.key.task == task, "S21", "the update \(uuid) is not one of \(task)")
        default: break
        }
    }

    private var unheard: [(Int, TaskID, UpdateID)] = []

    // MARK: Policy

    private func see(_ status: TaskStatus, _ id: FrameworkID?, _ findings: Findings) {
        guard let uuid = status.uuid, let id else { return }
        guard let place = places[uuid], place.key == TaskKey(id, status.taskID) else {
            findings.report(
                "S13", "the update \(uuid) of \(status.taskID) was made by no agent")
            return
        }
        guard let item = lines[place]?.sequences[uuid] else { return }
        var view = seen[place] ?? Seen()
        if item.sequence > view.last {
            findings.expect(
                item.sequence == view.last + 1, "S13",
                "of \(status.taskID) number \(item.sequence) came after number \(view.last)")
            view.last = item.sequence
        }
        findings.expect(
            !view.isOver || status.state.isTerminal || item.sequence < view.last, "S12",
            "\(status.taskID) became \(status.state.name) after its end")
        if status.state.isTerminal { view.isOver = true }
        seen[place] = view
    }
}
