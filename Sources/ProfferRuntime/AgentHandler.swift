internal import ProfferAgent
internal import ProfferFailpoints
@_spi(Driver) internal import ProfferKernel
internal import ProfferModel
internal import ProfferTransport
internal import ProfferWire

/// The endpoints of an agent.
enum AgentEndpoint {
    static let master = EndpointID("master")
    static let executors = EndpointID("executors")
}

/// What reaches an agent's thread from other threads.
enum AgentMail: Sendable {
    case executor(ExecutorFate)
    case secrets(SecretTicket, Result<[SecretValue], SecretsMissing>)
    case launch(ExecutorLaunch)
    case operation(AgentOperation, Reply<AgentAnswer>)
    case committed(ticket: UInt64)
    case commitFailed(String)
    case volumesChanged
    case stop(unregister: Bool)
}

/// Runs an ``Agent`` on the thread that owns its sockets.
struct AgentHandler: ReactorHandler, ~Copyable {
    private enum Side {
        case master
        case executor(credential: [UInt8])
    }

    private var machine: Agent
    private var outbox = Outbox<AgentEffect>()
    // An agent on a machine whose disk is busy has more patience than a master.
    private var gate = CommitGate<AgentEffect>(patience: .seconds(60))
    private var sides: [PeerID: Side] = [:]
    private var replies: [QueryID: Reply<AgentAnswer>] = [:]
    private var lastQuery: UInt64 = 0
    private let store: any RecordStore<AgentRecord>
    private let host: any ExecutorHost
    private let secrets: (any SecretProvider)?
    /// Values that were found, until they are handed over.
    private var found: [SecretTicket: [SecretValue]] = [:]
    private let sink: AgentSink
    private let post: @Sendable (AgentMail) -> Void
    private let measure: @Sendable () -> AgentUsage
    private let usageInterval: Duration
    private var usageAt: Instant

    /// Makes a handler; `measure` tells what the node uses and must not wait.
    init(
        machine: Agent, store: any RecordStore<AgentRecord>, host: any ExecutorHost,
        secrets: (any SecretProvider)? = nil, sink: AgentSink, usageInterval: Duration,
        at now: Instant,
        measure: @escaping @Sendable () -> AgentUsage,
        post: @escaping @Sendable (AgentMail) -> Void
    ) {
        self.machine = machine
        self.store = store
        self.host = host
        self.secrets = secrets
        self.sink = sink
        self.usageInterval = usageInterval
        self.measure = measure
        self.post = post
        usageAt = now
    }

    var nextDeadline: Instant? {
        earliest(earliest(machine.nextDeadline, usageAt), gate.nextDeadline)
    }

    mutating func turn(
        events: [TransportEvent], mail: [AgentMail], at now: Instant, links: inout Links
    ) {
        Failpoint.turn()
        for event in events { take(event, at: now, links: &links) }
        for item in mail { take(item, at: now, links: &links) }
        if usageAt <= now {
            machine.handle(.usage(measure()), at: now, into: &outbox)
            usageAt = now + usageInterval
        }
        if let deadline = machine.nextDeadline, deadline <= now {
            machine.wake(at: now, into: &outbox)
        }
        perform(at: now, links: &links)
        if let problem = gate.problem(at: now) {
            sink.commitFailed(problem)
            links.stop()
        }
    }

    private mutating func take(_ event: TransportEvent, at now: Instant, links: inout Links) {
        switch event {
        case .opened(let peer, let endpoint, let identity):
            if endpoint == AgentEndpoint.master {
                sides[peer] = .master
                machine.handle(.masterOpened(peer), at: now, into: &outbox)
            } else {
                sides[peer] = .executor(credential: identity.credential)
            }
        case .message(let peer, let bytes):
            guard let side = sides[peer] else { return }
            do {
                try deliver(bytes, from: peer, side, at: now)
            } catch {
                sink.malformed(peer, error)
                links.close(peer, reason: "malformed message: \(error)")
                forget(peer, reason: "malformed message", at: now)
            }
        case .closed(let peer, let reason):
            forget(peer, reason: "\(reason)", at: now)
        case .readable:
            break
        }
    }

    private mutating func deliver(
        _ bytes: [UInt8], from peer: PeerID, _ side: Side, at now: Instant
    ) throws {
        switch side {
        case .master:
            let message = try WireCodec.decodeMasterToAgent(bytes)
            Failpoint.received(message)
            machine.handle(.master(message, from: peer), at: now, into: &outbox)
        case .executor(let credential):
            let message = try WireCodec.decodeExecutorMessage(bytes)
            Failpoint.received(message.call)
            machine.handle(
                .executor(message, from: peer, credential: credential), at: now, into: &outbox)
        }
    }

    private mutating func forget(_ peer: PeerID, reason: String, at now: Instant) {
        guard let side = sides.removeValue(forKey: peer) else { return }
        switch side {
        case .master:
            machine.handle(.masterClosed(peer, reason: reason), at: now, into: &outbox)
        case .executor:
            machine.handle(.executorClosed(peer), at: now, into: &outbox)
        }
    }

