internal import DequeModule
internal import ProfferKernel
internal import ProfferModel

extension Agent {
    /// The exit code of an agent that the master does not admit.
    private static let refusedExitCode = 104

    // MARK: Session

    mutating func openMaster(_ peer: PeerID, _ turn: inout Turn) {
        if master != nil { loseMaster("there is a newer session", &turn) }
        master = peer
        turn.master = peer
        registrationBackoff = configuration.registrationBackoff
        timers.set(.ping, to: turn.now + pingTimeout)
        register(&turn)
    }

    mutating func loseMaster(_ reason: String, _ turn: inout Turn) {
        master = nil
        turn.master = nil
        isRegistered = false
        timers.set(.registration, to: nil)
        timers.set(.ping, to: nil)
        pauseUpdates()
        turn.observe(.masterLost(reason: reason))
    }

    /// Says who the agent is, and arms the repetition somewhere in the second half of the back-off.
    private mutating func register(_ turn: inout Turn) {
        if info.id == nil {
            turn.tellMaster(
                .register(info, version: configuration.version, bootID: bootID))
        } else {
            turn.tellMaster(
                .reregister(
                    reregistration(), version: configuration.version, bootID: bootID))
        }
        let half = Duration.nanoseconds(registrationBackoff.inNanoseconds / 2)
        timers.set(.registration, to: turn.now + half + generator.duration(upTo: half))
    }

    mutating func repeatRegistration(_ turn: inout Turn) {
        guard master != nil, !isRegistered else { return }
        registrationBackoff = min(
            registrationBackoff + registrationBackoff, configuration.registrationBackoffLimit)
        register(&turn)
    }

    mutating func missPing(_ turn: inout Turn) {
        guard let peer = master else { return }
        let reason = "the master has not pinged for \(pingTimeout)"
        turn.effects.append(.closePeer(peer, reason: reason))
        loseMaster(reason, &turn)
    }

    private func reregistration() -> Reregistration {
        var message = Reregistration(info: info)
        for slot in tasks.slots {
            guard let row = tasks[slot], let info = row.info else { continue }
            let last = row.forwarded > 0 ? row.pending[row.forwarded - 1] : row.pending.first
            var status = last?.status
            // The update itself brings it; thousands of them would make this message too large.
            status?.data = nil
            message.tasks.append(
                AgentTask(
                    info: configuration.gpus.isEmpty ? info : GPUAssignment.unmarked(info),
                    frameworkID: row.key.framework, role: row.role,
                    executorID: row.executorID, state: row.state, lastForwarded: status,
                    grouping: row.groupID.map { .group($0) } ?? .single))
        }
        for slot in executors.slots {
            guard let row = executors[slot] else { continue }
            message.executors.append(
                AgentExecutor(
                    info: configuration.gpus.isEmpty ? row.info : GPUAssignment.unmarked(row.info),
                    frameworkID: row.key.framework, role: row.role))
        }
        for slot in frameworks.slots {
            if let row = frameworks[slot] { message.frameworks.append(row.info) }
        }
        return message
    }

    // MARK: Messages

    mutating func obey(_ message: MasterToAgent, _ turn: inout Turn) {
        switch message {
        case .registered(let id, let timeout):
            admit(id, timeout, isReturn: false, &turn)
        case .reregistered(let id, let timeout, let reconcile):
            guard admit(id, timeout, isReturn: true, &turn) else { return }
            for key in reconcile where taskSlots[key] == nil { disown(key, .reconciliation, &turn) }
        case .refused(let reason):
            finish("the master refused the agent: \(reason)", exitCode: Self.refusedExitCode, &turn)
        case .shutdown(let reason): shutDown("the master ended the agent: \(reason)", &turn)
        case .ping(let number, let isConnected):
            answerPing(number, isConnected: isConnected, &turn)
        case .run(let run): accept(run, &turn)
        case .kill(let key, let policy): kill(key, policy, &turn)
        case .acknowledge(let key, let uuid): acknowledge(key, uuid, &turn)
        case .shutdownExecutor(let key):
            guard let slot = executorSlots[key] else {
                turn.observe(.ignored("a shutdown of executor '\(key.executor)', not here"))
                return
            }
            dropQueue(of: slot, "its executor was shut down before it was launched", &turn)
            stopExecutor(slot, because: "its framework or the operator shut it down", &turn)
        case .shutdownFramework(let id): remove(id, &turn)
        case .updateFramework(let info): update(info, &turn)
        case .message(let key, let data): pass(data, to: key, &turn)
        case .updateResources(let resources): take(resources, &turn)
        }
    }

    @discardableResult
    private mutating func admit(
        _ id: AgentID, _ timeout: Duration, isReturn: Bool, _ turn: inout Turn
    ) -> Bool {
        if let own = info.id, own != id {
            turn.observe(.ignored("a registration as '\(id)'; the agent is '\(own)'"))
            return false
        }
        if info.id == nil {
            info.id = id
            turn.records.append(.identity(info, bootID: bootID))
        }
        if timeout > .zero { pingTimeout = timeout }
        timers.set(.registration, to: nil)
        timers.set(.ping, to: turn.now + pingTimeout)
        guard !isRegistered else { return true }
        isRegistered = true
        turn.observe(.registered(id, isReturn: isReturn))
        resumeUpdates(&turn)
        repeatOversubscribed(&turn)
        return true
    }

    private mutating func answerPing(_ number: UInt64, isConnected: Bool, _ turn: inout Turn) {
        turn.tellMaster(.pong(number: number))
        timers.set(.ping, to: turn.now + pingTimeout)
        // The master has lost track of the session: join again.
        guard !isConnected, isRegistered else { return }
        isRegistered = false
        pauseUpdates()
        registrationBackoff = configuration.registrationBackoff
        register(&turn)
    }

    private mutating func update(_ info: FrameworkInfo, _ turn: inout Turn) {
        guard let id = info.id, let slot = frameworkSlots[id] else { return }
        // It may have a new session, and what was under way in the old one may be lost.
        repeatUpdates(of: id, &turn)
        guard frameworks[slot]?.info != info else { return }
        frameworks[slot]?.info = info
        turn.records.append(.framework(id, info))
    }

    private func pass(_ data: [UInt8], to key: ExecutorKey, _ turn: inout Turn) {
        guard let slot = executorSlots[key], let peer = executors[slot]?.peer else {
            turn.observe(.ignored("a message for executor '\(key.executor)', not connected"))
            return
        }
        turn.effects.append(.tellExecutor(.message(data), peer))
    }

    /// Ends what belongs to a framework that has ended; nobody wants to hear of its tasks.
    private mutating func remove(_ id: FrameworkID, _ turn: inout Turn) {
        guard let slot = frameworkSlots[id] else { return }
        frameworks[slot]?.isRemoved = true
        for executor in executors.slots where executors[executor]?.key.framework == id {
            dropQueue(of: executor, "its framework has ended", &turn)
            stopExecutor(executor, because: "its framework has ended", &turn)
        }
        for task in tasks.slots {
            guard let row = tasks[task], row.key.framework == id, row.phase == .ended else {
                continue
            }
            forget(task, &turn)
        }
    }
}
