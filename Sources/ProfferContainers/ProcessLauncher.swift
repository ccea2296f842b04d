internal import CLinux
internal import Glibc
public import ProfferModel

/// A process to start.
public struct ProcessPlan: Hashable, Sendable {
    /// Where the process writes.
    public enum Output: Hashable, Sendable {
        /// Nowhere.
        case discarded
        /// To `stdout` and `stderr` in its directory.
        case files
        /// Both to one file of this name in its directory.
        case log(String)
    }

    /// What to execute.
    public var command: CommandInfo
    /// The whole environment; nothing is inherited.
    public var environment: [EnvironmentVariable]
    /// The working directory, which must exist.
    public var directory: String
    /// Where it writes.
    public var output: Output

    /// Sets every field; what is left out has the default shown.
    public init(
        command: CommandInfo,
        environment: [EnvironmentVariable],
        directory: String,
        output: Output = .files
    ) {
        self.command = command
        self.environment = environment
        self.directory = directory
        self.output = output
    }
}

/// Starts processes, each as the leader of a session and process group of its own.
///
/// A process inherits nothing: standard input is `/dev/null`, every descriptor above 2 is closed,
/// no signal is blocked or ignored, and the environment is exactly the one given. Files are opened
/// here and not in the process, so that a full disk is told from a missing program.
/// `posix_spawn` is used because its cost does not grow with the memory of the caller.
public enum ProcessLauncher {
    /// Starts a process.
    ///
    /// The caller must reap it, best by a ``ProcessWatcher``.
    ///
    /// - Parameters:
    ///   - plan: What to start.
    ///   - isExact: Whether the identity is to hold the very tick of the start. Looking it up costs
    ///     a tenth of a start; without, the identity holds the present tick or one before, which
    ///     is enough as long as the caller has not reaped the process.
    /// - Returns: The process.
    /// - Throws: ``SystemError`` that names the command or file.
    public static func start(
        _ plan: ProcessPlan, isExact: Bool = true
    ) throws(SystemError) -> ProcessIdentity {
        var arguments = try argumentVector(of: plan)
        let user = try User(named: plan.command.user)
        if let user { arguments = user.wrapping(arguments) }
        let (output, error) = try openOutput(of: plan)
        defer {
            if output >= 0 { close(output) }
            if error >= 0, error != output { close(error) }
        }
        if let user { try user.own(plan.directory, output, error) }

        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        linux_spawn_add_directory(&actions, plan.directory)
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        if output >= 0 {
            posix_spawn_file_actions_adddup2(&actions, output, 1)
            posix_spawn_file_actions_adddup2(&actions, error, 2)
        } else {
            posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
            posix_spawn_file_actions_adddup2(&actions, 1, 2)
        }
        linux_spawn_add_close_from(&actions, 3)

        let now = ProcessIdentity.presentTicks
        let pid = try spawn(arguments, plan, &actions)
        if !isExact { return ProcessIdentity(pid: pid, startTicks: now) }
        // The process is a zombie at worst until it is reaped, so there is something to read.
        return ProcessIdentity(pid: pid) ?? ProcessIdentity(pid: pid, startTicks: 0)
    }

    private static func spawn(
        _ arguments: [String], _ plan: ProcessPlan,
        _ actions: inout posix_spawn_file_actions_t
    ) throws(SystemError) -> Int32 {
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        // sigfillset leaves out two that the C library would have the process ignore.
        memset(&signals, 0xFF, MemoryLayout<sigset_t>.size)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        let flags =
            Int32(LINUX_SPAWN_NEW_SESSION) | Int32(POSIX_SPAWN_SETSIGMASK)
            | Int32(POSIX_SPAWN_SETSIGDEF)
        posix_spawnattr_setflags(&attributes, Int16(flags))

        var argumentPointers = arguments.map { strdup($0) } + [nil]
        var variablePointers =
            plan.environment.map { strdup("\($0.name)=\($0.value)") } + [nil]
        defer {
            for pointer in argumentPointers { free(pointer) }
            for pointer in variablePointers { free(pointer) }
        }
        let program = search(arguments[0], in: plan.environment)
        var pid: Int32 = 0
        let code = posix_spawn(
            &pid, program, &actions, &attributes, &argumentPointers, &variablePointers)
        if code == 0 { return pid }
        throw failure(arguments[0], program, plan, code)
    }

