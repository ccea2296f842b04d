/// A machine, by the host name that its agents give.
public struct MachineID: Hashable, Sendable {
    /// The host name.
    public var hostname: String
    /// Its address: kept and shown, not compared.
    public var ip: String?

    /// Names a machine.
    public init(hostname: String, ip: String? = nil) {
        self.hostname = hostname
        self.ip = ip
    }

    /// What is compared: host names know no capitals.
    public var key: String { hostname.lowercased() }
}

/// Machines that will not be available for the same time.
public struct MaintenanceWindow: Hashable, Sendable {
    /// Which ones.
    public var machines: [MachineID]
    /// When.
    public var unavailability: Unavailability

    /// Sets every field.
    public init(machines: [MachineID], unavailability: Unavailability) {
        self.machines = machines
        self.unavailability = unavailability
    }
}

/// What the registry keeps of maintenance.
public struct MaintenanceRecord: Hashable, Sendable {
    /// Everything that is planned or under way.
    public var windows: [MaintenanceWindow]
    /// Machines that are down; each is in a window.
    public var down: [MachineID]

    /// Sets every field; what is left out is empty.
    public init(windows: [MaintenanceWindow] = [], down: [MachineID] = []) {
        self.windows = windows
        self.down = down
    }
}

/// A machine that is to be left, as an operator sees it.
public struct DrainingMachine: Hashable, Sendable {
    /// The machine.
    public var id: MachineID
    /// When it will not be available.
    public var unavailability: Unavailability
    /// The requests to leave it, with what frameworks have said.
    public var requests: [InverseOfferSummary]

    /// Sets every field.
    public init(
        id: MachineID, unavailability: Unavailability, requests: [InverseOfferSummary] = []
    ) {
        self.id = id
        self.unavailability = unavailability
        self.requests = requests
    }
}

/// Maintenance as an operator sees it.
public struct MaintenanceStatus: Hashable, Sendable {
    /// Machines in a window that are up.
    public var draining: [DrainingMachine]
    /// Machines that are down.
    public var down: [MachineID]

    /// Sets every field; what is left out is empty.
    public init(draining: [DrainingMachine] = [], down: [MachineID] = []) {
        self.draining = draining
        self.down = down
    }
}

/// The order that every task leaves an agent.
public struct DrainOrder: Hashable, Sendable {
    /// The longest grace a task has between the request to end and its kill; `nil` is each task's
    /// own.
    public var maxGrace: Duration?
    /// Whether the agent is to be declared gone when it is empty.
    public var marksGone: Bool
    /// Whether it is empty: every task has ended, and its framework knows.
    public var isDrained: Bool

    /// Sets every field; what is left out has the default shown.
    public init(maxGrace: Duration? = nil, marksGone: Bool = false, isDrained: Bool = false) {
        self.maxGrace = maxGrace
        self.marksGone = marksGone
        self.isDrained = isDrained
    }
}
