internal import Proffer

extension ServicePolicy {
    /// News of a task.
    mutating func take(_ status: TaskStatus, at now: Int64) {
        guard let instance = instances[status.taskID] else {
            // A task that was given up and has returned, or that nobody remembers.
            let isAlive = !status.state.isTerminal && status.state != .unknown
            if isAlive, status.state != .unreachable {
                turn.calls.append(.kill(status.taskID, agent: status.agentID, policy: nil))
            }
            return
        }
        switch status.state {
        case .staging: break
        case .starting, .running, .killing: note(status, instance, at: now)
        case .unreachable: lose(instance, status, at: now)
        case .finished, .failed, .killed, .lost, .error, .dropped, .gone, .goneByOperator,
            .unknown:
            end(instance, status, at: now)
        }
        touch(instance.app)
    }

    private mutating func note(_ status: TaskStatus, _ old: Instance, at now: Int64) {
        var instance = old
        instance.state = status.state
        instance.unreachableSince = nil
        instance.isInactive = false
        if status.state == .running, instance.startedAt == nil { instance.startedAt = now }
        if let isAlive = status.healthy, instance.hasHealthCheck {
            instance.health = health(after: instance.health, isAlive, status, at: now)
        }
        guard instance != old else { return }
        instances[instance.id] = instance
        store(instance.id)
        if instance.state != old.state {
            tellStatus(instance.id, status.state, message: status.message ?? "", at: now)
        }
        if instance.health?.isAlive != old.health?.isAlive {
            tell(
                "health_status_changed_event", at: now,
                [
                    ("appId", .string(instance.app.description)),
                    ("instanceId", .string(instance.id.value)),
                    ("version", .string(instance.version)),
                    ("alive", .bool(instance.health?.isAlive ?? false)),
                ])
        }
    }

    private func health(
        after old: Instance.Health?, _ isAlive: Bool, _ status: TaskStatus, at now: Int64
    ) -> Instance.Health? {
        let isNews = status.reason == .taskHealthCheckStatusUpdated || old?.isAlive != isAlive
        guard isNews else { return old }
        var health = old ?? Instance.Health(isAlive: isAlive)
        health.isAlive = isAlive
        if isAlive {
            health.failuresInRow = 0
            health.firstSuccess = health.firstSuccess ?? now
            health.lastSuccess = now
        } else {
            health.failuresInRow += 1
            health.lastFailure = now
            health.lastFailureCause = status.message
        }
        return health
    }

    private mutating func lose(_ instance: Instance, _ status: TaskStatus, at now: Int64) {
        if instance.isDying {
            forget(instance.id)
            return
        }
        guard instance.state != .unreachable else { return }
        instances.change(instance.id) {
            $0.state = .unreachable
            $0.unreachableSince = now
            $0.health = nil
        }
        store(instance.id)
        tellStatus(instance.id, .unreachable, message: status.message ?? "", at: now)
        expungeIfDue(instance.id, at: now)
    }

    /// Declares an unreachable instance inactive, or gives it up, when it is time.
    mutating func expungeIfDue(_ id: TaskID, at now: Int64) {
        guard let instance = instances[id], let since = instance.unreachableSince,
            let strategy = apps[instance.app]?.active.unreachable
        else { return }
        if now >= since + strategy.expungeAfter.inNanoseconds / 1_000_000 {
            forget(id)
        } else if now >= since + strategy.inactiveAfter.inNanoseconds / 1_000_000 {
            instances.change(id) { $0.isInactive = true }
        }
    }

    func unreachableDeadline(of instance: Instance) -> Int64? {
        guard instance.state == .unreachable, let since = instance.unreachableSince,
            let strategy = apps[instance.app]?.active.unreachable
        else { return nil }
        let pause = instance.isInactive ? strategy.expungeAfter : strategy.inactiveAfter
        return since + pause.inNanoseconds / 1_000_000
    }

