/// A name that somebody outside gave to something, kept apart by what it names.
///
/// Client-made ids (tasks, executors, operations) are non-empty, at most 255 bytes of UTF-8, not
/// `.` or `..`, and without `/`, `\` and control characters; see ``problem``.
public struct Identifier<Subject>: Hashable, Comparable, Sendable, CustomStringConvertible,
    ExpressibleByStringLiteral
{
    /// The text on the wire.
    public let value: String

    /// Names something by its text; the text is not checked, see ``problem``.
    @inlinable
    public init(_ value: String) { self.value = value }

    /// Names something by a literal.
    @inlinable
    public init(stringLiteral value: String) { self.value = value }

    /// Whether both have the same text.
    @inlinable
    public static func == (left: Identifier, right: Identifier) -> Bool {
        left.value == right.value
    }

    /// Hashes the text.
    @inlinable
    public func hash(into hasher: inout Hasher) { hasher.combine(value) }

    /// Whether `left` sorts before `right`, by UTF-8 bytes.
    @inlinable
    public static func < (left: Identifier, right: Identifier) -> Bool {
        left.value.utf8.lexicographicallyPrecedes(right.value.utf8)
    }

    /// The text itself.
    public var description: String { value }

    /// What forbids this id as a client-made one, or `nil` when it is allowed.
    public var problem: String? {
        if value.isEmpty { return "an id may not be empty" }
        if value.utf8.count > 255 { return "an id may have 255 bytes at most" }
        if value == "." || value == ".." { return "'\(value)' may not be an id" }
        for byte in value.utf8 {
            if byte == 0x2F || byte == 0x5C { return "an id may not contain '/' or '\\'" }
            if byte < 0x20 || byte == 0x7F { return "an id may not contain control characters" }
        }
        return nil
    }
}

/// What a ``FrameworkID`` names.
public enum FrameworkSubject {}
/// What an ``AgentID`` names.
public enum AgentSubject {}
/// What an ``OfferID`` names.
public enum OfferSubject {}
/// What a ``TaskID`` names.
public enum TaskSubject {}
/// What an ``ExecutorID`` names.
public enum ExecutorSubject {}
/// What a ``ContainerID`` names.
public enum ContainerSubject {}
/// What an ``OperationID`` names.
public enum OperationSubject {}

/// Names a framework; made by the master at its first subscription.
public typealias FrameworkID = Identifier<FrameworkSubject>
/// Names an agent; made by the master at its first registration.
public typealias AgentID = Identifier<AgentSubject>
/// Names an offer or inverse offer; made by the master.
public typealias OfferID = Identifier<OfferSubject>
/// Names a task within its framework; made by the framework.
public typealias TaskID = Identifier<TaskSubject>
/// Names an executor within its framework and agent; made by the framework.
public typealias ExecutorID = Identifier<ExecutorSubject>
/// Names one run of an executor; made by the agent.
public typealias ContainerID = Identifier<ContainerSubject>
/// Names an offer operation whose outcome the framework wants to hear; made by the framework.
public typealias OperationID = Identifier<OperationSubject>

/// Sixteen bytes that name one status update.
///
/// Only equality means anything.
public struct UpdateID: Hashable, Sendable, CustomStringConvertible {
    /// The first eight bytes, big endian.
    public let high: UInt64
    /// The last eight bytes, big endian.
    public let low: UInt64

    /// Makes an id from its halves.
    @inlinable
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// Makes an id from exactly 16 bytes; `nil` for any other count.
    @inlinable
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 16 else { return nil }
        var halves: (UInt64, UInt64) = (0, 0)
        for byte in bytes {
            halves.0 = halves.0 << 8 | halves.1 >> 56
            halves.1 = halves.1 << 8 | UInt64(byte)
        }
        self.init(high: halves.0, low: halves.1)
    }

    /// The sixteen bytes.
    public var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(16)
        for half in [high, low] {
            for shift in stride(from: UInt64(56), through: 0, by: -8) {
                bytes.append(UInt8(truncatingIfNeeded: half >> shift))
            }
        }
        return bytes
    }

    /// Lower-case hexadecimal, 32 digits.
    public var description: String {
        [high, low].map { half in
            let digits = String(half, radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }.joined()
    }
}

/// A task, seen from outside its framework.
public struct TaskKey: Hashable, Comparable, Sendable {
    /// The framework that launched it.
    public var framework: FrameworkID
    /// Its id within that framework.
    public var task: TaskID

    /// Names a task of a framework.
    public init(_ framework: FrameworkID, _ task: TaskID) {
        self.framework = framework
        self.task = task
    }

    /// Whether `left` sorts first: by framework, then by task.
    public static func < (left: TaskKey, right: TaskKey) -> Bool {
        left.framework != right.framework
            ? left.framework < right.framework : left.task < right.task
    }
}

/// An executor, seen from outside its framework.
public struct ExecutorKey: Hashable, Comparable, Sendable {
    /// The framework it works for.
    public var framework: FrameworkID
    /// Its id within that framework and agent.
    public var executor: ExecutorID

    /// Names an executor of a framework.
    public init(_ framework: FrameworkID, _ executor: ExecutorID) {
        self.framework = framework
        self.executor = executor
    }

    /// Whether `left` sorts first: by framework, then by executor.
    public static func < (left: ExecutorKey, right: ExecutorKey) -> Bool {
        left.framework != right.framework
            ? left.framework < right.framework : left.executor < right.executor
    }
}

/// A key with a free text value, for people and tools.
public struct Label: Hashable, Sendable {
    /// The name; keys may repeat.
    public var key: String
    /// The text, if any.
    public var value: String?

    /// Makes a label.
    public init(_ key: String, _ value: String? = nil) {
        self.key = key
        self.value = value
    }
}
