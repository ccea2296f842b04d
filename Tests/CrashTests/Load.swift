import ClusterProbe
import Foundation
import ProcessProbe
import Proffer
import Testing

/// Many short tasks in one cluster, and what has to hold of all of them afterwards.
final class Load {
    let bench: CrashBench
    let count: Int
    private let started: String

    /// Prepares `count` tasks.
    init(_ bench: CrashBench, _ count: Int) {
        self.bench = bench
        self.count = count
        started = bench.cluster.directory.file("started")
    }

    /// Starts the framework; each task writes its id down.
    func start(_ environment: [String: String] = [:]) throws -> Program {
        try bench.startFramework(
            tasks: count, command: "echo $PROFFER_TASK_ID >> \(started)", cpus: 500,
            environment: environment)
    }

    private var read: UInt64 = 0
    private var over: Set<String> = []

    /// How many tasks have ended; reads what was written since it was last asked.
    func ended() -> Int {
        guard let file = FileHandle(forReadingAtPath: bench.journal) else { return over.count }
        try? file.seek(toOffset: read)
        let new = (try? file.readToEnd()) ?? Data()
        guard let last = new.lastIndex(of: UInt8(ascii: "\n")) else { return over.count }
        read += UInt64(last + 1 - new.startIndex)
        for line in String(decoding: new[...last], as: UTF8.self).split(separator: "\n") {
            if let end = Self.end(line.split(separator: " ").map(String.init)) {
                over.insert(end.task)
            }
        }
        return over.count
    }

    private static func end(_ words: [String]) -> (task: String, state: String)? {
        guard words.count == 4, words[0] == "update",
            ["TASK_FINISHED", "TASK_FAILED", "TASK_KILLED", "TASK_GONE"].contains(words[3])
        else { return nil }
        return (words[1], words[3])
    }

    /// The ends of each task, as the framework was told.
    func outcomes() -> [String: [String]] {
        var found: [String: [String]] = [:]
        for end in bench.entries().compactMap(Self.end) {
            found[end.task, default: []].append(end.state)
        }
        return found
    }

    /// Waits for the end of every task, and checks what has to hold whatever has happened; with
    /// `mayFail` tasks may have died with their executor.
    func check(mayFail: Bool = false, _ context: String = "") async throws {
        // However many there are, and however slow the machine: it is given up when none ends.
        var last = -1
        while last < count {
            let before = last
            last = try await eventually("the next end of \(count) tasks, \(context)") {
                let now = ended()
                return now > before ? now : nil
            }
        }
        try await bench.wholeAgain(mayBegin: true)
        let outcomes = outcomes()
        let runs = Dictionary(
            grouping: (TextFile.read(started) ?? "").split(separator: "\n").map(String.init)
        ) { $0 }
        for (task, ends) in outcomes.sorted(by: { $0.key < $1.key }) {
            let starts = runs[task]?.count ?? 0
            #expect(ends.count == 1, "\(context): \(task) ended as \(ends)")
            #expect(starts <= 1, "\(context): \(task) was started \(starts) times")
            if !mayFail || ends == ["TASK_FINISHED"] {
                #expect(starts == 1, "\(context): \(task) was not started and is \(ends)")
                #expect(ends == ["TASK_FINISHED"], "\(context): \(task) is \(ends)")
            }
        }
        try checkUpdates(context)
    }

    /// Nothing was lost, and nothing handed out again but what a crash of the framework had left
    /// without its acknowledgement.
    private func checkUpdates(_ context: String) throws {
        var run = 0
        var keptIn: [String: Int] = [:]
        for words in bench.entries() {
            switch words.first {
            case "started": run += 1
            case "update":
                #expect(keptIn[words[2]] == nil, "\(context): \(words) was kept twice")
                keptIn[words[2]] = run
            case "again":
                let kept = try #require(keptIn[words[2]])
                #expect(kept < run, "\(context): \(words) was handed out again in one run")
            case "vanished": Issue.record("\(context): \(words)")
            default: break
            }
        }
    }
}
