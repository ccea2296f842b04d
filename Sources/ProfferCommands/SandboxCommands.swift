internal import ArgumentParser
internal import Foundation
internal import Glibc
internal import ProfferAPI

/// The sandbox of a task, at the agent that has it.
struct SandboxClient {
    /// The agent.
    let client: Client
    /// The sandbox there.
    let path: String

    /// Finds the agent of a task.
    ///
    /// - Throws: ``CommandProblem`` when the master does not know it.
    init(of task: TaskObject, _ master: Client) async throws {
        let agents = try await master.get("/v1/agents", as: ObjectList<AgentObject>.self)
        guard let agent = agents.items.first(where: { $0.id == task.agent }) else {
            throw CommandProblem(
                .notFound, "the agent of task '\(task.id)' is not known",
                because: "the task never ran, or its agent was removed",
                try: "look at the task's message with 'proffer ps --all'")
        }
        client = Client(base: "http://\(agent.name):\(agent.port)")
        path = "/v1/sandboxes/\(percentEncoded(task.framework))/\(percentEncoded(task.id))"
    }

    /// The files of one directory, the sandbox itself when its path is empty; they are named from
    /// the top of the sandbox.
    func list(_ directory: String, depth: Int = 1) async throws -> ObjectList<FileObject> {
        let query = "?depth=\(depth)&path=\(percentEncoded(directory))"
        let answer = try await client.send(.get, path + query)
        if answer.number("X-Truncated") != nil {
            throw CommandProblem(
                .failed, "there are too many files in '\(directory)'",
                because: "a list has at most 10000", try: "name a directory below it")
        }
        return try APICoding.decode(ObjectList<FileObject>.self, from: answer.body)
    }

    /// Where a file is to be had.
    func address(_ file: String) -> String {
        let steps = file.split(separator: "/", omittingEmptySubsequences: false)
        return path + "/" + steps.map { percentEncoded($0) }.joined(separator: "/")
    }
}

struct FilesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "files", abstract: "List the files of a task.",
        discussion: "They are there while the task runs and for some days after its end.")

    @OptionGroup
    var cluster: ClusterOptions

    @Argument(help: "The task: its id, a unique beginning of it, or its name.")
    var task: String

    @Argument(help: "A directory of its sandbox (default: all of it).")
    var path = ""

    @Flag(name: [.short, .long], help: "Also what is in its directories.")
    var recursive = false

    func run() async throws {
        let client = try cluster.client()
        let sandbox = try await SandboxClient(of: try await findTask(task, client), client)
        let files = try await sandbox.list(path, depth: recursive ? 17 : 1)
        try show(files, cluster.output, header: ["NAME", "KIND", "BYTES", "CHANGED"]) { file in
            [file.name, file.state, String(file.sizeBytes), file.modified]
        }
    }
}

struct CopyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cp", abstract: "Copy files of a task to this machine.",
        discussion: """
            A directory is copied with all that is in it; links, pipes and the like are left out. \
            Like 'cp', it copies into LOCAL when that is a directory. A file that is there already \
            is replaced when all of the new one has come.
            """)

    @OptionGroup
    var cluster: ClusterOptions

    @Argument(
        help: ArgumentHelp(
            "The task and the path in its sandbox; 'web:' is all of it.", valueName: "task:path"))
    var source: String

    @Argument(help: "The file or directory to make.")
    var local: String

    func validate() throws { _ = try parts() }

    private func parts() throws -> (task: String, path: String) {
        guard let colon = source.lastIndex(of: ":"), colon > source.startIndex else {
            throw ValidationError("'\(source)' is not TASK:PATH")
        }
        let steps = source[source.index(after: colon)...].split(separator: "/")
        return (String(source[..<colon]), steps.joined(separator: "/"))
    }

    func run() async throws {
        let (task, path) = try parts()
        let client = try cluster.client()
        let found = try await findTask(task, client)
        let sandbox = try await SandboxClient(of: found, client)
        let name = path.split(separator: "/").last.map(String.init) ?? found.id
        let target = isDirectory(local) ? local + "/" + (try LocalName.checked(name)) : local
        var copier = SandboxCopier(sandbox: sandbox)
        if let files = try await sandbox.directory(path) {
            try await copier.copyDirectory(path, files, to: target)
        } else {
            try await copier.copyFile(path, to: target)
        }
        note("copied \(copier.files) files, \(copier.bytes) bytes to \(target)")
    }
}

extension SandboxClient {
    /// The files of a directory; `nil` when it is none.
    fileprivate func directory(_ path: String) async throws -> [FileObject]? {
        do {
            return try await list(path).items
        } catch let problem as CommandProblem
            where !path.isEmpty && (problem.code == .refused || problem.code == .notFound)
        {
            return nil
        }
    }
}

private func isDirectory(_ path: String) -> Bool {
    var isDirectory: ObjCBool = false
    return FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory)
        && isDirectory.boolValue
}

/// Names that a server gives and files here get.
enum LocalName {
    /// The name, if a file can have it and it leads nowhere else.
    ///
    /// - Throws: ``CommandProblem`` otherwise.
    static func checked(_ name: String) throws -> String {
        guard !name.isEmpty, name != ".", name != "..", !name.utf8.contains(0x2F),
            !name.utf8.contains(0)
        else {
            throw CommandProblem(
                .refused, "no file here can be called '\(name)'",
                because: "the name would lead somewhere else", try: "name another target")
        }
        return name
    }
}

/// Copies files of a sandbox to this machine.
struct SandboxCopier {
    let sandbox: SandboxClient
    private(set) var files = 0
    private(set) var bytes: Int64 = 0

    init(sandbox: SandboxClient) { self.sandbox = sandbox }

    /// Copies a directory and all that is in it.
    mutating func copyDirectory(
        _ path: String, _ content: [FileObject], to target: String
    ) async throws {
        var waiting = [(path: path, content: content, target: target)]
        while let next = waiting.popLast() {
            try makeDirectory(next.target)
            for file in next.content {
                let prefix = next.path.isEmpty ? "" : next.path + "/"
                guard file.name.hasPrefix(prefix) else { continue }
                let name = try LocalName.checked(String(file.name.dropFirst(prefix.count)))
                let place = next.target + "/" + name
                switch file.state {
                case "directory":
                    let content = try await sandbox.list(file.name).items
                    waiting.append((file.name, content, place))
                case "file": try await copyFile(file.name, to: place)
                default: note("left out \(file.name), which is no file and no directory")
                }
            }
        }
    }

    /// Copies one file; what has its name here is replaced at the end.
    mutating func copyFile(_ path: String, to target: String) async throws {
        let part = target + ".part-\(getpid())"
        let descriptor = open(part, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw failed(part) }
        defer {
            close(descriptor)
            unlink(part)
        }
        var count: Int64 = 0
        try await sandbox.client.download(sandbox.address(path) + "?download=true") { data in
            var left = data[...]
            while !left.isEmpty {
                let written = left.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
                if written < 0, errno == EINTR { continue }
                guard written > 0 else { throw failed(part) }
                left = left.dropFirst(written)
            }
            count += Int64(data.count)
        }
        guard rename(part, target) == 0 else { throw failed(target) }
        files += 1
        bytes += count
    }

    private func makeDirectory(_ path: String) throws {
        if mkdir(path, 0o777) == 0 || errno == EEXIST && isDirectory(path) { return }
        throw failed(path)
    }
}

private func failed(_ path: String) -> CommandProblem {
    CommandProblem(
        .failed, "\(path) cannot be written", because: String(cString: strerror(errno)),
        try: "name another target, or make room")
}
