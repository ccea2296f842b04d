import Foundation
import GRDB
import ServicePolicy
import Testing

@testable import service_scheduler

@Suite("State on disk")
struct StateTests {
    private let scratch: Scratch

    init() throws { scratch = try Scratch() }

    private var file: String { scratch.path + "/state.sqlite" }

    @Test("what was kept is there after the file is opened again")
    func reopen() throws {
        let app = StoreChange(kind: "app", key: "/a", value: "{}")
        do {
            let store = try ServiceStore(path: file)
            try store.apply([app, StoreChange(kind: "app", key: "/b", value: "{}")])
            try store.apply([StoreChange(kind: "app", key: "/b", value: nil)])
            try store.keep(frameworkID: "f-1")
        }
        let store = try ServiceStore(path: file)
        #expect(try store.load() == [app])
        #expect(try store.frameworkID() == "f-1")
    }

    @Test("a file of a newer version is left alone")
    func newer() throws {
        do {
            _ = try ServiceStore(path: file)
            let database = try DatabaseQueue(path: file)
            try database.write { try $0.execute(sql: "PRAGMA user_version = 99") }
        }
        let problem = #expect(throws: Problem.self) { try ServiceStore(path: file) }
        #expect(problem?.because.contains("99") == true)
    }

    @Test("a data directory belongs to one process at a time")
    func lock() throws {
        let folder = try DataFolder(scratch.path + "/data")
        let problem = #expect(throws: Problem.self) { try DataFolder(folder.path) }
        #expect(problem?.code == .dataDirectory)
    }

    @Test("where the scheduler serves is said to its owner only, and withdrawn")
    func endpoints() throws {
        let folder = try DataFolder(scratch.path + "/data")
        try folder.publish(http: "http://127.0.0.1:1")
        let path = folder.file("endpoints.json")
        let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions]
        #expect(mode as? Int == 0o600)
        struct Endpoints: Decodable {
            var pid: Int32
            var http: String
        }
        let data = try Data(contentsOf: URL(fileURLWithPath: path))
        let endpoints = try JSONDecoder().decode(Endpoints.self, from: data)
        #expect(endpoints.pid == getpid())
        #expect(endpoints.http == "http://127.0.0.1:1")
        folder.withdraw()
        #expect(!FileManager.default.fileExists(atPath: path))
    }
}
