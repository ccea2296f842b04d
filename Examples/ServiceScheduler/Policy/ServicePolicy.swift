public import Proffer

/// What a service scheduler has to be told when it starts.
public struct ServiceConfiguration: Sendable {
    /// The role in which it gets offers.
    public var role = "*"
    /// Shown by `/v2/info`.
    public var frameworkName = "services"
    /// The framework's id from an earlier run.
    public var frameworkID: FrameworkID?
    /// Its own address as `host:port`, shown by `/v2/leader`.
    public var address = "127.0.0.1:8080"
    /// From the moment an instance is shown as `TASK_KILLING` to its KILL, when a change or a
    /// smaller instance count ends it: the time its clients have to turn away.
    public var drain = Duration.milliseconds(500)
    /// Service ports that are chosen by the scheduler.
    public var servicePorts: ClosedRange<Int> = 10_000...20_000
    /// An instant, for which `wallTime` is known.
    public var instant = Instant.zero
    /// The wall time at `instant`.
    public var wallTime = WallTime(nanosecondsSince1970: 0)
    /// Makes task ids and choices of ports; never reuse one between two starts.
    public var seed: UInt64 = 0

    /// The defaults.
    public init() {}
}

/// Names a request, so that its answer can be told from others.
public struct RequestID: Hashable, Sendable {
    /// A number that the shell chooses.
    public var value: UInt64

    /// Names a request by a number.
    public init(_ value: UInt64) { self.value = value }
}

/// What the policy asks of its shell, in this order within a turn: keep, then answer and tell.
public enum ServiceOutput: Hashable, Sendable {
    /// Make these changes durable, all or none, before anything else of the turn happens.
    case persist([StoreChange])
    /// Answer a request.
    case answer(RequestID, ServiceAnswer)
    /// Tell whoever listens to events.
    case event(ServiceEvent)
}

/// Something that listeners of `/v2/events` hear of.
public struct ServiceEvent: Hashable, Sendable {
    /// Marathon's name for it, such as `status_update_event`.
    public var name: String
    /// Its fields, `eventType` and `timestamp` included.
    public var body: JSON
}

/// A scheduler of long-running services in the manner of Marathon.
///
/// Everything is decided here, the answers to HTTP requests included, and nothing but the inputs
/// and their instants decides: the same policy runs in the program `service-scheduler`, in the
/// embedded cluster and in the simulator.
public struct ServicePolicy: FrameworkPolicy {
    /// A request of a user.
    public struct Command: Sendable {
        /// Names the request.
        public var id: RequestID
        /// What is asked.
        public var request: ServiceRequest

        /// Pairs a request with its name.
        public init(_ id: RequestID, _ request: ServiceRequest) {
            self.id = id
            self.request = request
        }
    }
    /// What the shell does for the policy.
    public typealias Output = ServiceOutput

    let configuration: ServiceConfiguration
    var generator: SeededGenerator
    var frameworkID: FrameworkID?
    var apps = ChangedMap<AppPath, AppRecord>()
    var groups: SortedMap<AppPath, GroupRecord> = SortedMap()
    var instances = ChangedMap<TaskID, Instance>()
    /// The apps that miss instances.
    var missing: SortedMap<AppPath, Bool> = SortedMap()
    /// What is due when.
    var timers = DeadlineQueue<ServiceTimer>()
    /// The instances of each app, in the order of their launches.
    var membership: SortedMap<AppPath, [TaskID]> = SortedMap()
    /// In the order in which they began.
    var deployments: [Deployment] = []
    /// The newest version given out, so that two changes never share one; milliseconds.
    var lastVersion: Int64 = 0
    /// Whether the master was told that no offers are wanted; `nil` when it has to be told anew.
    var isSuppressed: Bool?
    /// What the master was told that is missing.
    var book = DemandBook()
    /// Set when offers may have been refused that are wanted now.
    var wantsRevive = false
    /// What happens in the present turn.
    var turn = Turn()

    /// What a turn leaves behind.
    struct Turn: Sendable {
        var apps: SortedMap<AppPath, Bool> = SortedMap()
        var instances: SortedMap<TaskID, Bool> = SortedMap()
        var changes: [StoreChange] = []
        var calls: [SchedulerCall] = []
        var answers: [ServiceOutput] = []
    }

    /// Begins from what an earlier run stored; from nothing when there is none.
    ///
    /// - Throws: ``StoreProblem`` when a record cannot be understood.
    public init(
        _ configuration: ServiceConfiguration, stored: [StoreChange] = []
    ) throws(StoreProblem) {
        self.configuration = configuration
        generator = SeededGenerator(seed: configuration.seed)
        frameworkID = configuration.frameworkID
        for record in stored { try restore(record) }
        deployments.sort { $0.version < $1.version }
        for path in apps.keys {
            apps.change(path) { record in
                record.versions.sort { $0.version < $1.version }
                record.active = record.active.id == path ? record.active : record.goal
            }
        }
        for index in instances.keys.indices {
            let instance = instances.values[index]
            membership[instance.app] = (membership[instance.app] ?? []) + [instance.id]
        }
        for path in membership.keys { sortMembers(of: path) }
        // The first turn looks at everything, and stores what comes of it.
        for path in apps.keys { touch(path) }
        let versions = apps.values.flatMap { $0.versions.map(\.version) }
        lastVersion = versions.compactMap(Timestamp.milliseconds(of:)).max() ?? 0
        updateIndex()
    }

    /// The tasks that may still live from an earlier run, for
    /// ``ProfferFramework/FrameworkOptions/knownTasks``.
    public var knownTasks: [ReconcileTask] {
        instances.values.map { ReconcileTask(taskID: $0.id, agentID: $0.agent) }
    }

