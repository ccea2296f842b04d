internal import Glibc
public import ProfferExecutorDriver
internal import ProfferModel
public import ProfferZeroMQ

/// How an executor reaches its agent.
public struct ExecutorConnection: Sendable {
    let options: ExecutorOptions
    let address: String
    let token: String
    let context: Context

    /// A connection that is put together by hand, such as for a test.
    ///
    /// - Parameters:
    ///   - options: Who the executor is and how long it waits.
    ///   - address: Where the agent listens: `ipc://` or `inproc://`.
    ///   - token: What the executor proves itself with.
    ///   - context: Must be the agent's own when the address is `inproc://`.
    public init(options: ExecutorOptions, address: String, token: String, context: Context) {
        self.options = options
        self.address = address
        self.token = token
        self.context = context
    }

    /// The connection that the agent describes in the environment of every executor.
    ///
    /// It takes the token out of the environment, so that programs which the executor starts do
    /// not have it. Call it once, before other threads begin.
    ///
    /// - Throws: ``ExecutorProblem`` when the program was not started by an agent.
    public static func fromEnvironment() throws -> ExecutorConnection {
        let options = ExecutorOptions(
            frameworkID: FrameworkID(try required("PROFFER_FRAMEWORK_ID")),
            executorID: ExecutorID(try required("PROFFER_EXECUTOR_ID")),
            shutdownGrace: try span("PROFFER_SHUTDOWN_GRACE_MS", default: .seconds(5)),
            recoveryTimeout: try span("PROFFER_RECOVERY_TIMEOUT_MS", default: .seconds(900)))
        let address = try required("PROFFER_AGENT_ADDRESS")
        let token = try required("PROFFER_EXECUTOR_TOKEN")
        unsetenv("PROFFER_EXECUTOR_TOKEN")
        unsetenv("MESOS_EXECUTOR_AUTHENTICATION_TOKEN")
        return ExecutorConnection(
            options: options, address: address, token: token, context: try Context())
    }

    private static func variable(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }
    }

    private static func required(_ name: String) throws(ExecutorProblem) -> String {
        if let value = variable(name), !value.isEmpty { return value }
        throw ExecutorProblem(
            description: "\(name) is not set\n  try: do not start an executor by hand; name it in "
                + "the command of an ExecutorInfo, and an agent starts it")
    }

    private static func span(
        _ name: String, default standard: Duration
    ) throws(ExecutorProblem) -> Duration {
        guard let text = variable(name) else { return standard }
        guard let number = Int64(text), number >= 0 else {
            throw ExecutorProblem(
                description: "\(name) is '\(text)', which is no number of milliseconds\n"
                    + "  try: leave what the agent has set as it is")
        }
        return .milliseconds(number)
    }
}

/// Why an executor cannot start, or has ended before its time.
public struct ExecutorProblem: Error, CustomStringConvertible, Sendable {
    /// What is wrong, and what to do.
    public let description: String
}
