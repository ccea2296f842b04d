internal import Glibc
internal import ProfferContainers
internal import ProfferExecutorShell
internal import ProfferIsolation
internal import ProfferModel
internal import ProfferZeroMQ

// The executor that an agent starts for each framework. It reads everything it has to know from
// its environment, so that it is started the same way as an executor of somebody else:
//
//   PROFFER_FRAMEWORK_ID, PROFFER_EXECUTOR_ID   whom it works for, and itself
//   PROFFER_AGENT_ADDRESS                       where the agent listens (ipc://…)
//   PROFFER_EXECUTOR_TOKEN                      what it proves itself with
//   PROFFER_DIRECTORY                           its own directory; the working directory if unset
//   PROFFER_RECOVERY_TIMEOUT_MS                 how long it waits for its agent; 900000 if unset
//   PROFFER_SHUTDOWN_GRACE_MS                   from SHUTDOWN to its end; 5000 if unset
//   PROFFER_USAGE_INTERVAL_MS                   how often it measures its tasks; 5000 if unset
//   PROFFER_OUTPUT_LIMIT_BYTES                  size of a task's stdout and stderr; 10 MiB if unset
//   PROFFER_OUTPUT_FILES                        how many there may be of each; 5 if unset
//   PROFFER_FETCH                               what may be fetched for tasks, see FetchSettings;
//                                               nothing if unset
//   PROFFER_CONTAINER_ID                        its run, which names what is made for its tasks
//   PROFFER_PLANS                               where it keeps what has to be undone for them
//   PROFFER_ISOLATION and others                see IsolationSettings

/// Writes one line to the log, which is standard error.
@Sendable
func log(_ line: String) {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    var parts = tm()
    gmtime_r(&time.tv_sec, &parts)
    func padded(_ number: Int32) -> String { (number < 10 ? "0" : "") + "\(number)" }
    let date = "\(parts.tm_year + 1900)-\(padded(parts.tm_mon + 1))-\(padded(parts.tm_mday))"
    let clock = "\(padded(parts.tm_hour)):\(padded(parts.tm_min)):\(padded(parts.tm_sec))"
    let bytes = Array("\(date)T\(clock)Z \(line)\n".utf8)
    _ = bytes.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
}

func fail(_ message: String) -> Never {
    log("proffer-executor: \(message)")
    exit(78)
}

func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

func required(_ name: String) -> String {
    guard let value = variable(name), !value.isEmpty else {
        fail("\(name) is not set; this program is started by proffer-agent, not by hand")
    }
    return value
}

/// Reads a number of milliseconds.
func milliseconds(_ name: String, default standard: Duration) -> Duration {
    guard let text = variable(name) else { return standard }
    guard let number = Int32(text), number > 0 else {
        fail("\(name) is '\(text)', which is no number of milliseconds above zero")
    }
    return .milliseconds(Int64(number))
}

let limit = variable("PROFFER_OUTPUT_LIMIT_BYTES")
guard let outputLimit = limit.map({ Int($0) }) ?? (10 << 20), outputLimit > 0 else {
    fail("PROFFER_OUTPUT_LIMIT_BYTES is '\(limit ?? "")', which is no positive number")
}
/// How files are fetched, if the agent says so and the program for it is beside this one.
func fetch() -> TaskFetch? {
    guard let settings = variable("PROFFER_FETCH") else { return nil }
    var buffer = [CChar](repeating: 0, count: 4096)
    let count = readlink("/proc/self/exe", &buffer, buffer.count - 1)
    let path = String(
        decoding: buffer.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    guard let slash = path.lastIndex(of: "/") else { return nil }
    let program = String(path[...slash]) + "proffer-fetcher"
    return access(program, X_OK) == 0
        ? TaskFetch(program: program, settings: settings) : nil
}

let files = variable("PROFFER_OUTPUT_FILES")
guard let outputFiles = files.map({ Int($0) }) ?? 5, (1...1000).contains(outputFiles) else {
    fail("PROFFER_OUTPUT_FILES is '\(files ?? "")', which is no number from 1 to 1000")
}
let configuration = ExecutorShellConfiguration(
    frameworkID: FrameworkID(required("PROFFER_FRAMEWORK_ID")),
    executorID: ExecutorID(required("PROFFER_EXECUTOR_ID")),
    agentAddress: required("PROFFER_AGENT_ADDRESS"),
    token: required("PROFFER_EXECUTOR_TOKEN"),
    directory: variable("PROFFER_DIRECTORY") ?? ".",
    shutdownGrace: milliseconds("PROFFER_SHUTDOWN_GRACE_MS", default: .seconds(5)),
    recoveryTimeout: milliseconds("PROFFER_RECOVERY_TIMEOUT_MS", default: .seconds(900)),
    usageInterval: milliseconds("PROFFER_USAGE_INTERVAL_MS", default: .seconds(5)),
    outputLimitBytes: outputLimit, outputFiles: outputFiles, fetch: fetch(),
    isolation: IsolationSettings(environment: variable),
    containerID: ContainerID(variable("PROFFER_CONTAINER_ID") ?? "executor"),
    plansDirectory: variable("PROFFER_PLANS"), log: log)
// Tasks get an environment of their own; this is for whoever looks at /proc.
unsetenv("PROFFER_EXECUTOR_TOKEN")

do {
    let shell = try ExecutorShell(configuration: configuration, context: Context())
    exit(try shell.run())
} catch {
    fail("\(error)")
}
