internal import CSpawn
internal import Glibc
public import ProfferIsolation
public import ProfferModel
internal import Synchronization

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
        /// To these descriptors, which stay the caller's.
        case descriptors(output: Int32, error: Int32)
    }

    /// What to execute.
    public var command: CommandInfo
    /// The whole environment; nothing is inherited.
    public var environment: [EnvironmentVariable]
    /// The working directory, which must exist.
    public var directory: String
    /// Where it writes.
    public var output: Output
    /// A descriptor to read from, which stays the caller's; `nil` is `/dev/null`.
    public var input: Int32?
    /// Whether `input` is a terminal that becomes that of its session.
    public var hasTerminal = false
    /// Whom it becomes, in place of the user that the command names; its directory and files stay
    /// whose they are.
    public var identity: ContainerUser?
    /// What it does to itself before it becomes the program.
    public var confinement: Confinement

    /// Sets every field; what is left out has the default shown.
    public init(
        command: CommandInfo,
        environment: [EnvironmentVariable],
        directory: String,
        output: Output = .files,
        input: Int32? = nil,
        confinement: Confinement = Confinement()
    ) {
        self.command = command
        self.environment = environment
        self.directory = directory
        self.output = output
        self.input = input
        self.confinement = confinement
    }
}

/// Starts processes, each as the leader of a session and process group of its own.
///
/// A process inherits nothing: standard input is `/dev/null`, every descriptor above 2 is closed,
/// no signal is blocked or ignored, and the environment is exactly the one given. Files are opened
/// here and not in the process, so that a full disk is told from a missing program.
/// The cost of a start does not grow with the memory of the caller.
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
        let arguments = try argumentVector(of: plan)
        let user =
            if let identity = plan.identity {
                User(identity)
            } else {
                try User(named: plan.command.user)
            }
        var files = Descriptors()
        let (output, error) = try openOutput(of: plan, &files)
        if let user, plan.identity == nil { try user.own(plan.directory, output, error) }
        let nothing = output < 0 || plan.input == nil ? try files.open("/dev/null", O_RDWR) : -1

        var request = proffer_spawn_request()
        request.input = plan.input ?? nothing
        request.takes_terminal = plan.hasTerminal ? 1 : 0
        request.output = output < 0 ? nothing : output
        request.error = output < 0 ? nothing : error
        request.no_new_privileges =
            plan.confinement.keepsUnprivileged || user != nil ? 1 : 0
        if let score = plan.confinement.oomScore {
            request.has_oom_score = 1
            request.oom_score = Int32(clamping: score)
        }
        if let user {
            request.changes_user = 1
            request.user = user.uid
            request.group = user.gid
        }
        let now = ProcessIdentity.presentTicks
        let pid = try spawn(arguments, plan, user?.groups ?? [], &files, &request)
        if !isExact { return ProcessIdentity(pid: pid, startTicks: now) }
        // The process is a zombie at worst until it is reaped, so there is something to read.
        return ProcessIdentity(pid: pid) ?? ProcessIdentity(pid: pid, startTicks: 0)
    }

    private static func spawn(
        _ arguments: [String], _ plan: ProcessPlan, _ groups: [gid_t],
        _ files: inout Descriptors, _ request: inout proffer_spawn_request, mayBeBorn: Bool = true
    ) throws(SystemError) -> Int32 {
        var argumentPointers = arguments.map { strdup($0) } + [nil]
        var variablePointers =
            plan.environment.map { strdup("\($0.name)=\($0.value)") } + [nil]
        let program = search(arguments[0], in: plan.environment)
        let programPointer = strdup(program)
        let directoryPointer = strdup(plan.directory)
        defer {
            for pointer in argumentPointers { free(pointer) }
            for pointer in variablePointers { free(pointer) }
            free(programPointer)
            free(directoryPointer)
        }
        let cgroups = try openCgroups(plan, &files, &request, mayBeBorn)
        var namespaces: [Int32] = []
        for path in plan.confinement.namespaces {
            namespaces.append(try files.open(path, O_RDONLY))
        }
        let limits = plan.confinement.limits.map { limit in
            proffer_limit(
                resource: limit.kind.systemNumber, soft: limit.soft ?? .max,
                hard: limit.hard ?? .max)
        }
        request.program = UnsafePointer(programPointer)
        request.directory = UnsafePointer(directoryPointer)
        let (pid, code) = argumentPointers.withUnsafeMutableBufferPointer { arguments in
            variablePointers.withUnsafeMutableBufferPointer { variables in
                cgroups.withUnsafeBufferPointer { cgroups in
                    namespaces.withUnsafeBufferPointer { namespaces in
                        limits.withUnsafeBufferPointer { limits in
                            groups.withUnsafeBufferPointer { groups in
                                request.arguments = UnsafePointer(arguments.baseAddress)
                                request.environment = UnsafePointer(variables.baseAddress)
                                request.cgroups = cgroups.baseAddress
                                request.cgroup_count = cgroups.count
                                request.namespaces = namespaces.baseAddress
                                request.namespace_count = namespaces.count
                                request.limits = limits.baseAddress
                                request.limit_count = limits.count
                                request.groups = groups.baseAddress
                                request.group_count = groups.count
                                let pid = proffer_spawn(&request)
                                return (pid, errno)
                            }
                        }
                    }
                }
            }
        }
        if pid > 0 { return pid }
        if request.has_birthplace != 0, request.failed_step == Int32(PROFFER_SPAWN_BIRTH),
            code != EAGAIN, code != ENOMEM
        {
            // Older kernels, and filters of system calls, do not know how to.
            if [ENOSYS, EINVAL, E2BIG, EPERM].contains(code) {
                birthIsImpossible.store(true, ordering: .relaxed)
            }
            request.has_birthplace = 0
            return try spawn(arguments, plan, groups, &files, &request, mayBeBorn: false)
        }
        throw failure(arguments[0], program, plan, request, code)
    }

    /// Opens the files by which the process enters its cgroups, and the one that it is born in.
    private static func openCgroups(
        _ plan: ProcessPlan, _ files: inout Descriptors, _ request: inout proffer_spawn_request,
        _ mayBeBorn: Bool
    ) throws(SystemError) -> [Int32] {
        var paths = plan.confinement.cgroups
        if mayBeBorn, let path = birthplace(among: paths) {
            request.birthplace = try files.open(path, birthplaceFlags)
            request.has_birthplace = 1
            paths.removeAll { $0.hasSuffix(CgroupPlanner.unifiedEntry) }
        }
        var cgroups: [Int32] = []
        for path in paths { cgroups.append(try files.open(path, O_WRONLY)) }
        return cgroups
    }

    /// Whether processes cannot be started in a cgroup, and have to be moved there.
    private static let birthIsImpossible = Atomic(false)
    /// `O_PATH | O_DIRECTORY`.
    private static let birthplaceFlags = 0o1000_0000 | O_DIRECTORY

    /// The cgroup of the unified tree among those to be entered, if a process can be born in it.
    private static func birthplace(among entries: [String]) -> String? {
        if birthIsImpossible.load(ordering: .relaxed) { return nil }
        let suffix = CgroupPlanner.unifiedEntry
        // A file of this name elsewhere is no cgroup, and is to be written to.
        return entries.last { $0.hasSuffix(suffix) }.map { String($0.dropLast(suffix.utf8.count)) }
    }

    private static func failure(
        _ name: String, _ program: String, _ plan: ProcessPlan,
        _ request: proffer_spawn_request, _ code: Int32
    ) -> SystemError {
        let confinement = plan.confinement
        let item = Int(request.failed_item)
        switch request.failed_step {
        case Int32(PROFFER_SPAWN_DIRECTORY):
            return SystemError("enter", plan.directory, code: code)
        case Int32(PROFFER_SPAWN_CGROUP):
            // Without the one it was born in.
            let list = confinement.cgroups.filter {
                request.has_birthplace == 0 || !$0.hasSuffix(CgroupPlanner.unifiedEntry)
            }
            return SystemError("enter", list.indices.contains(item) ? list[item] : "", code: code)
        case Int32(PROFFER_SPAWN_NAMESPACE):
            let list = confinement.namespaces
            return SystemError("enter", list.indices.contains(item) ? list[item] : "", code: code)
        case Int32(PROFFER_SPAWN_LIMIT):
            let list = confinement.limits
            let kind = list.indices.contains(item) ? list[item].kind.name : ""
            return SystemError("set the limit", kind, code: code)
        case Int32(PROFFER_SPAWN_USER):
            return SystemError("run as", plan.command.user ?? "", code: code)
        default:
            let hint = code == ENOENT && access(program, F_OK) == 0 ? "its interpreter" : nil
            return SystemError("start", name, code: code, hint: hint)
        }
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

    private static func openOutput(
        of plan: ProcessPlan, _ files: inout Descriptors
    ) throws(SystemError) -> (Int32, Int32) {
        switch plan.output {
        case .discarded: return (-1, -1)
        case .descriptors(let output, let error): return (output, error)
        case .files:
            let output = try openFile(plan.directory + "/stdout", &files)
            return (output, try openFile(plan.directory + "/stderr", &files))
        case .log(let name):
            let log = try openFile(plan.directory + "/" + name, &files)
            return (log, log)
        }
    }

    private static func openFile(
        _ path: String, _ files: inout Descriptors
    ) throws(SystemError) -> Int32 {
        let flags = O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK
        let descriptor = try files.open(path, flags)
        // Only against a pipe in the file's place; the process must not inherit it.
        _ = fcntl(descriptor, F_SETFL, O_APPEND)
        return descriptor
    }
}

