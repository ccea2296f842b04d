import BatchPolicy
import Foundation
import Proffer
import Testing

@testable import batch_scheduler

/// A fresh directory that is removed afterwards.
func withScratch(_ body: (String) throws -> Void) throws {
    let path = FileManager.default.temporaryDirectory.appendingPathComponent(
        "batch-\(UUID().uuidString)"
    ).path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: path) }
    try body(path)
}

@Suite("Store")
struct StoreTests {
    private let job = JobRecord(
        sequence: 4, id: "j-4",
        specification: JobSpecification(
            name: "j",
            tasks: [
                TaskSpecification(
                    name: "t", command: "x", count: 3, concurrency: 2,
                    demand: Demand(cpus: Milli(thousandths: 1), mem: Milli(2), disk: Milli(3)),
                    priority: 7, depends: ["u"], environment: [.init("A", "b")],
                    retry: RetryRule(limit: 2, exitCodes: [1]), timeLimit: .milliseconds(1500),
                    outputs: ["o"]),
                TaskSpecification(name: "u", command: "y"),
            ]), state: .running, ending: .failed, created: WallTime(nanosecondsSince1970: 5),
        started: WallTime(nanosecondsSince1970: 6), retries: 3, exitCode: 9, message: "why")

    private func instance(_ index: Int, _ phase: InstanceRecord.Phase) -> InstanceRecord {
        InstanceRecord(
            job: 4, task: 1, index: index, phase: phase, attempts: 2, failures: 1, losses: 1,
            exitCode: 3, message: "m",
            place: Place(framework: "f", agent: AgentID("a\(index)"), hostname: "h", port: 5),
            started: WallTime(nanosecondsSince1970: 7),
            ended: WallTime(nanosecondsSince1970: 8))
    }

    @Test("what was kept is there again, newest version of each, in order")
    func roundTrip() throws {
        try withScratch { path in
            let store = try Store(path + "/db")
            var later = job
            later.state = .failed
            later.ended = WallTime(nanosecondsSince1970: 9)
            try store.commit([
                .job(job), .instance(instance(1, .running)), .instance(instance(0, .running)),
            ])
            try store.commit([.instance(instance(1, .finished)), .job(later)])
            let records = try Store(path + "/db").load()
            #expect(records.jobs == [later])
            #expect(records.instances == [instance(0, .running), instance(1, .finished)])
            #expect(records.lastSequence == 4)
        }
    }

    @Test("a forgotten job is gone with its instances, but its number is not used again")
    func forget() throws {
        try withScratch { path in
            let store = try Store(path + "/db")
            try store.commit([.job(job), .instance(instance(0, .running)), .forget(4)])
            let records = try store.load()
            #expect(records.jobs.isEmpty)
            #expect(records.instances.isEmpty)
            #expect(records.lastSequence == 4)
        }
    }

    @Test("settings are kept")
    func settings() throws {
        try withScratch { path in
            let store = try Store(path + "/db")
            #expect(try store.setting("framework") == nil)
            try store.set("framework", "f-1")
            try store.set("framework", "f-2")
            #expect(try Store(path + "/db").setting("framework") == "f-2")
        }
    }

    @Test("a file that is no database is refused with advice")
    func damaged() throws {
        try withScratch { path in
            try Data("no database, but long enough to look like one".utf8)
                .write(to: URL(fileURLWithPath: path + "/db"))
            #expect(throws: Problem.self) { try Store(path + "/db") }
        }
    }

    @Test("a second scheduler on the same data directory is refused")
    func lock() throws {
        try withScratch { path in
            let first = try DataDirectory(path + "/data")
            #expect(throws: Problem.self) { try DataDirectory(path + "/data") }
            try first.publish(http: "http://127.0.0.1:1")
            let data = try Data(contentsOf: URL(fileURLWithPath: first.file("endpoints.json")))
            let text = String(decoding: data, as: UTF8.self)
            #expect(text == "{\"http\":\"http://127.0.0.1:1\",\"pid\":\(getpid())}")
            let mode =
                try FileManager.default.attributesOfItem(
                    atPath: first.file("endpoints.json"))[.posixPermissions] as? Int
            #expect(mode == 0o600)
            first.unpublish()
            #expect(!FileManager.default.fileExists(atPath: first.file("endpoints.json")))
        }
    }

    @Test("only files below the outputs of a job are served")
    func outputs() throws {
        try withScratch { path in
            let folder = path + "/j-1/t/0/sub"
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true)
            try Data("one".utf8).write(to: URL(fileURLWithPath: folder + "/a.txt"))
            try Data("secret".utf8).write(to: URL(fileURLWithPath: path + "/secret"))
            let outputs = OutputFolder(path: path)
            #expect(outputs.list(job: "j-1").map(\.name) == ["sub/a.txt"])
            #expect(outputs.list(job: "j-1").map(\.sizeBytes) == [3])
            #expect(
                outputs.read(job: "j-1", task: "t", index: 0, file: "sub/a.txt")
                    == Data("one".utf8))
            for file in ["../../../secret", "/etc/passwd", "", "sub/../sub/a.txt", "sub"] {
                #expect(outputs.read(job: "j-1", task: "t", index: 0, file: file) == nil)
            }
            #expect(outputs.read(job: "..", task: "t", index: 0, file: "a") == nil)
        }
    }
}