    private mutating func sortMembers(of path: AppPath) {
        let members = (membership[path] ?? []).compactMap { instances[$0] }
        membership[path] = members.sorted {
            $0.stagedAt != $1.stagedAt ? $0.stagedAt < $1.stagedAt : $0.id < $1.id
        }.map(\.id)
    }

    private mutating func restore(_ record: StoreChange) throws(StoreProblem) {
        let problem = StoreProblem(kind: record.kind, key: record.key)
        guard let text = record.value, let json = try? JSON.parse(text) else { throw problem }
        switch record.kind {
        case StoreKind.app:
            guard var app = AppRecord(stored: json) else { throw problem }
            app.versions = apps[app.goal.id]?.versions ?? []
            apps[app.goal.id] = app
        case StoreKind.version:
            guard let app = App(stored: json) else { throw problem }
            if apps[app.id] == nil { apps[app.id] = AppRecord(goal: app, active: app) }
            apps.change(app.id) { $0.versions.append(app) }
        case StoreKind.group:
            let path = AppPath(record.key)
            groups[path] = GroupRecord(path: path, stored: json)
        case StoreKind.instance:
            guard let instance = Instance(stored: json) else { throw problem }
            instances[instance.id] = instance
        case StoreKind.deployment:
            guard let deployment = Deployment(stored: json) else { throw problem }
            deployments.append(deployment)
        default: throw problem
        }
    }

    /// When ``wake(at:into:)`` is next due.
    public var nextDeadline: Instant? { timers.next }

    /// Takes one happening to completion.
    public mutating func handle(
        _ happening: Happening<Command>, at now: Instant,
        into actions: inout Outbox<FrameworkAction<ServiceOutput>>
    ) {
        let time = milliseconds(at: now)
        switch happening {
        case .subscribed(let id, _): begin(id)
        case .disconnected: isSuppressed = nil
        case .offers(let offers): use(offers, at: time)
        case .update(let status): take(status, at: time)
        case .command(let command): answer(command, at: time)
        case .inverseOffers(let offers):
            // Whoever drains an agent kills what is on it; the replacement is made then.
            turn.calls.append(.acceptInverseOffers(offers.map(\.id), filters: nil))
        case .rescinded, .inverseRescinded, .message, .failure, .operation, .updateRefused,
            .claimAnswer, .cluster, .backedOff, .ended:
            break
        }
        finish(at: time, into: &actions)
    }

    /// Does what is due.
    public mutating func wake(
        at now: Instant, into actions: inout Outbox<FrameworkAction<ServiceOutput>>
    ) {
        runTimers(at: now)
        finish(at: milliseconds(at: now), into: &actions)
    }

    private mutating func begin(_ id: FrameworkID) {
        if let old = frameworkID, old != id {
            // The master has removed the framework as it was, and with it every task.
            for instance in instances.values { forget(instance.id) }
        }
        frameworkID = id
        isSuppressed = nil
        for instance in instances.values where instance.killAt == 0 {
            turn.calls.append(killCall(instance))
        }
    }
}

extension ServicePolicy {
    /// Wall time in milliseconds; it never jumps within a run, so that deadlines can be durable.
    func milliseconds(at instant: Instant) -> Int64 {
        let clock = WallClock(configuration.instant, is: configuration.wallTime)
        return Timestamp.milliseconds(clock.time(at: instant))
    }

    func instant(at milliseconds: Int64) -> Instant {
        let wall = Timestamp.time(milliseconds: milliseconds).nanosecondsSince1970
        return Instant(
            nanoseconds: configuration.instant.nanoseconds
                + (wall - configuration.wallTime.nanosecondsSince1970))
    }

    /// A version that no other change has; close to the present time.
    mutating func newVersion(at now: Int64) -> String {
        lastVersion = max(now, lastVersion + 1)
        return Timestamp.text(Timestamp.time(milliseconds: lastVersion))
    }

    func timeText(_ milliseconds: Int64) -> String {
        Timestamp.text(Timestamp.time(milliseconds: milliseconds))
    }

    /// Looks at the app again at the end of the turn.
    mutating func touch(_ app: AppPath) { turn.apps[app] = turn.apps[app] ?? false }

    /// As ``touch(_:)``, and stores its record.
    mutating func touchAndStore(_ app: AppPath) { turn.apps[app] = true }

    mutating func store(_ instance: TaskID) { turn.instances[instance] = true }

    mutating func tell(_ name: String, at now: Int64, _ fields: [(String, JSON?)]) {
        let head: JSON = ["eventType": .string(name), "timestamp": .string(timeText(now))]
        turn.answers.append(.event(ServiceEvent(name: name, body: head.appending(fields))))
    }

    /// Brings everything into line and hands out what the turn has led to.
    mutating func finish(
        at now: Int64, into actions: inout Outbox<FrameworkAction<ServiceOutput>>
    ) {
        settleTouched(at: now)
        updateIndex()
        chooseDemand(at: now)
        var changes = turn.changes
        for (path, isStored) in zip(turn.apps.keys, turn.apps.values) where isStored {
            changes.append(
                StoreChange(
                    kind: StoreKind.app, key: path.description,
                    value: apps[path]?.stored.description))
        }
        for id in turn.instances.keys {
            changes.append(
                StoreChange(
                    kind: StoreKind.instance, key: id.value,
                    value: instances[id]?.stored.description))
        }
        if !changes.isEmpty { actions.append(.output(.persist(changes))) }
        for call in turn.calls { actions.append(.call(call)) }
        for answer in turn.answers { actions.append(.output(answer)) }
        turn = Turn()
    }
}
