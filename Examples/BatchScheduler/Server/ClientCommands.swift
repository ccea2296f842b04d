internal import ArgumentParser
internal import Foundation

/// Options of every command that asks a server.
struct ServerOptions: ParsableArguments {
    @Option(help: "Address of the batch scheduler (default: $PROFFER_BATCH, or the cluster file).")
    var server: String?

    @Option(help: "Cluster file (default: $PROFFER_CONTEXT or ~/.proffer/context.json).")
    var context: String?

    @Option(name: [.customShort("o"), .long], help: "Format of the result: table or json.")
    var output: OutputFormat = .table

    func client() throws -> BatchClient { try BatchClient(server: server, context: context) }
}

struct SubmitCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "submit", abstract: "Check a job file and hand the job in.",
        discussion: """
            Prints the id of the job. With --watch it waits for the end and its exit
            code is the job's: 0 finished, n when a task failed with exit code n (128
            + n for signal n, 124 for the time limit, 1 when there is none), 40
            cancelled. Interrupting it leaves the job alone. Other exit codes: 6 the
            server cannot be reached, 65 the file is not valid.
            """)

    @Argument(help: "The job file, YAML or JSON; '-' is standard input.")
    var file: String

    @Flag(help: "Wait for the end of the job and show its progress.")
    var watch = false

    @OptionGroup
    var server: ServerOptions

    func run() async throws {
        try await reportingProblems {
            let text = try read()
            do throws(JobFileProblems) {
                _ = try JobFile.parse(text)
            } catch {
                note(error.text(file: file))
                throw ExitCode(Problem.Code.invalidFile.rawValue)
            }
            let client = try server.client()
            let job = try await client.submit(text)
            if watch {
                note("\(job.id) submitted; 'batch-scheduler show \(job.id) --watch' watches too")
                let end = try await Watch(client: client, job: job.id).run()
                try show(end)
                try Watch.end(with: end)
            } else {
                try show(job)
            }
        }
    }

    private func show(_ job: JobObject) throws {
        switch server.output {
        case .table: say(job.id)
        case .json: say(String(decoding: try JSON.encode(job, pretty: true), as: UTF8.self))
        }
    }

    private func read() throws -> String {
        // Not FileManager, which reads regular files only: a job may come out of a pipe.
        let handle: FileHandle? =
            file == "-" ? FileHandle.standardInput : FileHandle(forReadingAtPath: file)
        guard let handle else {
            throw Problem(
                .invalidFile, "the file '\(file)' cannot be read",
                because: String(cString: strerror(errno)), try: "look at its name and mode")
        }
        guard let data = try? handle.readToEnd() ?? Data() else {
            throw Problem(
                .invalidFile, "the file '\(file)' cannot be read",
                because: "it can be opened but not read, as a directory",
                try: "name a file, or '-' for standard input")
        }
        guard let text = String(validating: data, as: UTF8.self) else {
            throw Problem(
                .invalidFile, "the file '\(file)' is not text", because: "it is not UTF-8",
                try: "save it as UTF-8")
        }
        return text
    }
}

struct ListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the jobs, newest first.")

    @Option(help: "Only jobs in this state: queued, running, finished, failed or cancelled.")
    var state: String?

    @Option(help: "The most jobs to list.")
    var limit = 100

    @OptionGroup
    var server: ServerOptions

    func run() async throws {
        try await reportingProblems {
            var path = "/v1/jobs?limit=\(limit)"
            if let state { path += "&state=\(BatchClient.escape(state))" }
            let list = try await server.client().get(path, as: ListObject<JobObject>.self)
            switch server.output {
            case .json: say(String(decoding: try JSON.encode(list, pretty: true), as: UTF8.self))
            case .table:
                var table = Table(["ID", "STATE", "DONE", "RUNNING", "CREATED", "MESSAGE"])
                for job in list.items {
                    table.add([
                        job.id, job.state, "\(job.done)/\(job.total)", "\(job.counts.running)",
                        job.created, job.message ?? "",
                    ])
                }
                say(table.text)
                if list.next != nil { note("there are more; raise --limit") }
            }
        }
    }
}

