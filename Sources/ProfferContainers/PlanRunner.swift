internal import CLinux
internal import CSpawn
internal import Glibc
public import ProfferIsolation
internal import ProfferModel

/// Carries plans out and undoes them, also those of a process that has died meanwhile.
///
/// Before the first step of a plan, what has to be undone is written to a file with the plan's
/// name. The file goes when everything is undone. So whoever finds one after a crash knows what
/// may be there still; undoing something that was never done harms nothing. The file is not forced
/// to the disk: what it tells of does not outlive the kernel either, directories excepted.
public struct PlanRunner: Sendable {
    /// Where the files are; it must exist and be writable for nobody else.
    public let directory: String
    /// How long a program of a plan may take.
    private static let programTimeout: Int32 = 300_000

    /// Makes a runner.
    public init(directory: String) { self.directory = directory }

    private func file(_ name: String) -> String { "\(directory)/\(name).plan" }

    /// Carries a plan out; whatever was done is undone when a step fails.
    ///
    /// - Throws: ``SystemError`` of the first step that failed.
    public func carryOut(_ plan: IsolationPlan) throws(SystemError) {
        if plan.steps.isEmpty { return }
        try record(plan)
        for (index, step) in plan.steps.enumerated() {
            do throws(SystemError) {
                try carryOut(step)
            } catch {
                // The step that failed may have been done in part.
                let done = IsolationPlan(
                    name: plan.name, steps: Array(plan.steps[...index]),
                    confinement: plan.confinement)
                undo(done)
                throw error
            }
        }
    }

    private func record(_ plan: IsolationPlan) throws(SystemError) {
        let path = file(plan.name)
        let flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW
        let descriptor = open(path, flags, 0o600)
        guard descriptor >= 0 else { throw SystemError("make", path, code: errno) }
        defer { close(descriptor) }
        let bytes = Array(UndoStep.text(of: plan.undoing).utf8)
        guard write(descriptor, bytes, bytes.count) == bytes.count else {
            let code = errno
            unlink(path)
            throw SystemError("write to", path, code: code)
        }
    }

    private func carryOut(_ step: IsolationStep) throws(SystemError) {
        switch step {
        case .makeCgroup(let path):
            try Self.check(mkdir(path, 0o755), "make", path)
        case .set(let path, let value, let need):
            do throws(SystemError) {
                try Cgroup.write(value, to: path)
            } catch {
                if need == .required { throw error }
            }
        case .makeDirectory(let path, let mode):
            try Self.check(mkdir(path, mode), "make", path)
            try Self.check(chmod(path, mode), "make", path)
        case .ensureDirectory(let path, let top, let owner):
            let names = path.dropFirst(top.utf8.count).split(separator: "/").map(String.init)
            try Self.ensureDirectories(names, below: top, owner)
        case .ensureVolume(let path, let top, let owner, let isShared):
            try Self.ensureVolume(path, top, owner, isShared: isShared)
        case .linkVolume(let volume, let path, let top):
            try Self.linkVolume(volume, path, top)
        case .makeFile(let path, let contents, let mode):
            try Self.makeFile(path, contents, mode)
        case .makeSecret(let path, let contents, let owner):
            try MemoryFile.make(path, contents, for: owner)
        case .makeLink(let path, let top, let target, let owner):
            try Self.makeLink(path, below: top, to: target, owner)
        case .pinNamespace(let kind, let path):
            let number = kind == .network ? PROFFER_NAMESPACE_NETWORK : PROFFER_NAMESPACE_IPC
            try Self.check(
                proffer_pin_namespace(Int32(number), path), "make a namespace at", path)
        case .mount(let mount):
            try Self.mount(mount)
        case .run(let invocation, _):
            try Self.run(invocation)
        case .promise: break
        case .chain(let calls, let answer):
            let last = try Self.chain(calls)
            if let answer { try Self.makeFile(answer, last?.description ?? "", 0o600) }
        }
    }

    private static func ensureDirectories(
        _ names: [String], below top: String, _ owner: ContainerUser
    ) throws(SystemError) {
        _ = try Sandbox.create(names, below: top)
        for count in names.indices {
            let made = names[...count].joined(separator: "/")
            // Other tasks may write there: what was made may be a link by now.
            let directory = try openBelow(made, top, O_RDONLY | O_DIRECTORY)
            defer { close(directory) }
            try check(fchown(directory, owner.id, owner.group), "give away", made)
        }
    }

    private static func makeLink(
        _ path: String, below top: String, to target: String, _ owner: ContainerUser
    ) throws(SystemError) {
        let names = path.dropFirst(top.utf8.count).split(separator: "/").map(String.init)
        guard let name = names.last else { throw SystemError("link", path, code: EINVAL) }
        try ensureDirectories(names.dropLast(), below: top, owner)
        let place = try openBelow(
            names.dropLast().joined(separator: "/"), top, O_RDONLY | O_DIRECTORY)
        defer { close(place) }
        try check(symlinkat(target, place, name), "link", path)
        let flags = AT_SYMLINK_NOFOLLOW
        try check(fchownat(place, name, owner.id, owner.group, flags), "give away", path)
    }