    private mutating func end(_ instance: Instance, _ status: TaskStatus, at now: Int64) {
        forget(instance.id)
        let event = status.state == .unknown ? TaskState.lost : status.state
        tellStatus(of: instance, event, message: status.message ?? "", at: now)
        if instance.killAt != nil || event == .killed && status.healthy != false { return }
        if event != .finished {
            let failure = failure(of: instance, event, status, at: now)
            apps.change(instance.app) { $0.lastFailure = failure }
            touchAndStore(instance.app)
        }
        if isOwnFault(event, status) {
            slowDown(instance, isSick: event == .killed && status.healthy == false, at: now)
        }
    }

    private func failure(
        of instance: Instance, _ state: TaskState, _ status: TaskStatus, at now: Int64
    ) -> JSON {
        [
            "appId": .string(instance.app.description), "host": .string(instance.place.host),
            "message": .string(status.message ?? ""), "state": .string(state.name),
            "taskId": .string(instance.id.value), "timestamp": .string(timeText(now)),
            "version": .string(instance.version), "slaveId": .string(instance.agent.value),
        ]
    }

    /// Whether the app itself is likely to fail again, and not the way to its agent.
    private func isOwnFault(_ state: TaskState, _ status: TaskStatus) -> Bool {
        let foreign: [StatusReason] = [
            .invalidOffers, .masterDisconnected, .agentDisconnected, .agentRemoved,
            .agentRemovedByOperator, .agentRestarted, .agentDraining,
            .executorReregistrationTimeout, .containerPreempted,
        ]
        if let reason = status.reason, foreign.contains(reason) { return false }
        switch state {
        case .finished, .failed, .error, .killed, .dropped: return true
        case .lost, .gone, .goneByOperator, .unknown, .unreachable, .staging, .starting,
            .running, .killing:
            return false
        }
    }

    /// An instance that its check has killed must have been healthy for so long to count as one
    /// that has worked: a check takes its time to condemn what never did.
    private static let probation = Duration.seconds(60)

    /// Makes the next launch wait, or not: an instance that has run longer than the present delay
    /// is replaced at once, and the delay ends; one that failed sooner makes it longer.
    ///
    /// So does one that was killed for its health,
    /// unless it was healthy for long.
    private mutating func slowDown(_ instance: Instance, isSick: Bool, at now: Int64) {
        guard let record = apps[instance.app],
            record.active.lastConfigChangeAt == instance.configuration
        else { return }
        let strategy = record.active.backoff
        var window = max(strategy.first, record.delay?.length ?? .zero)
        var hasRun = instance.startedAt.map { Duration.milliseconds(now - $0) }
        if isSick {
            window = max(window, Self.probation)
            let health = instance.health
            hasRun = health?.firstSuccess.map {
                Duration.milliseconds((health?.lastFailure ?? now) - $0)
            }
        }
        if let hasRun, hasRun >= window {
            apps.change(instance.app) { $0.delay = nil }
        } else {
            apps.change(instance.app) { $0.delay = .next(after: $0.delay, strategy, at: now) }
        }
    }

    mutating func tellStatus(
        _ id: TaskID, _ state: TaskState, message: String, at now: Int64
    ) {
        guard let instance = instances[id] else { return }
        tellStatus(of: instance, state, message: message, at: now)
    }

    mutating func tellStatus(
        of instance: Instance, _ state: TaskState, message: String, at now: Int64
    ) {
        tell(
            "status_update_event", at: now,
            [
                ("slaveId", .string(instance.agent.value)),
                ("taskId", .string(instance.id.value)), ("taskStatus", .string(state.name)),
                ("message", .string(message)), ("appId", .string(instance.app.description)),
                ("host", .string(instance.place.host)), ("ipAddresses", []),
                ("ports", .array(instance.ports.map { .int($0) })),
                ("version", .string(instance.version)),
            ])
    }
}
