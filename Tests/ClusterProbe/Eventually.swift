/// Nothing of the kind happened in time.
public struct NeverHappened: Error, CustomStringConvertible {
    /// What was waited for.
    public let description: String

    /// Describes what did not happen, or could not be done.
    public init(description: String) { self.description = description }
}

/// Waits until `find` has found something.
///
/// The deadline is far beyond what is needed, beside hundreds of other tests; it only turns a hang
/// into a failure.
public func eventually<Found>(
    _ what: @autoclosure () -> String, within limit: Duration = .seconds(300),
    isolation: isolated (any Actor)? = #isolation, _ find: () async throws -> Found?
) async throws -> Found {
    let end = ContinuousClock.now + limit
    while true {
        if let found = try await find() { return found }
        if ContinuousClock.now > end {
            throw NeverHappened(description: "waited in vain for \(what())")
        }
        try await Task.sleep(for: .milliseconds(5))
    }
}

/// Waits until `holds` is true.
public func eventually(
    _ what: @autoclosure () -> String, within limit: Duration = .seconds(300),
    isolation: isolated (any Actor)? = #isolation, holds: () async throws -> Bool
) async throws {
    let _: Bool = try await eventually(what(), within: limit, isolation: isolation) {
        try await holds() ? true : nil
    }
}