    private static func chain(_ calls: [Invocation]) throws(SystemError) -> JSON? {
        var answer: JSON?
        for var call in calls {
            if let answer, let input = try? JSON(text: call.input),
                case .object(let members) = input
            {
                call.input = JSON.object(members + [JSON.Member("prevResult", answer)]).description
            }
            let result = try Program.run(call, within: programTimeout)
            guard result.exit?.code == 0 else {
                // A plug-in says on its output what is wrong.
                let said = (try? JSON(text: result.output))?["msg"]?.text
                throw SystemError(
                    "finish", call.arguments.first ?? "", code: ECHILD,
                    hint: said ?? result.problem)
            }
            answer = try? JSON(text: result.output)
        }
        return answer
    }

    private static func check(
        _ result: Int32, _ operation: String, _ path: String
    ) throws(SystemError) {
        if result != 0 { throw SystemError(operation, path, code: errno) }
    }

    private static func makeFile(
        _ path: String, _ contents: String, _ mode: UInt32
    ) throws(SystemError) {
        let flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW
        let descriptor = open(path, flags, mode)
        guard descriptor >= 0 else { throw SystemError("make", path, code: errno) }
        defer { close(descriptor) }
        let bytes = Array(contents.utf8)
        var written = 0
        while written < bytes.count {
            let count = bytes[written...].withUnsafeBytes {
                write(descriptor, $0.baseAddress, $0.count)
            }
            guard count > 0 else { throw SystemError("write to", path, code: errno) }
            written += count
        }
        try check(fchmod(descriptor, mode), "make", path)
    }

    private static func mount(_ mount: MountPoint) throws(SystemError) {
        var flags = 0
        var others: [String] = []
        for option in mount.options {
            switch option {
            case "ro": flags |= LINUX_MOUNT_READ_ONLY
            case "nosuid": flags |= LINUX_MOUNT_NO_SUID
            case "nodev": flags |= LINUX_MOUNT_NO_DEVICES
            case "noexec": flags |= LINUX_MOUNT_NO_EXEC
            default: others.append(option)
            }
        }
        var source = mount.source
        var target = mount.target
        var held: Int32 = -1
        var heldTarget: Int32 = -1
        defer {
            if held >= 0 { close(held) }
            if heldTarget >= 0 { close(heldTarget) }
        }
        if let top = mount.targetBelow {
            let rest = target.dropFirst(top.utf8.count).drop { $0 == "/" }
            heldTarget = try openBelow(String(rest), top, openedPath | O_DIRECTORY)
            target = "/proc/self/fd/\(heldTarget)"
        }
        if let top = mount.below {
            let rest = source.dropFirst(top.utf8.count).drop { $0 == "/" }
            held = try openBelow(String(rest), top, openedPath)
            source = "/proc/self/fd/\(held)"
        }
        let isBind = mount.kind == "bind"
        let first = isBind ? LINUX_MOUNT_BIND : flags
        try check(
            linux_mount(
                source, target, mount.kind, UInt(first),
                others.joined(separator: ",")), "mount", mount.target)
        // The options of a bind mount are taken only when it is there.
        if isBind, flags != 0 {
            flags |= LINUX_MOUNT_BIND | LINUX_MOUNT_AGAIN
            // What was opened is what is below the mount by now.
            if let top = mount.targetBelow {
                let rest = mount.target.dropFirst(top.utf8.count).drop { $0 == "/" }
                close(heldTarget)
                heldTarget = try openBelow(String(rest), top, openedPath | O_DIRECTORY)
                target = "/proc/self/fd/\(heldTarget)"
            }
            try check(
                linux_mount(source, target, mount.kind, UInt(flags), ""),
                "mount", mount.target)
        }
    }

    private static func ensureVolume(
        _ path: String, _ top: String, _ owner: ContainerUser, isShared: Bool
    ) throws(SystemError) {
        let names = path.dropFirst(top.utf8.count).split(separator: "/").map(String.init)
        _ = try Sandbox.create(names, below: top)
        let directory = try openBelow(names.joined(separator: "/"), top, O_RDONLY | O_DIRECTORY)
        defer { close(directory) }
        var status = stat()
        try check(fstat(directory, &status), "look at", path)
        // Whoever has come first to a shared volume keeps it.
        if isShared, status.st_uid != geteuid() { return }
        if status.st_uid == owner.id, status.st_gid == owner.group { return }
        try check(fchown(directory, owner.id, owner.group), "give away", path)
    }

