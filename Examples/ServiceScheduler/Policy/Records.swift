internal import Proffer

/// An app with everything the scheduler knows of it.
struct AppRecord: Sendable {
    /// What it is to become; what users see.
    var goal: App
    /// What is worked for at present: the goal from the moment its deployment reaches it.
    var active: App
    /// Whether it is only kept until its last instance has ended.
    var isRemoved = false
    /// Its states, the oldest first, the goal last.
    var versions: [App] = []
    /// Set while instances fail soon after their start.
    var delay: LaunchDelay?
    var lastFailure: JSON?
    /// How many instances may be launched now.
    var need = 0
    /// Since when (wall time, milliseconds) there is need.
    var needSince: Int64?
    var offers = OfferStatistics()

    /// How many versions are remembered.
    static let versionLimit = 50

    var stored: JSON {
        [
            "goal": goal.json, "active": active.json, "isRemoved": .bool(isRemoved),
            "lastFailure": lastFailure ?? .null,
        ]
    }

    init(goal: App, active: App) {
        self.goal = goal
        self.active = active
    }

    /// Reads what ``stored`` wrote; `nil` when it did not.
    init?(stored json: JSON) {
        guard let goal = json["goal"].flatMap(App.init(stored:)),
            let active = json["active"].flatMap(App.init(stored:))
        else { return nil }
        self.init(goal: goal, active: active)
        isRemoved = json["isRemoved"] == .bool(true)
        if let failure = json["lastFailure"], !failure.isNull { lastFailure = failure }
    }
}

/// How long the next launch of an app has to wait.
struct LaunchDelay: Hashable, Sendable {
    var length: Duration
    /// Wall time, milliseconds.
    var until: Int64

    /// The delay after another failure: the first one, or a factor more, up to the longest.
    static func next(after delay: LaunchDelay?, _ strategy: BackoffStrategy, at now: Int64)
        -> LaunchDelay
    {
        var length = strategy.first
        if let delay {
            let longer = delay.length.inNanoseconds / 1000
            let (product, overflow) = longer.multipliedReportingOverflow(by: strategy.factor)
            length = overflow ? strategy.longest : .nanoseconds(product / 1000)
        }
        length = min(length, strategy.longest)
        return LaunchDelay(length: length, until: now + length.inNanoseconds / 1_000_000)
    }
}

/// A group that was created as such; others exist because an app lies in them.
struct GroupRecord: Hashable, Sendable {
    var path: AppPath
    var dependencies: [AppPath] = []
    var version: String

    var stored: JSON {
        [
            "dependencies": .texts(dependencies.map(\.description)),
            "version": .string(version),
        ]
    }

    init(path: AppPath, dependencies: [AppPath] = [], version: String) {
        self.path = path
        self.dependencies = dependencies
        self.version = version
    }

    init(path: AppPath, stored json: JSON) {
        self.init(
            path: path,
            dependencies: (json["dependencies"]?.elements ?? []).compactMap(\.text)
                .map { AppPath($0) },
            version: json["version"]?.text ?? "")
    }
}

/// Why offers were not used, counted as a funnel: each reason out of those that came so far.
struct OfferStatistics: Hashable, Sendable {
    var processed = 0
    var unused = 0
    /// Wall time, milliseconds.
    var lastUnusedAt: Int64?
    var lastUsedAt: Int64?
    /// Since the present need began.
    var attempt = RejectCounts()
    /// In the last round of offers.
    var lastRound = RejectCounts()
}

/// How many offers each check has seen and refused.
struct RejectCounts: Hashable, Sendable {
    private(set) var processed = Array(repeating: 0, count: RejectReason.allCases.count)
    private(set) var declined = Array(repeating: 0, count: RejectReason.allCases.count)

    mutating func add(_ reason: RejectReason?) {
        for (index, candidate) in RejectReason.allCases.enumerated() {
            processed[index] += 1
            if candidate == reason {
                declined[index] += 1
                return
            }
        }
    }

    var json: JSON {
        .array(
            RejectReason.allCases.enumerated().map { index, reason in
                [
                    "reason": .string(reason.rawValue), "declined": .int(declined[index]),
                    "processed": .int(processed[index]),
                ]
            })
    }
}

/// Why an offer does not do, in the order in which it is looked at.
enum RejectReason: String, CaseIterable, Hashable, Sendable {
    case role = "UnfulfilledRole"
    case constraint = "UnfulfilledConstraint"
    case reservation = "NoCorrespondingReservationFound"
    case maintenance = "AgentMaintenance"
    case cpus = "InsufficientCpus"
    case mem = "InsufficientMemory"
    case disk = "InsufficientDisk"
    case gpus = "InsufficientGpus"
    case ports = "InsufficientPorts"
    case scarce = "DeclinedScarceResources"
}
