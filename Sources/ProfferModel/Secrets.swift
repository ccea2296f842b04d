/// Names a secret that the agent's provider has.
public struct SecretReference: Hashable, Sendable, Comparable {
    /// Its name, as the provider has it.
    public var name: String
    /// Which part of it, when it has several.
    public var key: String?

    /// The longest name or key, in bytes.
    public static let longestName = 255

    /// Sets every field; what is left out has the default shown.
    public init(name: String, key: String? = nil) {
        self.name = name
        self.key = key
    }

    /// What is wrong with the names, as the end of a sentence, or `nil`.
    public var problem: String? {
        for part in [name] + (key.map { [$0] } ?? []) {
            if part.isEmpty { return "has no name" }
            if part.utf8.count > Self.longestName {
                return "has a name of more than \(Self.longestName) bytes"
            }
            if part.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) {
                return "has a name with a control character"
            }
        }
        return nil
    }

    /// By name, then by key.
    public static func < (one: Self, other: Self) -> Bool {
        (one.name, one.key ?? "") < (other.name, other.key ?? "")
    }
}

/// A secret as a description has it: named, never told.
///
/// Descriptions are kept, sent on and shown, so that no value of a secret can be in one: whoever
/// decodes a message in which there is one forgets it, and the master refuses what came with it.
public enum Secret: Hashable, Sendable {
    /// The one that the agent's provider has under this name.
    case reference(SecretReference)
    /// One that was told itself, which is refused.
    case value

    /// What is wrong with it, as the end of a sentence, or `nil`.
    public var problem: String? {
        switch self {
        case .reference(let reference): reference.problem
        case .value:
            "is told itself; name one that the agent has instead, because what is in a description"
                + " is kept and shown"
        }
    }
}

/// The value of a secret, on its way from an agent to its executor.
///
/// It is in no description, record or answer, and does not show what it holds when it is printed.
public struct SecretValue: Hashable, Sendable {
    /// Which one.
    public var reference: SecretReference
    /// The value.
    public var bytes: [UInt8]

    /// The longest value, in bytes: 64 KiB.
    public static let longest = 65_536

    /// Sets every field.
    public init(reference: SecretReference, bytes: [UInt8]) {
        self.reference = reference
        self.bytes = bytes
    }
}

extension SecretValue: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The name without the value.
    public var description: String { "secret '\(reference.name)'" }

    /// The name without the value.
    public var debugDescription: String { description }

    /// The name without the value.
    public var customMirror: Mirror { Mirror(self, children: ["reference": reference]) }
}

extension TaskInfo {
    /// The secrets that it names, each once, in order.
    public var secrets: [SecretReference] {
        let ofVolumes = container?.volumes.compactMap(\.secret?.reference) ?? []
        let ofEnvironment = command?.environment.compactMap(\.secret?.reference) ?? []
        return (ofEnvironment + ofVolumes).eachOnce
    }
}

extension CommandInfo {
    /// The secrets that its environment names, each once, in order.
    public var secrets: [SecretReference] {
        environment.compactMap(\.secret?.reference).eachOnce
    }
}

extension [SecretReference] {
    /// Each of them once, in order.
    package var eachOnce: [SecretReference] {
        sorted().reduce(into: []) { if $0.last != $1 { $0.append($1) } }
    }
}

extension Secret {
    /// Which one it names, if it does.
    public var reference: SecretReference? {
        if case .reference(let reference) = self { reference } else { nil }
    }
}
