internal import BatchPolicy
internal import Proffer
internal import Yams

/// Reads job files: YAML, and so JSON too.
///
/// Every problem of a file is found in one go, unless it is not even YAML.
struct JobFile {
    /// The largest file that is read, in bytes.
    static let sizeLimit = 4 << 20
    /// The most tasks of one job.
    static let taskLimit = 10_000

    var problems: [JobFileProblem] = []
    let repeatedKeys: [String: String]
    /// Of each task, where it begins and where its dependencies are.
    private var taskMarks: [FilePosition] = []
    private var dependencyMarks: [FilePosition] = []

    /// The job that `text` describes.
    static func parse(_ text: String) throws(JobFileProblems) -> JobSpecification {
        guard text.utf8.count <= sizeLimit else {
            throw JobFileProblems([
                JobFileProblem(
                    line: 1, column: 1, what: "the file is too large",
                    because: "a job file may have \(sizeLimit >> 20) MiB",
                    advice: "use an array instead of many tasks, or fetch data in the command")
            ])
        }
        let document = try YAMLDocument(text)
        var file = JobFile(repeatedKeys: document.repeatedKeys)
        let job = file.job(document.root)
        guard let job, file.problems.isEmpty else { throw JobFileProblems(file.problems) }
        return job
    }

    private init(repeatedKeys: [String: String]) { self.repeatedKeys = repeatedKeys }

    // MARK: The job

    private mutating func job(_ node: Node) -> JobSpecification? {
        guard
            let fields = fields(
                node, of: "a job", keys: ["name", "priority", "tasks"], needed: ["name", "tasks"])
        else { return nil }
        let name = fields["name"].flatMap { self.name($0, "the job's name") }
        let priority =
            fields["priority"].flatMap { integer($0, "the priority", -1_000_000...1_000_000) }
            ?? 0
        guard let list = fields["tasks"] else { return nil }
        guard case .sequence(let items) = list, !items.isEmpty else {
            report(
                list, "'tasks' is not a list of tasks",
                because: "a job has at least one task",
                try: "write '- name: ...' and 'command: ...' below 'tasks:'")
            return nil
        }
        guard items.count <= Self.taskLimit else {
            report(
                list, "the job has \(items.count) tasks",
                because: "a job may have \(Self.taskLimit)",
                try: "make an array of tasks that differ by a number only")
            return nil
        }
        let tasks = items.map { item in
            taskMarks.append(item.position)
            dependencyMarks.append(item.position)
            return task(item)
        }
        guard problems.isEmpty, let name else {
            // Dependencies can be judged although other things are wrong.
            checkDependencies(
                JobSpecification(
                    name: "", tasks: tasks.map { $0 ?? TaskSpecification(name: "", command: "") }),
                isPartial: tasks.contains { $0 == nil })
            return nil
        }
        let job = JobSpecification(name: name, priority: priority, tasks: tasks.compactMap { $0 })
        checkDependencies(job, isPartial: false)
        return job
    }

    /// With a task missing, names that seem unknown may only be its.
    private mutating func checkDependencies(_ job: JobSpecification, isPartial: Bool) {
        for problem in job.dependencyProblems {
            switch problem {
            case .repeatedName(let name, let index):
                guard !name.isEmpty else { continue }
                report(
                    taskMarks[index], "two tasks are named '\(name)'",
                    because: "names of tasks are unique in a job", try: "rename one of them")
            case .unknown(let name, let index, let suggestion):
                guard !isPartial else { continue }
                report(
                    dependencyMarks[index], "there is no task '\(name)' to depend on",
                    because: "the names are "
                        + shortList(job.tasks.map(\.name).filter { !$0.isEmpty }),
                    try: suggestion.map { "perhaps '\($0)' was meant" }
                        ?? "use one of those, or add a task of that name")
            case .cycle(let names, let index):
                report(
                    dependencyMarks[index], "the dependencies go round in a circle",
                    because: (names + names.prefix(1)).map { "'\($0)'" }
                        .joined(separator: " waits for "),
                    try: "remove one of these dependencies")
            }
        }
    }

    // MARK: A task

    private static let taskKeys = [
        "name", "command", "array", "gang", "cpus", "mem", "disk", "priority", "env", "retry",
        "time_limit", "outputs", "depends",
    ]

    private mutating func task(_ node: Node) -> TaskSpecification? {
        guard
            let fields = fields(
                node, of: "a task", keys: Self.taskKeys, needed: ["name", "command"])
        else { return nil }
        var task = TaskSpecification(name: "", command: "")
        let name = fields["name"].flatMap { self.name($0, "the task's name") }
        let command = fields["command"].flatMap { self.command($0) }
        if let array = fields["array"] { readArray(array, into: &task) }
        if let node = fields["gang"] { task.gang = gang(node, of: task) }
        readDemand(fields, into: &task)
        task.priority = fields["priority"].flatMap {
            integer($0, "the priority", -1_000_000...1_000_000)
        }
        if let node = fields["depends"] {
            dependencyMarks[dependencyMarks.count - 1] = node.position
            task.depends = texts(node, "'depends'", "names of tasks").map(\.text)
        }
        if let node = fields["env"] { task.environment = environment(node) }
        if let node = fields["retry"] { task.retry = retry(node) }
        if let node = fields["time_limit"] {
            task.timeLimit = duration(node, "the time limit", atLeast: .milliseconds(1))
        }
        if let node = fields["outputs"] { task.outputs = outputs(node) }
        guard let name else { return nil }
        task.name = name
        task.command = command ?? ""
        return task
    }

