internal import Glibc
internal import ProfferFetching
public import ProfferIsolation
public import ProfferModel

/// Fetches the files of tasks by a program of its own, for threads that may wait.
public struct TaskFetch: Hashable, Sendable {
    /// The path of `proffer-fetcher`.
    public var program: String
    /// What the operator has decided, as the program reads it from `PROFFER_FETCH`.
    public var settings: String
    /// No fetch takes longer.
    private static let limit: Int32 = 24 * 3_600_000

    /// Sets both.
    public init(program: String, settings: String) {
        self.program = program
        self.settings = settings
    }

    /// Fetches files into a sandbox.
    ///
    /// - Parameters:
    ///   - uris: The files.
    ///   - sandbox: Where they go.
    ///   - user: Whose they are to be.
    ///   - started: Told of the process, which may be killed to end the fetch.
    /// - Throws: ``SystemError`` that says which file could not be fetched, why, and what to do.
    public func run(
        _ uris: [FetchURI], into sandbox: String, for user: ContainerUser,
        started: (ProcessIdentity) -> Void
    ) throws(SystemError) {
        let order = FetchOrder(uris: uris, sandbox: sandbox, user: user.id, group: user.group)
        let invocation = Invocation(
            [program],
            environment: [
                EnvironmentVariable(name: "PATH", value: "/usr/bin:/bin"),
                EnvironmentVariable(name: "PROFFER_FETCH", value: settings),
                // By this, the agent finds it when its executor has died.
                EnvironmentVariable(name: ProcessSweeper.markName, value: sandbox),
            ], input: order.json.description)
        let result = try Program.run(invocation, within: Self.limit, started: started)
        if result.exit?.code == 0 { return }
        let line = result.error.split(separator: "\n").last.map(String.init) ?? ""
        guard let problem = try? JSON(text: line), let because = problem["because"]?.text else {
            throw SystemError(
                "fetch", uris.first?.value ?? "", code: 0,
                hint: "proffer-fetcher failed: \(result.problem)")
        }
        throw SystemError(
            "fetch", problem["uri"]?.text ?? "", code: 0,
            hint: because + (problem["try"]?.text.map { "; " + $0 } ?? ""))
    }
}