struct ShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show a job: its state, tasks and what went wrong.",
        discussion: "With --watch it waits for the end, as 'submit --watch' does.")

    @Argument(help: "The job's id, or its name for the newest of that name.")
    var job: String

    @Flag(help: "Wait for the end of the job; the exit code is the job's.")
    var watch = false

    @OptionGroup
    var server: ServerOptions

    func run() async throws {
        try await reportingProblems {
            let client = try server.client()
            let object =
                watch
                ? try await Watch(client: client, job: job).run() : try await client.show(job)
            switch server.output {
            case .json:
                say(String(decoding: try JSON.encode(object, pretty: true), as: UTF8.self))
            case .table: try await describe(object, client)
            }
            if watch { try Watch.end(with: object) }
        }
    }

    private func describe(_ job: JobObject, _ client: BatchClient) async throws {
        say("\(job.id): \(job.state), \(job.done) of \(job.total) done, \(job.retries) retries")
        if let message = job.message { say("  \(message)") }
        say("  created \(job.created)")
        if let started = job.started { say("  started \(started)") }
        if let ended = job.ended { say("  ended   \(ended), exit code \(job.exitCode ?? 0)") }
        var table = Table([
            "TASK", "STATE", "WAITING", "READY", "RUNNING", "FINISHED", "FAILED", "CANCELLED",
            "DEPENDS",
        ])
        for task in job.tasks ?? [] {
            let counts = task.counts
            table.add([
                task.name, task.state, "\(counts.waiting)", "\(counts.ready)",
                "\(counts.running)", "\(counts.finished)", "\(counts.failed)",
                "\(counts.cancelled)", task.depends.joined(separator: ","),
            ])
        }
        say(table.text)
        guard job.counts.failed > 0 else { return }
        let path = "/v1/jobs/\(BatchClient.escape(job.id))/tasks?state=FAILED&limit=10"
        let failed = try await client.get(path, as: ListObject<InstanceObject>.self)
        for instance in failed.items {
            say(
                "failed: \(instance.task)[\(instance.index)] on \(instance.hostname ?? "?"), "
                    + "attempt \(instance.attempts): \(instance.message ?? "")")
            say(
                "  logs: batch-scheduler logs \(job.id) --task \(instance.task) "
                    + "--index \(instance.index) --stream stderr")
        }
    }
}

struct LogsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logs", abstract: "Print what an instance of a task wrote.")

    @Argument(help: "The job's id, or its name for the newest of that name.")
    var job: String

    @Option(help: "The task; the first one when it is left out.")
    var task: String?

    @Option(help: "The index in the array, from 0.")
    var index = 0

    @Option(help: "stdout or stderr.")
    var stream = "stdout"

    @Flag(name: [.short, .long], help: "Go on until the instance has ended.")
    var follow = false

    @OptionGroup
    var server: ServerOptions

    func validate() throws {
        guard stream == "stdout" || stream == "stderr" else {
            throw ValidationError("--stream is stdout or stderr.")
        }
        guard index >= 0 else { throw ValidationError("--index is at least 0.") }
    }

    func run() async throws {
        try await reportingProblems {
            let client = try server.client()
            let base = "/v1/jobs/\(BatchClient.escape(job))"
            var path = "\(base)/logs?index=\(index)&stream=\(stream)"
            if let task { path += "&task=\(BatchClient.escape(task))" }
            var offset: Int64 = 0
            while true {
                // Asked before reading: what was written before the end is read after it.
                let isOver = follow ? try await client.show(job).isFinal : true
                while true {
                    let part = try await client.log(path, offset: offset)
                    say(part.bytes)
                    offset = part.next
                    if part.bytes.isEmpty { break }
                }
                if isOver { return }
                try await Task.sleep(for: .seconds(1))
            }
        }
    }
}

struct CancelCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cancel",
        abstract: "End a job: nothing more is started, what runs is killed.")

    @Argument(help: "The job's id, or its name for the newest of that name.")
    var job: String

    @OptionGroup
    var server: ServerOptions

    func run() async throws {
        try await reportingProblems {
            let object = try await server.client().cancel(job)
            switch server.output {
            case .json:
                say(String(decoding: try JSON.encode(object, pretty: true), as: UTF8.self))
            case .table:
                let rest = object.counts.running
                say(
                    object.isFinal
                        ? "\(object.id) \(object.state)"
                        : "\(object.id) is being cancelled; \(rest) instances are being killed")
            }
        }
    }
}