    private mutating func take(_ mail: AgentMail, at now: Instant, links: inout Links) {
        switch mail {
        case .executor(let report):
            take(report, at: now)
        case .secrets(let ticket, .success(let values)):
            found[ticket] = values
            machine.handle(.secretsFound(ticket), at: now, into: &outbox)
        case .secrets(let ticket, .failure(let problem)):
            machine.handle(
                .secretsMissing(ticket, message: problem.description), at: now, into: &outbox)
        case .launch(let launch): host.launch(launch)
        case .operation(let operation, let reply):
            lastQuery += 1
            let query = QueryID(value: lastQuery)
            replies[query] = reply
            machine.handle(.operation(operation, query), at: now, into: &outbox)
        case .committed(let ticket):
            var freed: [AgentEffect] = []
            gate.release(ticket) { freed.append($0) }
            for effect in freed { carryOut(effect, links: &links) }
        case .commitFailed(let message):
            sink.commitFailed(message)
            links.stop()
        case .volumesChanged:
            machine.handle(.volumesChanged, at: now, into: &outbox)
        case .stop(let unregister):
            machine.handle(.stop(unregister: unregister), at: now, into: &outbox)
        }
    }

    private mutating func take(_ report: ExecutorFate, at now: Instant) {
        switch report {
        case .started(let container, let pid, let ticks):
            machine.handle(
                .executorStarted(container, pid: pid, startTicks: ticks), at: now, into: &outbox)
        case .failed(let container, let message):
            machine.handle(
                .executorLaunchFailed(container, message: message), at: now, into: &outbox)
        case .ended(let container, let status):
            machine.handle(.executorExited(container, status: status), at: now, into: &outbox)
        case .swept(let container):
            machine.handle(.tasksSwept(container), at: now, into: &outbox)
        }
    }

    private mutating func perform(at now: Instant, links: inout Links) {
        let effects = outbox.takeAll()
        // One commit for the whole turn: what is durable too early harms nobody, and effects wait
        // for the commit that comes with their turn.
        var records: [AgentRecord] = []
        for case .commit(let some) in effects { records += some }
        for effect in effects {
            switch effect {
            case .commit:
                if records.isEmpty { continue }
                let ticket = gate.openTicket(at: now)
                let post = self.post
                Failpoint.keeping(records)
                store.submit(records) { [records] error in
                    Failpoint.kept(records)
                    post(error.map { .commitFailed("\($0)") } ?? .committed(ticket: ticket))
                }
                records = []
            case .observe(let observation):
                sink.observe(observation)
            case .tellMaster, .tellExecutor, .findSecrets, .handOver, .dropSecrets, .closePeer,
                .makeSandbox, .launchExecutor, .resizeExecutor, .killExecutor, .sweepTasks,
                .discard, .changeVolumes, .answer,
                .terminate:
                if let free = gate.admit(effect) { carryOut(free, links: &links) }
            }
        }
    }

    private mutating func carryOut(_ effect: AgentEffect, links: inout Links) {
        switch effect {
        case .tellMaster(let message, let peer):
            guard sides[peer] != nil else { return }
            Failpoint.sending(message.failpoints) {
                links.send(WireCodec.encode(message), to: peer)
            }
        case .tellExecutor(let event, let peer):
            guard sides[peer] != nil else { return }
            Failpoint.sending(event.failpoints) { links.send(WireCodec.encode(event), to: peer) }
        case .findSecrets(let ticket, let request): find(request, ticket)
        case .handOver(let ticket, let event, let peer):
            let values = found.removeValue(forKey: ticket) ?? []
            guard sides[peer] != nil else { return }
            Failpoint.sending(event.failpoints) {
                links.send(WireCodec.encode(event.with(values)), to: peer)
            }
        case .dropSecrets(let ticket): found[ticket] = nil
        case .closePeer(let peer, let reason):
            sides.removeValue(forKey: peer)
            links.close(peer, reason: reason)
        case .makeSandbox(let path, _):
            // Without it the executor cannot enter it, and says so in the task's update.
            Failpoint.hit(.agentSandboxBefore)
            do { try host.makeSandbox(path) } catch { sink.sandboxFailed(path, error) }
            Failpoint.hit(.agentSandboxAfter)
        case .launchExecutor(let launch):
            Failpoint.hit(.agentExecutorBefore)
            start(launch)
            Failpoint.hit(.agentExecutorAfter)
        case .resizeExecutor(let size): host.resize(size)
        case .killExecutor(let container, let pid, let ticks):
            host.kill(container, pid: pid, startTicks: ticks)
        case .sweepTasks(let container, let sandboxes):
            host.sweep(container, sandboxes)
        case .discard(let paths):
            // On this thread: a task may get the same path next.
            host.discard(paths)
        case .changeVolumes(let destroyed, let created):
            host.changeVolumes(destroyed: destroyed, created: created)
            post(.volumesChanged)
        case .answer(let answer, let query):
            replies.removeValue(forKey: query)?.answer(answer)
        case .terminate(let reason, let exitCode):
            sink.terminated(reason, exitCode)
            links.stop()
        case .commit, .observe:
            break
        }
    }

    // MARK: Secrets

    private func find(_ request: SecretRequest, _ ticket: SecretTicket) {
        sink.secretsWanted(request)
        Task { [secrets, post] in
            do throws(SecretsMissing) {
                post(.secrets(ticket, .success(try await request.values(from: secrets))))
            } catch {
                post(.secrets(ticket, .failure(error)))
            }
        }
    }

    /// Starts an executor, once there is a value for each secret that its environment names.
    private func start(_ launch: ExecutorLaunch) {
        guard let request = launch.secrets else {
            host.launch(launch)
            return
        }
        sink.secretsWanted(request)
        Task { [secrets, post] in
            do throws(SecretsMissing) {
                let values = try await request.values(from: secrets)
                post(.launch(try launch.with(values)))
            } catch {
                post(.executor(.failed(launch.containerID, message: error.description)))
            }
        }
    }
}
