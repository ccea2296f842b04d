internal import HTTPTypes
internal import Hummingbird
internal import NIOCore
internal import Synchronization

/// Somebody looked into a sandbox.
public struct SandboxAccess: Hashable, Sendable {
    /// The address it was asked from.
    public var address: String
    /// Who says to have asked, from the header `From`; nothing proves it.
    public var user: String
    /// `list`, `read` or `download`.
    public var action: String
    /// The framework, as it was written in the request.
    public var framework: String
    /// The task, as it was written in the request.
    public var task: String
    /// The path in the sandbox, as it was written in the request.
    public var path: String
}

/// Tells of accesses, of one that is repeated (by who follows a file) once in a minute.
final class AccessLog: Sendable {
    private static let pause = Duration.seconds(60)
    private static let limit = 1000
    private static let textLimit = 200

    private let audit: (@Sendable (SandboxAccess) -> Void)?
    private let told = Mutex<[SandboxAccess: ContinuousClock.Instant]>([:])

    init(_ audit: (@Sendable (SandboxAccess) -> Void)?) { self.audit = audit }

    func note(
        _ request: Request, _ context: AgentRequestContext, _ framework: String, _ task: String,
        _ action: String, _ path: String
    ) {
        guard let audit else { return }
        let user = HTTPField.Name("From").flatMap { request.headers[$0] } ?? ""
        let access = SandboxAccess(
            address: context.remoteAddress?.ipAddress ?? "", user: Self.plain(user),
            action: action, framework: Self.plain(framework), task: Self.plain(task),
            path: Self.plain(path))
        let now = ContinuousClock.now
        let isNew = told.withLock { told in
            if let last = told[access], now - last < Self.pause { return false }
            if told.count >= Self.limit { told.removeAll() }
            told[access] = now
            return true
        }
        if isNew { audit(access) }
    }

    /// What can stand in a log without being taken for something else.
    private static func plain(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars.prefix(textLimit) {
            let isPlain = scalar.value >= 0x20 && scalar.value != 0x7F && scalar.value < 0x80
            result.unicodeScalars.append(isPlain ? scalar : "?")
        }
        return result
    }
}