    private static func linkVolume(
        _ target: String, _ path: String, _ top: String
    ) throws(SystemError) {
        let names = path.dropFirst(top.utf8.count).split(separator: "/").map(String.init)
        let above = try Sandbox.create(Array(names.dropLast()), below: top)
        let name = "\(above)/\(names.last ?? "")"
        if symlink(target, name) == 0 { return }
        let code = errno
        var status = stat()
        let isThere =
            code == EEXIST && lstat(name, &status) == 0 && status.st_mode & S_IFMT == S_IFLNK
            && ProcFile.link(name) == target
        if !isThere { throw SystemError("make", path, code: code) }
    }

    /// `O_PATH`: a name for something, be it a directory, a file or a pipe, without opening it.
    private static let openedPath: Int32 = 0o1000_0000

    /// Opens what lies below a directory, through no link; the directory itself for an empty path.
    private static func openBelow(
        _ path: String, _ top: String, _ flags: Int32
    ) throws(SystemError) -> Int32 {
        // The operator's own path: where it leads to is the operator's wish.
        let directory = Glibc.open(top, (path.isEmpty ? flags : openedPath) | O_CLOEXEC)
        guard directory >= 0 else { throw SystemError("open", top, code: errno) }
        if path.isEmpty { return directory }
        defer { close(directory) }
        let found = linux_open_below(directory, path, UInt64(flags | O_CLOEXEC))
        guard found >= 0 else {
            throw SystemError(
                "open", top + "/" + path, code: errno,
                hint: "no link below \(top) is followed")
        }
        return found
    }

    private static func run(_ invocation: Invocation) throws(SystemError) {
        let result = try Program.run(invocation, within: programTimeout)
        guard result.exit?.code == 0 else {
            throw SystemError(
                "finish", invocation.arguments.first ?? "", code: ECHILD,
                hint: result.problem)
        }
    }

    // MARK: Undoing

    /// Undoes a plan.
    ///
    /// - Returns: Whether nothing is left. Otherwise something is in the way still, mostly dying
    ///   processes: undo it again a little later.
    @discardableResult
    public func undo(_ plan: IsolationPlan) -> Bool {
        if plan.steps.isEmpty { return true }
        guard Self.undo(plan.undoing) else { return false }
        unlink(file(plan.name))
        return true
    }

    /// Undoes a plan, waiting for what dies.
    ///
    /// - Parameters:
    ///   - plan: The plan.
    ///   - milliseconds: How long to wait at most.
    /// - Returns: Whether nothing is left.
    @discardableResult
    public func undo(_ plan: IsolationPlan, within milliseconds: Int) -> Bool {
        if plan.steps.isEmpty { return true }
        guard Self.undo(plan.undoing, within: milliseconds) else { return false }
        unlink(file(plan.name))
        return true
    }

    /// The kernel tells nobody when a dying process has left its cgroup or mount, so it is asked
    /// again and again; callers allow for the time.
    private static func undo(_ steps: [UndoStep], within milliseconds: Int) -> Bool {
        for _ in 0...max(1, milliseconds / 5) {
            if undo(steps) { return true }
            usleep(5000)
        }
        return false
    }

    private static func undo(_ steps: [UndoStep]) -> Bool {
        var isDone = true
        for step in steps where !undo(step) { isDone = false }
        return isDone
    }

    private static func undo(_ step: UndoStep) -> Bool {
        switch step {
        case .removeCgroup(let path):
            let group = Cgroup(path)
            // Most groups are empty by then, which removing them finds out at once.
            if group.remove() { return true }
            group.kill()
            return group.remove()
        case .removeDirectory(let path): return FileTree.remove(path)
        case .removeFile(let path): return unlink(path) == 0 || errno == ENOENT
        case .unmount(let path):
            if linux_unmount(path) == 0 { return true }
            return errno == EINVAL || errno == ENOENT
        case .run(let invocation):
            // What it should undo may never have been done, so its failure says nothing.
            _ = try? Program.run(invocation, within: programTimeout)
            return true
        }
    }

    /// The names of the plans that are not undone.
    public func names() -> [String] {
        DirectoryNames.list(directory).filter { $0.hasSuffix(".plan") }
            .map { String($0.dropLast(5)) }
    }

    /// Undoes plans of processes that are no more, waiting for what dies.
    ///
    /// - Parameters:
    ///   - milliseconds: How long to wait for each at most.
    ///   - isOurs: Tells by the name of a plan whether it is to be undone.
    /// - Returns: What could not be undone, each with the reason.
    public func recover(
        within milliseconds: Int = 5000, where isOurs: (String) -> Bool
    ) -> [SystemError] {
        names().filter(isOurs).compactMap { name in
            let path = file(name)
            guard let text = ProcFile.text(path, limit: 1 << 20) else { return nil }
            let steps: [UndoStep]
            do {
                steps = try UndoStep.steps(in: text + (text.isEmpty ? "" : "\n"))
            } catch {
                return SystemError("undo", path, code: EINVAL, hint: "\(error)")
            }
            guard Self.undo(steps, within: milliseconds) else {
                return SystemError("undo", path, code: EBUSY)
            }
            unlink(path)
            return nil
        }
    }
}
