/// A change of the scheduler's durable state; all changes of one turn belong together.
public struct StoreChange: Hashable, Sendable {
    /// What kind of record: `app`, `version`, `group`, `instance` or `deployment`.
    public var kind: String
    /// Unique among its kind.
    public var key: String
    /// The new value as JSON text; `nil` removes the record.
    public var value: String?

    /// Describes a change.
    public init(kind: String, key: String, value: String?) {
        self.kind = kind
        self.key = key
        self.value = value
    }
}

/// A stored record that cannot be understood.
public struct StoreProblem: Error, Sendable, CustomStringConvertible {
    /// The kind of the record.
    public var kind: String
    /// Its key.
    public var key: String

    /// One sentence.
    public var description: String { "the stored \(kind) '\(key)' cannot be understood" }
}

enum StoreKind {
    static let app = "app"
    static let version = "version"
    static let group = "group"
    static let instance = "instance"
    static let deployment = "deployment"
}
