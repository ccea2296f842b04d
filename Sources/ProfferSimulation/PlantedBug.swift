internal import ProfferAgent
internal import ProfferElection
internal import ProfferKernel
internal import ProfferMaster
internal import ProfferModel

/// A mistake that is put into a run on purpose, to see whether the checkers find it.
///
/// All of them are made between the machines and the world; the machines themselves are those of
/// the daemons.
package enum PlantedBug: String, CaseIterable, Sendable {
    /// Writes count as durable at once.
    case acknowledgedBeforeSync
    /// Effects do not wait for the commit before them.
    case effectsBeforeCommit
    /// A write that failed counts as done.
    case failedCommitIgnored
    /// A client takes up sessions with masters of the past.
    case epochNotChecked
    /// A new leader does not raise the epoch.
    case epochNotRaised
    /// The registry takes writes of masters that were deposed.
    case deposedMasterWrites
    /// A leader does not step down by its own clock.
    case leaseNotWatched
    /// A new leader believes whatever it is told to be the registry.
    case staleReadBelieved
    /// An agent starts without its checkpoints.
    case recordsNotReplayed
    /// A master does not hear that sessions end.
    case masterForgetsNoPeer
    /// What tasks leave behind is not swept.
    case orphansNotSwept
    /// Offers hold a thousandth of a CPU more than there is.
    case offersTooMuch
    /// Offers of ports hold all ports of the agent, whoever else has some.
    case portsOfferedTwice
    /// Refusals last for no time.
    case refusalsForgotten
    /// Suppression is not passed on.
    case suppressionForgotten
    /// Kills of frameworks are lost for good.
    case killsLost
    /// A launch comes again after the task has ended.
    case launchRepeated
    /// Acknowledgements never reach an agent.
    case acknowledgementsLost
    /// The master acknowledges in the name of the framework.
    case acknowledgedForFramework
    /// Reports of RUNNING are dropped.
    case runningDropped
    /// An update comes again under another name.
    case updateRenamed
    /// Reconciliation says that every task is gone.
    case reconciliationLies
    /// After its end a task is reported to run.
    case resurrected
    /// The registry forgets frameworks.
    case frameworksNotKept
    /// The registry forgets agents.
    case agentsNotKept
    /// Keys of peers are not looked at.
    case keysIgnored
    /// An agent that comes back names no tasks.
    case tasksNotNamed
    /// An acceptance is carried out twice.
    case acceptedTwice
    /// Pongs get lost.
    case pongsLost
    /// Every report of an agent is sent many times.
    case chatter
    /// Quotas are not passed on to the allocator.
    case quotaIgnored
    /// What ended tasks had is not given back.
    case resourcesLeak
    /// What a task had is given back while it still runs.
    case resourcesReturnedEarly
    /// Constraints of frameworks are not looked at.
    case constraintsIgnored
    /// Agents without a session are offered.
    case lostAgentsOffered
    /// That an agent is out of use is not kept.
    case withdrawalsNotKept
    /// A drain takes an agent out of use and leaves its tasks.
    case drainsKillNothing
    /// Always found, whatever happens.
    case canary

    /// The invariants that may break first in a run with it; others would be found by accident.
    package var invariants: Set<String> {
        switch self {
        case .acknowledgedBeforeSync, .effectsBeforeCommit, .frameworksNotKept, .agentsNotKept:
            ["S21"]
        case .failedCommitIgnored: ["S21", "S23"]
        case .epochNotChecked, .epochNotRaised: ["S18", "S19", "S20"]
        case .deposedMasterWrites, .leaseNotWatched: ["S18", "S19", "S20", "S22"]
        case .staleReadBelieved: ["S22"]
        case .recordsNotReplayed: ["S2", "S3", "S10", "S11", "S12", "S16", "S17"]
        case .masterForgetsNoPeer: ["S7", "S28"]
        case .orphansNotSwept: ["S2", "S3", "S10", "S16", "S17"]
        case .offersTooMuch: ["S1"]
        case .portsOfferedTwice: ["S2"]
        case .refusalsForgotten, .suppressionForgotten: ["S7"]
        case .killsLost: ["S16"]
        case .launchRepeated: ["S2", "S3", "S11", "S12", "S16"]
        case .acknowledgementsLost: ["L4", "L5", "S12", "S35"]
        case .acknowledgedForFramework: ["S14"]
        case .runningDropped: ["L3", "L4", "L5", "S13"]
        case .updateRenamed: ["S13"]
        case .reconciliationLies: ["S17"]
        case .resurrected: ["S12", "S13"]
        case .keysIgnored: ["S32"]
        case .tasksNotNamed: ["S1", "S2", "S15", "S17"]
        case .acceptedTwice: ["S6"]
        case .pongsLost: ["L2", "L12"]
        case .chatter: ["L12"]
        case .quotaIgnored: ["S25"]
        case .resourcesLeak: ["L5", "S15"]
        case .resourcesReturnedEarly: ["S1", "S2", "S3", "S15"]
        case .constraintsIgnored: ["S27"]
        case .lostAgentsOffered, .withdrawalsNotKept: ["S28"]
        case .drainsKillNothing: ["L9"]
        case .canary: ["M2"]
        }
    }

    // MARK: At the candidate

    func mutate(_ request: ElectionRequest) -> ElectionRequest {
        guard self == .epochNotRaised, case .takeOver(let fence, let expecting, var head) = request
        else { return request }
        head.epoch -= 1
        return .takeOver(fence, expecting: expecting, head)
    }

    // MARK: At the master

    func mutate(_ input: MasterInput) -> [MasterInput] {
        switch (self, input) {
        case (.killsLost, .framework(let call, _)):
            if case .kill = call.call { return [] }
        case (.keysIgnored, .peerOpened(let peer, _)):
            return [.peerOpened(peer, publicKey: nil)]
        case (.acceptedTwice, .framework(let call, _)):
            if case .accept = call.call { return [input, input] }
        case (.refusalsForgotten, .framework(var call, let peer)):
            switch call.call {
            case .accept(let offers, let operations, _):
                call.call = .accept(
                    offers: offers, operations: operations, filters: Filters(refuse: .zero))
            case .decline(let offers, _):
                call.call = .decline(offers: offers, filters: Filters(refuse: .zero))
            default: return [input]
            }
            return [.framework(call, from: peer)]
        case (.suppressionForgotten, .framework(let call, _)):
            if case .suppress = call.call { return [] }
        case (.tasksNotNamed, .agent(.reregister(var body, let version, let boot), let peer)):
            body.tasks = []
            return [.agent(.reregister(body, version: version, bootID: boot), from: peer)]
        case (.pongsLost, .agent(.pong, _)), (.pongsLost, .agent(.usage, _)),
            (.masterForgetsNoPeer, .peerClosed):
            return []
        case (.drainsKillNothing, .operation(.drainAgent(let id, _, _), let query)):
            return [.operation(.deactivateAgent(id), query)]
        case (
            .resourcesReturnedEarly, .agent(.update(let framework, let status, _), let peer)
        ) where status.state == .running:
            return [
                .agent(
                    .update(
                        framework, status, position: UpdatePosition(latestState: .finished)),
                    from: peer)
            ]
        default: break
        }
        return [input]
    }

    func mutate(_ effect: MasterEffect) -> [MasterEffect] {
        switch (self, effect) {
        case (.offersTooMuch, .tellFramework(.offers(let offers), let peer)):
            let more = offers.map { offer in
                var offer = offer
                offer.resources += Resources(cpus: Milli(thousandths: 1))
                return offer
            }
            return [.tellFramework(.offers(more), peer)]
        case (.portsOfferedTwice, .tellFramework(.offers(let offers), let peer)):
            let more = offers.map { offer in
                var offer = offer
                if !offer.resources.ports.isEmpty {
                    offer.resources += Resource("ports", .ranges(World.ports))
                }
                return offer
            }
            return [.tellFramework(.offers(more), peer)]
        case (.acknowledgementsLost, .tellAgent(.acknowledge, _)): return []
        case (.reconciliationLies, .tellFramework(.update(var status), let peer))
        where status.reason == .reconciliation && !status.isRecovering:
            status.state = .gone
            return [.tellFramework(.update(status), peer)]
        case (.frameworksNotKept, .commit(let records)):
            return [
                .commit(
                    records.filter { record in
                        if case .framework = record { false } else { true }
                    })
            ]
        case (.agentsNotKept, .commit(let records)):
            return [
                .commit(
                    records.filter { record in
                        if case .agent = record { false } else { true }
                    })
            ]
        case (.withdrawalsNotKept, .commit(let records)):
            return [
                .commit(
                    records.map { record in
                        guard case .agent(let id, var entry?) = record else { return record }
                        entry.isDeactivated = false
                        entry.drain = nil
                        return .agent(id, entry)
                    })
            ]
        default: return [effect]
        }
    }

    // MARK: At the agent

    // Needs to know the agent's session with the master and what it was told to run before.
    func mutate(
        _ input: AgentInput, master: PeerID?, runs: [RunTask]
    ) -> [AgentInput] {
        guard let master else { return [input] }
        switch (self, input) {
        case (.acknowledgedForFramework, .executor(let message, _, _)):
            guard case .update(let status) = message.call, let uuid = status.uuid else { break }
            let key = TaskKey(message.frameworkID, status.taskID)
            return [input, .master(.acknowledge(key, uuid: uuid), from: master)]
        case (.launchRepeated, .master(.acknowledge(let key, _), _)):
            let again = runs.filter { run in
                run.framework.id == key.framework && run.tasks.contains { $0.id == key.task }
            }
            return [input] + again.map { .master(.run($0), from: master) }
        default: break
        }
        return [input]
    }

    func mutate(_ effect: AgentEffect) -> [AgentEffect] {
        switch (self, effect) {
        case (.runningDropped, .tellMaster(.update(_, let status, _), _))
        where status.state == .running:
            return []
        case (.chatter, .tellMaster(.usage, _)):
            return Array(repeating: effect, count: 40)
        default: return [effect]
        }
    }

    // MARK: At the framework

    func mutate(_ event: SchedulerEvent) -> [SchedulerEvent] {
        switch (self, event) {
        case (.updateRenamed, .update(var status)):
            guard let uuid = status.uuid else { return [event] }
            status.uuid = UpdateID(high: uuid.high, low: uuid.low &+ 1)
            return [event, .update(status)]
        case (.resurrected, .update(var status)) where status.state == .finished:
            // As news: the driver passes over answers that are older than the end.
            guard let uuid = status.uuid else { return [event] }
            status.state = .running
            status.uuid = UpdateID(high: uuid.high &+ 1, low: uuid.low)
            return [event, .update(status)]
        default: return [event]
        }
    }

    func mutate(_ call: FrameworkCall) -> [FrameworkCall] { [call] }
}