    private static func failure(
        _ name: String, _ program: String, _ plan: ProcessPlan, _ code: Int32
    ) -> SystemError {
        if code == ENOENT, access(plan.directory, F_OK) != 0 {
            return SystemError("enter", plan.directory, code: errno)
        }
        let hint = code == ENOENT && access(program, F_OK) == 0 ? "its interpreter" : nil
        return SystemError("start", name, code: code, hint: hint)
    }

    private static func argumentVector(of plan: ProcessPlan) throws(SystemError) -> [String] {
        guard let value = plan.command.value, !value.isEmpty else {
            if !plan.command.shell, !plan.command.arguments.isEmpty {
                return plan.command.arguments
            }
            throw SystemError("start", "", code: EINVAL, hint: "the command is empty")
        }
        if plan.command.shell { return ["/bin/sh", "-c", value] }
        // The path is `value`; the first argument is only what the program is told of its name.
        return [value] + plan.command.arguments.dropFirst()
    }

    /// The path of a program without a slash in its name, by the PATH of the new process.
    private static func search(_ name: String, in environment: [EnvironmentVariable]) -> String {
        if name.utf8.contains(0x2F) { return name }
        let list = environment.last { $0.name == "PATH" }?.value ?? "/usr/bin:/bin"
        for directory in list.split(separator: ":") {
            let path = "\(directory)/\(name)"
            if access(path, X_OK) == 0 { return path }
        }
        return "/nonexistent/\(name)"
    }

    private static func openOutput(of plan: ProcessPlan) throws(SystemError) -> (Int32, Int32) {
        switch plan.output {
        case .discarded: return (-1, -1)
        case .files:
            let output = try openFile(plan.directory + "/stdout")
            do throws(SystemError) {
                return (output, try openFile(plan.directory + "/stderr"))
            } catch {
                close(output)
                throw error
            }
        case .log(let name):
            let log = try openFile(plan.directory + "/" + name)
            return (log, log)
        }
    }

    private static func openFile(_ path: String) throws(SystemError) -> Int32 {
        let flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK
        let descriptor = open(path, flags, 0o600)
        guard descriptor >= 0 else { throw SystemError("open", path, code: errno) }
        // Only against a pipe in the file's place; the process must not inherit it.
        _ = fcntl(descriptor, F_SETFL, O_APPEND)
        return descriptor
    }
}

/// Another user than the caller's.
///
/// The change is made by `setpriv` of util-linux between the start and the program, because
/// `posix_spawn` cannot and a fork is dear.
private struct User {
    private static let changer = "/usr/bin/setpriv"
    let uid: uid_t
    let gid: gid_t

    /// Looks the user up; `nil` when it is nobody else.
    init?(named name: String?) throws(SystemError) {
        guard let name, !name.isEmpty else { return nil }
        var entry = passwd()
        var found: UnsafeMutablePointer<passwd>?
        var buffer = [CChar](repeating: 0, count: 16_384)
        let code = getpwnam_r(name, &entry, &buffer, buffer.count, &found)
        guard code == 0, found != nil else {
            throw SystemError(
                "run as", name, code: code == 0 ? EINVAL : code, hint: "no such user")
        }
        (uid, gid) = (entry.pw_uid, entry.pw_gid)
        if uid == geteuid() { return nil }
        guard geteuid() == 0 else { throw SystemError("run as", name, code: EPERM) }
    }

    func wrapping(_ arguments: [String]) -> [String] {
        [
            Self.changer, "--reuid", "\(uid)", "--regid", "\(gid)", "--init-groups",
            "--no-new-privs", "--",
        ] + arguments
    }

    func own(_ directory: String, _ output: Int32, _ error: Int32) throws(SystemError) {
        guard lchown(directory, uid, gid) == 0 else {
            throw SystemError("give away", directory, code: errno)
        }
        for descriptor in [output, error] where descriptor >= 0 {
            guard fchown(descriptor, uid, gid) == 0 else {
                throw SystemError("give away", directory, code: errno)
            }
        }
    }
}
