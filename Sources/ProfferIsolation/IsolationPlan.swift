public import ProfferModel

/// Whether a setting must be made.
public enum Need: Hashable, Sendable {
    /// Without it the plan fails.
    case required
    /// Where the kernel does not have it, the plan goes on.
    case wanted
}

/// One thing to do before a task starts.
public enum IsolationStep: Hashable, Sendable {
    /// Makes a cgroup below one that exists; undone by killing what is in it and removing it.
    case makeCgroup(String)
    /// Writes a value to a file of the kernel; nothing to undo, it goes with the cgroup.
    case set(String, to: String, Need)
    /// Makes a directory with this mode below one that exists; undone by removing it with all that
    /// is in it, unless something is mounted there.
    case makeDirectory(String, mode: UInt32)
    /// Makes a directory, and those above it that are missing, below one that exists, through no
    /// link, and gives them to a user; it stays.
    case ensureDirectory(String, below: String, owner: ContainerUser)
    /// Makes the directory of a persistent volume below one that exists, through no link, and gives
    /// it to a user; those above it that are missing are nobody else's. One that several tasks may
    /// have is given to the first of them only. It stays.
    case ensureVolume(String, below: String, owner: ContainerUser, isShared: Bool)
    /// Makes a link to a volume in a directory that exists, where nothing else is yet; it stays.
    case linkVolume(String, at: String, below: String)
    /// Writes a file anew, with this mode; undone by removing it.
    case makeFile(String, contents: String, mode: UInt32)
    /// Writes what nobody but this user may read (mode 0400) into a file in memory: on any other
    /// file system it fails. Undone by removing it.
    case makeSecret(String, SecretContents, owner: ContainerUser)
    /// Makes a symbolic link below a directory, and the directories above it that are missing,
    /// through no link, and gives them to a user; it stays.
    case makeLink(String, below: String, to: String, owner: ContainerUser)
    /// Makes a network or IPC namespace and keeps it at an existing file; undone by unmounting.
    case pinNamespace(NamespaceKind, at: String)
    /// Mounts something; undone by unmounting.
    case mount(MountPoint)
    /// Runs a program that must exit with 0; undone by running another one.
    case run(Invocation, undo: Invocation?)
    /// Does nothing now; what a later step will have done is undone by this.
    case promise(UndoStep)
    /// Runs programs that read and write JSON, each of which finds the answer of the one before as
    /// `prevResult`; the last answer is written to a file.
    case chain([Invocation], answer: String?)
}

/// A kind of namespace that tasks can share.
public enum NamespaceKind: String, Hashable, Sendable {
    /// Addresses, routes and ports.
    case network = "net"
    /// Shared memory and message queues.
    case ipc = "ipc"
}

/// A mount to make.
public struct MountPoint: Hashable, Sendable {
    /// What is mounted: a path for a bind mount, otherwise a name.
    public var source: String
    /// Where.
    public var target: String
    /// The kind of file system; `bind` for a part of another one.
    public var kind: String
    /// Options as `mount` has them: `ro`, `nosuid`, `nodev`, `noexec`, others for the file system.
    public var options: [String]
    /// Of a bind mount, the part of the source that nobody but the operator can change.
    ///
    /// Below it no link is followed. `nil` when that is all of it.
    public var below: String?
    /// The part of the target that nobody but the operator and a task that does not run yet can
    /// change, with the same meaning.
    public var targetBelow: String?

    /// Sets every field.
    public init(
        source: String, target: String, kind: String, options: [String] = [],
        below: String? = nil, targetBelow: String? = nil
    ) {
        self.source = source
        self.target = target
        self.kind = kind
        self.options = options
        self.below = below
        self.targetBelow = targetBelow
    }
}

/// A program to run to its end.
public struct Invocation: Hashable, Sendable {
    /// The program and what it is told.
    public var arguments: [String]
    /// Its whole environment.
    public var environment: [EnvironmentVariable]
    /// What it reads from standard input.
    public var input: String

    /// Sets every field; what is left out has the default shown.
    public init(
        _ arguments: [String], environment: [EnvironmentVariable] = [], input: String = ""
    ) {
        self.arguments = arguments
        self.environment = environment
        self.input = input
    }
}

/// What a process does to itself before it becomes the task's program.
public struct Confinement: Hashable, Sendable {
    /// The files `tasks`, or `cgroup.procs` in the unified tree, by which it enters its cgroups.
    public var cgroups: [String] = []
    /// The files of namespaces that it enters.
    public var namespaces: [String] = []
    /// What the kernel counts for the process and its children.
    public var limits: [ProcessLimit] = []
    /// Whether no program that it executes can give it privileges.
    public var keepsUnprivileged = false
    /// From -1000 (never) to 1000 (first): who dies when the node has no memory left.
    public var oomScore: Int?

    /// Nothing at all.
    public init() {}
}