/// Descriptors that are closed together.
private struct Descriptors: ~Copyable {
    private var open: [Int32] = []

    init() {}

    deinit { for descriptor in open { close(descriptor) } }

    /// Opens a file; its number is above 2, where the new process has its own.
    mutating func open(_ path: String, _ flags: Int32) throws(SystemError) -> Int32 {
        var descriptor = Glibc.open(path, flags | O_CLOEXEC, 0o600)
        if (0...2).contains(descriptor) {
            let higher = fcntl(descriptor, F_DUPFD_CLOEXEC, 3)
            close(descriptor)
            descriptor = higher
        }
        guard descriptor >= 0 else { throw SystemError("open", path, code: errno) }
        open.append(descriptor)
        return descriptor
    }
}

/// Another user than the caller's.
private struct User {
    let uid: uid_t
    let gid: gid_t
    let groups: [gid_t]

    /// Looks the user up; `nil` when it is nobody else.
    init?(named name: String?) throws(SystemError) {
        guard let name, !name.isEmpty else { return nil }
        let user = try NodeUsers.find(name)
        if user.id == geteuid() { return nil }
        guard geteuid() == 0 else { throw SystemError("run as", name, code: EPERM) }
        (uid, gid, groups) = (user.id, user.group, user.groups)
    }

    init?(_ user: ContainerUser) {
        if user.id == geteuid() { return nil }
        (uid, gid, groups) = (user.id, user.group, user.groups)
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

extension ProcessLimit.Kind {
    /// The number that the kernel of Linux has for it.
    var systemNumber: Int32 {
        switch self {
        case .addressSpace: 9
        case .core: 4
        case .cpu: 0
        case .data: 2
        case .fileSize: 1
        case .locks: 10
        case .lockedMemory: 8
        case .messageQueues: 12
        case .nice: 13
        case .descriptors: 7
        case .processes: 6
        case .residentSize: 5
        case .realTimePriority: 14
        case .realTime: 15
        case .pendingSignals: 11
        case .stack: 3
        }
    }
}
