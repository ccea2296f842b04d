internal import BatchPolicy
internal import Foundation
internal import Proffer

/// The JSON rules of the API: snake case keys, sorted.
enum JSON {
    static func encode(_ value: some Encodable, pretty: Bool = false) throws -> Data {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        if pretty { encoder.outputFormatting.insert(.prettyPrinted) }
        return try encoder.encode(value)
    }

    static func decode<Value: Decodable>(_ type: Value.Type, from data: Data) throws -> Value {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(type, from: data)
    }
}

/// A page of a list; `next` is the `after` of the page that follows.
struct ListObject<Item: Codable & Sendable>: Codable, Sendable {
    var items: [Item]
    var next: String?
}

/// A refusal.
struct ProblemObject: Codable, Sendable, Error {
    var status: Int
    var title: String
    var detail: String
    var advice: String?
    /// What is wrong with a job file, place by place.
    var errors: [JobFileProblem]?
}

struct CountsObject: Codable, Hashable, Sendable {
    var waiting: Int
    var ready: Int
    var running: Int
    var finished: Int
    var failed: Int
    var cancelled: Int

    init(_ counts: InstanceCounts) {
        waiting = counts.waiting
        ready = counts.ready
        running = counts.running
        finished = counts.finished
        failed = counts.failed
        cancelled = counts.cancelled
    }
}

struct JobObject: Codable, Sendable {
    var kind = "job"
    var id: String
    var name: String
    var state: String
    var priority: Int
    var created: String
    var started: String?
    var ended: String?
    var counts: CountsObject
    var total: Int
    var done: Int
    var retries: Int
    var tasks: [TaskObject]?
    var exitCode: Int?
    var message: String?

    init(_ job: JobView) {
        id = job.id
        name = job.name
        state = job.state.rawValue
        priority = job.priority
        created = timestamp(job.created)
        started = job.started.map(timestamp)
        ended = job.ended.map(timestamp)
        counts = CountsObject(job.counts)
        total = job.counts.total
        done = job.counts.done
        retries = job.retries
        tasks = job.tasks.isEmpty ? nil : job.tasks.map(TaskObject.init)
        exitCode = job.exitCode
        message = job.message
    }

    var isFinal: Bool { JobState(rawValue: state)?.isFinal ?? false }
}

struct TaskObject: Codable, Sendable {
    var name: String
    var state: String
    var counts: CountsObject
    var total: Int
    var done: Int
    var depends: [String]
    var command: String
    /// As decimal text, so that nothing is lost.
    var cpus: String
    var mem: String
    var disk: String
    var concurrency: Int?
    var gang: Int?
    /// The demand for which it waits, which 'proffer why' explains.
    var demand: String?
    var outputs: [String]

    init(_ task: TaskView) {
        name = task.name
        state = task.state.rawValue
        counts = CountsObject(task.counts)
        total = task.counts.total
        done = task.counts.done
        depends = task.specification.depends
        command = task.specification.command
        cpus = task.specification.demand.cpus.description
        mem = task.specification.demand.mem.description
        disk = task.specification.demand.disk.description
        concurrency = task.specification.concurrency
        gang = task.specification.gang
        demand = task.demand
        outputs = task.specification.outputs
    }
}

struct InstanceObject: Codable, Sendable {
    var kind = "instance"
    var job: String
    var task: String
    var index: Int
    var state: String
    var attempts: Int
    var exitCode: Int?
    var hostname: String?
    var agentId: String?
    var taskId: String?
    var message: String?
    var started: String?
    var ended: String?

    init(_ instance: InstanceView) {
        job = instance.job
        task = instance.task
        index = instance.index
        state = instance.state.rawValue
        attempts = instance.attempts
        exitCode = instance.exitCode
        hostname = instance.place?.hostname
        agentId = instance.place?.agent.value
        taskId = instance.taskID?.value
        message = instance.message
        started = instance.started.map(timestamp)
        ended = instance.ended.map(timestamp)
    }
}

/// A file that was collected.
struct OutputObject: Codable, Sendable {
    var kind = "output"
    var task: String
    var index: Int
    var name: String
    var sizeBytes: Int64
}

/// RFC 3339 in UTC, to the millisecond.
func timestamp(_ time: WallTime) -> String {
    Date(timeIntervalSince1970: Double(time.nanosecondsSince1970) / 1e9)
        .formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
}

func time(of text: String?) -> Date? {
    text.flatMap {
        try? Date($0, strategy: Date.ISO8601FormatStyle(includingFractionalSeconds: true))
    }
}