/// All that is made for one task before it starts and unmade after it has ended.
public struct IsolationPlan: Hashable, Sendable {
    /// Names it among the plans of one agent; a file name.
    public var name: String
    /// What to do, in this order; undone in the opposite one.
    public var steps: [IsolationStep]
    /// What the first process does to itself.
    public var confinement: Confinement

    /// Sets every field; what is left out has the default shown.
    public init(
        name: String, steps: [IsolationStep] = [], confinement: Confinement = Confinement()
    ) {
        self.name = name
        self.steps = steps
        self.confinement = confinement
    }

    /// Whether programs are run to undo it, which takes long.
    public var runsPrograms: Bool {
        steps.contains { step in
            if case .run = step.undo { true } else { false }
        }
    }

    /// What has to be done after the task, in this order.
    public var undoing: [UndoStep] { steps.reversed().compactMap(\.undo) }
}

/// One thing to do after a task has ended; doing it twice is the same as doing it once.
public enum UndoStep: Hashable, Sendable {
    /// Kills what is in a cgroup and removes it.
    case removeCgroup(String)
    /// Removes a directory and everything in it that is on the same file system.
    case removeDirectory(String)
    /// Removes a file.
    case removeFile(String)
    /// Unmounts whatever is mounted here.
    case unmount(String)
    /// Runs a program; a failure is borne.
    case run(Invocation)
}

extension IsolationStep {
    /// How the step is undone; `nil` when there is nothing to undo.
    public var undo: UndoStep? {
        switch self {
        case .makeCgroup(let path): .removeCgroup(path)
        case .set, .ensureDirectory, .ensureVolume, .linkVolume, .makeLink: nil
        case .makeSecret(let path, _, _): .removeFile(path)
        case .makeDirectory(let path, _): .removeDirectory(path)
        case .makeFile(let path, _, _): .removeFile(path)
        case .pinNamespace(_, let path): .unmount(path)
        case .mount(let mount): .unmount(mount.target)
        case .run(_, let undo): undo.map { .run($0) }
        case .promise(let undo): undo
        case .chain(_, let answer): answer.map { .removeFile($0) }
        }
    }
}

// MARK: As text

/// A record of what has to be undone cannot be read.
public struct UndoTextProblem: Error, Hashable, CustomStringConvertible {
    /// The number of the line, from 1.
    public var line: Int

    /// Names the line.
    public init(line: Int) { self.line = line }

    /// The sentence about it.
    public var description: String { "line \(line) is no step that can be undone" }
}

extension UndoStep {
    /// The steps as text, one a line, to be kept until they are done.
    public static func text(of steps: [UndoStep]) -> String {
        steps.map { $0.fields.map(escaped).joined(separator: "\t") + "\n" }.joined()
    }

    /// Reads what ``text(of:)`` has written; every line must be whole.
    public static func steps(in text: String) throws(UndoTextProblem) -> [UndoStep] {
        var steps: [UndoStep] = []
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        for (index, line) in lines.enumerated() {
            if index == lines.count - 1, line.isEmpty { break }
            let parts = line.split(separator: "\t", omittingEmptySubsequences: false)
            let fields = parts.compactMap(unescaped)
            guard index < lines.count - 1, fields.count == parts.count, let step = Self(fields)
            else { throw UndoTextProblem(line: index + 1) }
            steps.append(step)
        }
        return steps
    }

    private var fields: [String] {
        switch self {
        case .removeCgroup(let path): ["cgroup", path]
        case .removeDirectory(let path): ["directory", path]
        case .removeFile(let path): ["file", path]
        case .unmount(let path): ["unmount", path]
        case .run(let program):
            ["run", program.input, "\(program.environment.count)"]
                + program.environment.flatMap { [$0.name, $0.value] } + program.arguments
        }
    }

    private init?(_ fields: [String]) {
        guard let kind = fields.first, fields.count >= 2 else { return nil }
        let isPath = fields.count == 2 && fields[1].hasPrefix("/")
        switch kind {
        case "cgroup" where isPath: self = .removeCgroup(fields[1])
        case "directory" where isPath: self = .removeDirectory(fields[1])
        case "file" where isPath: self = .removeFile(fields[1])
        case "unmount" where isPath: self = .unmount(fields[1])
        case "run":
            guard fields.count > 3, let count = Int(fields[2]), (0...10_000).contains(count),
                fields.count > 3 + 2 * count
            else { return nil }
            let environment = (0..<count).map { index in
                EnvironmentVariable(name: fields[3 + 2 * index], value: fields[4 + 2 * index])
            }
            self = .run(
                Invocation(
                    Array(fields[(3 + 2 * count)...]), environment: environment,
                    input: fields[1]))
        default: return nil
        }
    }

    private static func escaped(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "%": result += "%25"
            case "\t": result += "%09"
            case "\n": result += "%0A"
            case "\r": result += "%0D"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    private static func unescaped(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            if byte != 0x25 {
                bytes.append(byte)
                continue
            }
            guard rest.count >= 2,
                let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
            else { return nil }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        return String(validating: bytes, as: UTF8.self)
    }
}
