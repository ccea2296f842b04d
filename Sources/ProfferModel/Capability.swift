/// A privilege of the kernel's, by its number.
public struct Capability: Hashable, Sendable, CustomStringConvertible {
    /// The kernel's number, from 0.
    public let number: Int

    /// The names, in the order of their numbers.
    private static let names = [
        "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID",
        "SETUID", "SETPCAP", "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN",
        "NET_RAW", "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE",
        "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME",
        "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
        "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ",
        "PERFMON", "BPF", "CHECKPOINT_RESTORE",
    ]

    /// Every capability that is known here.
    public static let all = names.indices.map { Capability(known: $0) }

    private init(known number: Int) { self.number = number }

    /// The capability with this number; `nil` when it is not known here.
    public init?(number: Int) {
        guard Self.names.indices.contains(number) else { return nil }
        self.number = number
    }

    /// The capability with this name, with or without `CAP_`; `nil` when it is not known here.
    public init?(_ name: String) {
        let plain = name.hasPrefix("CAP_") ? String(name.dropFirst(4)) : name
        guard let number = Self.names.firstIndex(of: plain) else { return nil }
        self.number = number
    }

    /// The name: `NET_ADMIN`.
    public var description: String { Self.names[number] }
}