    private mutating func command(_ node: Node) -> String? {
        guard let text = text(node, "the command") else { return nil }
        if text.isEmpty || text.utf8.count > 65_536 || text.utf8.contains(0) {
            report(
                node, text.isEmpty ? "the command is empty" : "the command is not usable",
                because: "/bin/sh runs it: 1 to 65,536 bytes, none of them zero",
                try: "write a command, or put a long one into a script")
            return nil
        }
        return text
    }

    private mutating func readArray(_ node: Node, into task: inout TaskSpecification) {
        guard
            let fields = fields(
                node, of: "an array", keys: ["count", "concurrency"], needed: ["count"])
        else { return }
        task.count =
            fields["count"].flatMap { integer($0, "the count of the array", 1...1_000_000) } ?? 1
        task.concurrency = fields["concurrency"].flatMap {
            integer($0, "the concurrency", 1...1_000_000)
        }
    }

    private mutating func gang(_ node: Node, of task: TaskSpecification) -> Int? {
        guard let gang = integer(node, "the gang", 1...1000) else { return nil }
        if !task.count.isMultiple(of: gang) {
            report(
                node, "an array of \(task.count) cannot start in gangs of \(gang)",
                because: "every gang is whole, so the count of the array is a multiple of it",
                try: "change the gang or the count of the array")
            return nil
        }
        if let concurrency = task.concurrency, concurrency < gang {
            report(
                node, "a gang of \(gang) cannot run with a concurrency of \(concurrency)",
                because: "all of a gang run at once",
                try: "raise the concurrency to \(gang), or make the gang smaller")
            return nil
        }
        return gang
    }

    private mutating func readDemand(_ fields: Fields, into task: inout TaskSpecification) {
        if let node = fields["cpus"] {
            task.demand.cpus =
                amount(node, "cpus", "cores", Milli(thousandths: 1), Milli(10_000))
                ?? task.demand.cpus
        }
        if let node = fields["mem"] {
            task.demand.mem =
                amount(node, "mem", "mebibytes", Milli(1), Milli(16 << 20)) ?? task.demand.mem
        }
        if let node = fields["disk"] {
            task.demand.disk =
                amount(node, "disk", "mebibytes", .zero, Milli(1 << 30)) ?? task.demand.disk
        }
    }

    private mutating func environment(_ node: Node) -> [TaskSpecification.Variable] {
        guard let entries = entries(node, of: "'env'", example: "{KEY: value}") else { return [] }
        var variables: [TaskSpecification.Variable] = []
        var bytes = 0
        for (key, mark, value) in entries {
            if !Self.isVariable(key) || key.hasPrefix("PROFFER_") {
                report(
                    mark, "'\(key)' cannot be a variable here",
                    because: "names have letters, digits and '_', do not begin with a digit, and "
                        + "those that begin with PROFFER_ are set by the scheduler",
                    try: "choose another name")
            }
            guard let text = text(value, "the value of '\(key)'") else { continue }
            bytes += key.utf8.count + text.utf8.count
            variables.append(TaskSpecification.Variable(key, text))
        }
        if bytes > 65_536 {
            report(
                node, "the environment has \(bytes) bytes",
                because: "all variables of a task may have 65,536 together",
                try: "put large values into a file")
        }
        return variables
    }

    private static func isVariable(_ name: String) -> Bool {
        guard let first = name.utf8.first, !(0x30...0x39).contains(first) else { return false }
        return name.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x5F: true
            case _: false
            }
        }
    }

    private mutating func retry(_ node: Node) -> RetryRule {
        var rule = RetryRule()
        guard
            let fields = fields(
                node, of: "'retry'",
                keys: ["limit", "backoff", "factor", "max_backoff", "exit_codes"],
                needed: ["limit"])
        else { return rule }
        rule.limit = fields["limit"].flatMap { integer($0, "the limit", 0...1000) } ?? 0
        if let node = fields["backoff"] {
            rule.backoff = duration(node, "the back-off", atLeast: .zero) ?? rule.backoff
        }
        if let node = fields["factor"] {
            let factor = amount(node, "the factor", "times", Milli(1), Milli(100))
            rule.factorThousandths = factor.map { Int($0.thousandths) } ?? 2000
        }
        if let node = fields["max_backoff"] {
            rule.longestBackoff =
                duration(node, "the longest back-off", atLeast: .zero) ?? rule.longestBackoff
        }
        if let node = fields["exit_codes"] {
            guard case .sequence(let items) = node, !items.isEmpty else {
                report(
                    node, "'exit_codes' is not a list of numbers",
                    because: "it names the exit codes that are worth a retry",
                    try: "write [1, 75], or leave it out to retry after any failure")
                return rule
            }
            rule.exitCodes = items.compactMap { integer($0, "an exit code", 1...255) }
        }
        return rule
    }

    private mutating func outputs(_ node: Node) -> [String] {
        let paths = texts(node, "'outputs'", "paths of files")
        for path in paths where !OutputPath.isPlain(path.text) {
            report(
                path.mark, "'\(path.text)' cannot be an output",
                because: "an output is a path below the sandbox of the task, without '..'",
                try: "write it relative to the directory in which the command starts")
        }
        if paths.count > 100 {
            report(
                node, "there are \(paths.count) outputs", because: "a task may have 100",
                try: "let the command pack them into one file")
        }
        return paths.map(\.text)
    }
}

/// Which paths below a directory can be trusted to stay there.
enum OutputPath {
    static func isPlain(_ path: String) -> Bool {
        guard !path.isEmpty, path.utf8.count <= 1024,
            path.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F })
        else { return false }
        return path.split(separator: "/", omittingEmptySubsequences: false).allSatisfy {
            !$0.isEmpty && $0 != "." && $0 != ".." && $0.utf8.count <= 255
        }
    }
}

func shortList(_ names: [String]) -> String {
    names.prefix(12).joined(separator: ", ") + (names.count > 12 ? ", ..." : "")
}
