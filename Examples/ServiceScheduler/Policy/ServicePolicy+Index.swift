internal import Proffer

/// What a deadline of the policy is for.
enum ServiceTimer: Hashable, Sendable {
    /// The delay of an app's next launch is over.
    case delay(AppPath)
    /// An instance is to be killed, or has been unreachable for long enough.
    case instance(TaskID)
}

extension ServicePolicy {
    /// Brings what is derived from apps and instances up to date: who misses instances, and what
    /// is due when.
    ///
    /// O(changes · log) and the unreachable instances of changed apps.
    mutating func updateIndex() {
        for path in apps.takeChanged() {
            let record = apps[path]
            let need = record?.need ?? 0
            missing[path] = need > 0 ? true : nil
            let until = need > 0 ? record?.delay?.until ?? 0 : 0
            timers.set(.delay(path), to: until > 0 ? instant(at: until) : nil)
            // How long they are waited for is a matter of the app.
            for id in membership[path] ?? [] where instances[id]?.state == .unreachable {
                setTimer(of: id)
            }
        }
        for id in instances.takeChanged() { setTimer(of: id) }
    }

    private mutating func setTimer(of id: TaskID) {
        guard let instance = instances[id] else {
            timers.set(.instance(id), to: nil)
            return
        }
        var next: Int64 = .max
        if let kill = instance.killAt, kill > 0 { next = kill }
        if let time = unreachableDeadline(of: instance) { next = min(next, time) }
        timers.set(.instance(id), to: next == .max ? nil : instant(at: next))
    }

    /// Does what is due; nothing else is looked at.
    mutating func runTimers(at now: Instant) {
        let time = milliseconds(at: now)
        while let timer = timers.popDue(at: now) {
            switch timer {
            case .delay(let path):
                guard let record = apps[path], let delay = record.delay, delay.until <= time,
                    delay.until > 0
                else { continue }
                // The length is kept: the next failure within it makes it longer.
                apps.change(path) { $0.delay?.until = 0 }
                if record.need > 0 { wantsRevive = true }
            case .instance(let id):
                guard let instance = instances[id] else { continue }
                if let kill = instance.killAt, kill > 0, kill <= time { sendKill(id) }
                if instance.state == .unreachable {
                    expungeIfDue(id, at: time)
                    touch(instance.app)
                }
            }
        }
    }
}
