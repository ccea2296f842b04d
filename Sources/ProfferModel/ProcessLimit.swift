/// What the kernel counts for one process, or for one user's processes (`setrlimit`).
public struct ProcessLimit: Hashable, Sendable {
    /// What is counted, with the numbers of Mesos' messages.
    public enum Kind: Int, Hashable, Sendable, CaseIterable {
        /// Address space, in bytes.
        case addressSpace = 1
        /// Size of a core file, in bytes.
        case core = 2
        /// Processor time, in seconds.
        case cpu = 3
        /// Data segment, in bytes.
        case data = 4
        /// Size of a file that is written, in bytes.
        case fileSize = 5
        /// Locks on files.
        case locks = 6
        /// Memory that is kept from being swapped, in bytes.
        case lockedMemory = 7
        /// Message queues of a user, in bytes.
        case messageQueues = 8
        /// The best priority, as 20 minus the nice value.
        case nice = 9
        /// Open descriptors.
        case descriptors = 10
        /// Processes and threads of a user.
        case processes = 11
        /// Resident memory; the kernel of today ignores it.
        case residentSize = 12
        /// The best real-time priority.
        case realTimePriority = 13
        /// Time in real-time scheduling without a pause, in microseconds.
        case realTime = 14
        /// Signals of a user that wait.
        case pendingSignals = 15
        /// Size of the stack, in bytes.
        case stack = 16

        /// The name that `setrlimit` has for it, without `RLIMIT_`.
        public var name: String {
            switch self {
            case .addressSpace: "AS"
            case .core: "CORE"
            case .cpu: "CPU"
            case .data: "DATA"
            case .fileSize: "FSIZE"
            case .locks: "LOCKS"
            case .lockedMemory: "MEMLOCK"
            case .messageQueues: "MSGQUEUE"
            case .nice: "NICE"
            case .descriptors: "NOFILE"
            case .processes: "NPROC"
            case .residentSize: "RSS"
            case .realTimePriority: "RTPRIO"
            case .realTime: "RTTIME"
            case .pendingSignals: "SIGPENDING"
            case .stack: "STACK"
            }
        }
    }

    /// What is counted.
    public var kind: Kind
    /// Where the kernel stops the process; `nil` is nowhere.
    public var soft: UInt64?
    /// How far the process may raise ``soft`` itself; `nil` is without limit.
    public var hard: UInt64?

    /// Sets every field; without values there is no limit.
    public init(_ kind: Kind, soft: UInt64? = nil, hard: UInt64? = nil) {
        self.kind = kind
        self.soft = soft
        self.hard = hard
    }
}
