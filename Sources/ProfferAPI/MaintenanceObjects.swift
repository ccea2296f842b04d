internal import Foundation
public import ProfferKernel
public import ProfferModel

/// Machines that are planned to be unavailable for the same time.
public struct WindowObject: Codable, Hashable, Sendable {
    /// Their host names.
    public var machines: [String]
    /// From when, RFC 3339.
    public var start: String
    /// For how long, such as `2h`; absent for good.
    public var duration: String?

    /// Describes a window.
    public init(machines: [String], start: String, duration: String? = nil) {
        self.machines = machines
        self.start = start
        self.duration = duration
    }

    /// Describes a window.
    public init(_ window: MaintenanceWindow) {
        self.init(
            machines: window.machines.map(\.hostname), window.unavailability)
    }

    /// Describes a window.
    public init(machines: [String], _ away: Unavailability) {
        self.init(
            machines: machines, start: timestamp(away.start),
            duration: away.duration.map { "\($0.inNanoseconds / 1_000_000)ms" })
    }
}

/// The whole plan, as a body.
public struct ScheduleObject: Codable, Hashable, Sendable {
    /// Every window.
    public var windows: [WindowObject]

    /// Makes a plan.
    public init(windows: [WindowObject]) { self.windows = windows }
}

/// Machines, as a body.
public struct MachinesObject: Codable, Sendable {
    /// Their host names.
    public var machines: [String]

    /// Names machines.
    public init(_ machines: [String]) { self.machines = machines }
}

/// A machine that is in the plan.
public struct MachineObject: Codable, Sendable {
    /// What a framework was asked, and has said.
    public struct Request: Codable, Sendable {
        /// The framework.
        public var framework: String
        /// The agent it is to leave.
        public var agent: String
        /// `accepted`, `declined`, or `none` while it has said nothing.
        public var answer: String
    }

    /// Always `machine`.
    public var kind = "machine"
    /// Its host name.
    public var id: String
    /// `draining` or `down`.
    public var state: String
    /// When it is planned to be unavailable; absent when it is down.
    public var window: WindowObject?
    /// Who was asked to leave it.
    public var requests: [Request]

    /// Describes a machine that is to be left.
    public init(_ machine: DrainingMachine) {
        id = machine.id.hostname
        state = "draining"
        window = WindowObject(machines: [machine.id.hostname], machine.unavailability)
        requests = machine.requests.map { summary in
            let answer =
                switch summary.response {
                case .accepted: "accepted"
                case .declined: "declined"
                case nil: "none"
                }
            return Request(
                framework: summary.inverseOffer.frameworkID.value,
                agent: summary.inverseOffer.agentID?.value ?? "", answer: answer)
        }
    }

    /// Describes a machine that is down.
    public init(down machine: MachineID) {
        id = machine.hostname
        state = "down"
        requests = []
    }
}

/// How an agent is to be drained, as a body.
public struct DrainObject: Codable, Sendable {
    /// The longest grace of a task, such as `30s`.
    public var maxGrace: String?
    /// Whether the agent is gone for good afterwards.
    public var markGone: Bool

    /// Describes an order.
    public init(maxGrace: String?, markGone: Bool) {
        self.maxGrace = maxGrace
        self.markGone = markGone
    }
}

/// To whom an id is to belong, as a body.
public struct KeyObject: Codable, Sendable {
    /// A public key; absent for the first that uses the id.
    public var publicKey: String?

    /// Names a key.
    public init(publicKey: String?) { self.publicKey = publicKey }
}

extension WallTime {
    /// The time that an RFC 3339 text names, with or without a fraction; `nil` when it is none.
    public init?(text: String) {
        let style = Date.ISO8601FormatStyle()
        let precise = Date.ISO8601FormatStyle(includingFractionalSeconds: true)
        guard let date = (try? style.parse(text)) ?? (try? precise.parse(text)) else {
            return nil
        }
        let seconds = date.timeIntervalSince1970
        guard abs(seconds) < 9e9 else { return nil }
        self.init(nanosecondsSince1970: Int64((seconds * 1000).rounded()) * 1_000_000)
    }
}
