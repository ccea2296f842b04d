// The enumerations of the schema that an executor reads or writes, under the numbers they have
// there. A number that is not listed is no value of its field.

enum EventKind: Int32 {
    case unknown = 0
    case subscribed = 1
    case launch = 2
    case kill = 3
    case acknowledged = 4
    case message = 5
    case error = 6
    case shutdown = 7
    case launchGroup = 8
    case heartbeat = 9
}

enum CallKind: Int32 {
    case subscribe = 1
    case update = 2
    case message = 3
    case heartbeat = 4
    case usage = 1000
}

enum ValueKind: Int32 {
    case scalar = 0
    case ranges = 1
    case set = 2
    case text = 3
}

/// Of checks, health checks and results of checks.
enum ProbeKind: Int32 {
    case unknown = 0
    case command = 1
    case http = 2
    case tcp = 3
}

enum ExecutorKind: Int32 {
    case unknown = 0
    case `default` = 1
    case custom = 2
}

enum ContainerKind: Int32 {
    case docker = 1
    case mesos = 2
}

enum ImageKind: Int32 {
    case appc = 1
    case docker = 2
}

enum NetworkKind: Int32 {
    case host = 1
    case bridge = 2
    case none = 3
    case user = 4
}

enum VolumeMode: Int32 {
    case readWrite = 1
    case readOnly = 2
}

enum VisibilityKind: Int32 {
    case framework = 0
    case cluster = 1
    case external = 2
}

enum ReservationKind: Int32 {
    case unknown = 0
    case `static` = 1
    case dynamic = 2
}

enum DiskSourceKind: Int32 {
    case unknown = 0
    case path = 1
    case mount = 2
    case block = 3
    case raw = 4
}

enum CapabilityKind: Int32 {
    case unknown = 0
    case revocableResources = 1
    case taskKillingState = 2
    case gpuResources = 3
    case sharedResources = 4
    case partitionAware = 5
    case multiRole = 6
    case reservationRefinement = 7
    case regionAware = 8
}

enum AgentCapabilityKind: Int32 {
    case unknown = 0
    case multiRole = 1
    case hierarchicalRole = 2
    case reservationRefinement = 3
    case resourceProvider = 4
    case resizeVolume = 5
    case operationFeedback = 6
    case draining = 7
    case taskResourceLimits = 8
}

enum VolumeSourceKind: Int32 {
    case unknown = 0
    case sandboxPath = 2
    case secret = 3
    case hostPath = 4
    case dockerVolume = 1
    case csiVolume = 5
}

enum SecretKind: Int32 {
    case unknown = 0
    case reference = 1
    case value = 2
}

/// Of a variable of an environment.
enum VariableKind: Int32 {
    case unknown = 0
    case value = 1
    case secret = 2
}

enum SandboxPathKind: Int32 {
    case unknown = 0
    case own = 1
    case parent = 2
}

/// What is limited for a process.
enum LimitKind: Int32 {
    case unknown = 0
    case addressSpace, core, cpu, data, fileSize, locks, lockedMemory, messageQueues, nice
    case descriptors, processes, residentSize, realTimePriority, realTime, pendingSignals, stack
}
