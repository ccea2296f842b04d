import Foundation
import Testing

@testable import ProfferCommands

@Suite("Cluster file")
struct ContextTests {
    private var context: ClusterContext {
        var context = ClusterContext(
            master: ["tcp://127.0.0.1:5060"], masterKey: "key", keyFile: "/k",
            http: "http://127.0.0.1:5050")
        context.services = "http://127.0.0.1:8080"
        return context
    }

    @Test("it reads what it wrote")
    func roundTrip() async throws {
        try await withTemporaryDirectory { directory in
            let path = directory + "/context.json"
            try context.save(path)
            let loaded = try ClusterContext.load(path)
            #expect(loaded.master == ["tcp://127.0.0.1:5060"])
            #expect(loaded.keyFile == "/k")
            #expect(loaded.services == "http://127.0.0.1:8080")
            #expect(loaded.batch == nil)
            #expect(loaded.tokenFile == nil)
        }
    }

    @Test("only its owner can read it, also when it is written again")
    func modes() async throws {
        try await withTemporaryDirectory { directory in
            let path = directory + "/made/context.json"
            try context.save(path)
            try context.save(path)
            #expect(try mode(of: path) == 0o600)
            #expect(try mode(of: directory + "/made") == 0o700)
            let names = try FileManager.default.contentsOfDirectory(atPath: directory + "/made")
            #expect(names == ["context.json"])
        }
    }

    @Test("without a file no cluster is reachable")
    func absent() async throws {
        try await withTemporaryDirectory { directory in
            let problem = #expect(throws: CommandProblem.self) {
                try ClusterContext.load(directory + "/none.json")
            }
            #expect(problem?.code == .unreachable)
        }
    }

    @Test("a file of something else is an invalid configuration")
    func invalid() async throws {
        try await withTemporaryDirectory { directory in
            let path = directory + "/context.json"
            for (text, because) in [
                ("{}", "'master' is missing"),
                (#"{"master": ["a"], "keyFile": "k", "http": "h"}"#, "'masterKey' is missing"),
                (#"{"master": "a"}"#, "'master' is not a list"),
                (#"{"master": ["a", 1]}"#, "'master[1]' is not text"),
                (#"{"master": ["a"], "masterKey": null}"#, "'masterKey' is null"),
                ("[1]", "the whole is not an object"),
            ] {
                try Data(text.utf8).write(to: URL(fileURLWithPath: path))
                let problem = #expect(throws: CommandProblem.self) {
                    try ClusterContext.load(path)
                }
                #expect(problem?.code == .invalidConfiguration)
                #expect(problem?.because == because)
                #expect(problem?.what.contains(path) == true)
                #expect(problem?.advice.contains("proffer dev") == true)
            }
        }
    }

    @Test("a file that is no JSON is told with the line")
    func noJSON() async throws {
        try await withTemporaryDirectory { directory in
            let path = directory + "/context.json"
            try Data("{\n  \"master\": [,\n}".utf8).write(to: URL(fileURLWithPath: path))
            let problem = #expect(throws: CommandProblem.self) { try ClusterContext.load(path) }
            #expect(problem?.because == "it is no JSON at line 2, column 14")
        }
    }

    @Test("a file in place of the directory is told")
    func unwritable() async throws {
        try await withTemporaryDirectory { directory in
            let file = directory + "/file"
            try Data().write(to: URL(fileURLWithPath: file))
            #expect(throws: (any Error).self) { try context.save(file + "/context.json") }
        }
    }
}
