internal import Proffer

extension ServicePolicy {
    func members(of app: AppPath) -> [Instance] {
        (membership[app] ?? []).compactMap { instances[$0] }
    }

    /// The kind of what a deployment does to the app now.
    func action(on app: AppPath) -> Deployment.Kind? {
        for deployment in deployments {
            for action in deployment.currentActions where action.app == app { return action.kind }
        }
        return nil
    }

    /// Settles every app that something happened to, and moves deployments on as long as that
    /// leads anywhere.
    mutating func settleTouched(at now: Int64) {
        for path in turn.apps.keys { settle(path, at: now) }
        while advanceDeployments(at: now) {}
    }

    /// Compares what there is of an app with what there should be: kills what is too much, and
    /// notes how much is missing.
    mutating func settle(_ path: AppPath, at now: Int64) {
        guard let record = apps[path] else { return }
        if record.isRemoved {
            for instance in members(of: path) where !instance.isDying {
                kill(instance.id, after: .zero, at: now)
            }
            setNeed(path, 0, at: now)
            if members(of: path).isEmpty { erase(path) }
            return
        }
        let app = record.active
        let counted = members(of: path).filter(\.isCounted)
        let isOld = { (instance: Instance) in instance.configuration != app.lastConfigChangeAt }
        if action(on: path) == .restart {
            replace(app, old: counted.filter(isOld), new: counted.filter { !isOld($0) }, at: now)
            return
        }
        for instance in KillOrder.choose(counted.count - app.instances, of: counted, app: app) {
            kill(instance.id, after: configuration.drain, at: now)
        }
        var missing = app.instances - counted.count
        if app.label("MARATHON_SINGLE_INSTANCE_APP") == "true" {
            missing -= dyingCount(of: path)
        }
        setNeed(path, max(0, missing), at: now)
    }

    /// Instances that still use resources although they are to end.
    private func dyingCount(of path: AppPath) -> Int {
        members(of: path).count { $0.isDying && $0.state != .unreachable }
    }

    /// One move of a rolling upgrade: never fewer healthy instances than the floor because of
    /// kills, never more instances than the ceiling, dying ones included.
    private mutating func replace(_ app: App, old: [Instance], new: [Instance], at now: Int64) {
        let floor = app.upgrade.floor(of: app.instances)
        let ceiling = app.upgrade.ceiling(of: app.instances)
        let readyNew = new.count(where: \.isHealthy)
        let ordered = KillOrder.choose(old.count, of: old, app: app)
        let isReady = readyNew >= app.instances
        let isFull = old.count + new.count + dyingCount(of: app.id) >= ceiling
        var spare = readyNew + old.count(where: \.isHealthy) - floor
        var kept = old.count
        for instance in ordered {
            if instance.isHealthy {
                guard isReady || spare > 0 else { continue }
                spare -= 1
            } else {
                // It adds nothing; but while there is room it may yet become healthy.
                guard isReady || spare > 0 || isFull || readyNew > 0 else { continue }
            }
            kill(instance.id, after: configuration.drain, at: now)
            kept -= 1
        }
        for instance in KillOrder.choose(new.count - app.instances, of: new, app: app) {
            kill(instance.id, after: configuration.drain, at: now)
        }
        let room = ceiling - kept - min(new.count, app.instances) - dyingCount(of: app.id)
        setNeed(app.id, max(0, min(app.instances - new.count, room)), at: now)
    }

    private mutating func setNeed(_ path: AppPath, _ need: Int, at now: Int64) {
        guard let record = apps[path], record.need != need else { return }
        if need > record.need { wantsRevive = true }
        apps.change(path) {
            $0.need = need
            if need == 0 {
                $0.needSince = nil
            } else if $0.needSince == nil {
                $0.needSince = now
                $0.offers = OfferStatistics()
            }
        }
    }

    /// Takes an instance out of rotation at once, and kills it after `pause`.
    mutating func kill(_ id: TaskID, after pause: Duration, at now: Int64) {
        guard let instance = instances[id], instance.killAt == nil else { return }
        touch(instance.app)
        if instance.state == .unreachable {
            // Nobody can say when it ends; should it return it is killed as unknown.
            turn.calls.append(killCall(instance))
            forget(id)
            return
        }
        let pause = instance.state == .running ? pause.inNanoseconds / 1_000_000 : 0
        instances.change(id) { $0.killAt = now + pause }
        store(id)
        tellStatus(id, .killing, message: "the instance is to end", at: now)
        if pause == 0 { sendKill(id) }
    }

    /// Sends the KILL of an instance whose time has come.
    mutating func sendKill(_ id: TaskID) {
        guard let instance = instances[id] else { return }
        turn.calls.append(killCall(instance))
        instances.change(id) { $0.killAt = 0 }
        store(id)
    }

    func killCall(_ instance: Instance) -> SchedulerCall {
        let grace = apps[instance.app]?.active.killGrace
        return .kill(
            instance.id, agent: instance.agent,
            policy: grace.map { KillPolicy(gracePeriod: $0) })
    }

    /// Drops the record of an instance that has ended, or is given up.
    mutating func forget(_ id: TaskID) {
        guard let instance = instances[id] else { return }
        instances[id] = nil
        store(id)
        membership.change(instance.app) { $0.removeAll { $0 == id } }
        touch(instance.app)
    }

    /// Drops an app whose last instance has ended.
    private mutating func erase(_ path: AppPath) {
        for version in apps[path]?.versions ?? [] {
            turn.changes.append(
                StoreChange(
                    kind: StoreKind.version, key: versionKey(path, version.version), value: nil))
        }
        apps[path] = nil
        membership[path] = nil
        touchAndStore(path)
    }

    func versionKey(_ path: AppPath, _ version: String) -> String { "\(path)@\(version)" }
}
