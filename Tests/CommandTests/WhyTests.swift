import ArgumentParser
import Foundation
import ProfferAPI
import Testing

@testable import ProfferCommands

@Suite("Funnel")
struct FunnelTests {
    private static let hosts = [
        "a-1": "node-01", "a-2": "node-02", "a-5": "node-05", "a-7": "node-07",
    ]

    private func explanation(_ json: String) throws -> ExplanationObject {
        try APICoding.decode(ExplanationObject.self, from: Data(json.utf8))
    }

    private func lines(
        _ json: String, role: String = "web/api", wanted: [String: String] = ["mem": "2048"]
    ) throws -> [String] {
        Funnel(try explanation(json), role: role, wanted: wanted, hosts: Self.hosts).lines
    }

    static let waiting = #"""
        {"kind": "explanation", "agents": 12, "fitting": 0, "share": 0.125, "role_share": 0.25,
         "ahead": 3, "suggestions": ["ask for 1.6 GiB", "free memory on node-05"],
         "steps": [
           {"check": "agent_active", "title": "active", "removed": 1, "alone": 1,
            "examples": ["a-7"]},
           {"check": "reservations", "title": "reservations of other roles", "removed": 4,
            "alone": 4, "examples": ["a-1", "a-2", "a-3", "a-4"]},
           {"check": "constraints", "title": "constraints", "removed": 3, "alone": 5,
            "examples": []},
           {"check": "resources", "title": "free resources", "removed": 4, "alone": 4,
            "examples": ["a-5"]}],
         "nearest": [{"agent": "a-5", "hostname": "node-05", "failed": ["resources"],
                      "missing": {"mem": "409.6"}}],
         "quota": [
           {"name": "cpus", "consumed": "6", "guarantee": "2", "limit": "8"},
           {"name": "mem", "consumed": "1024", "guarantee": "0", "limit": "2048"}]}
        """#

    @Test("the lines of an explanation stand in columns")
    func columns() throws {
        #expect(
            try lines(Self.waiting) == [
                "  agents known                    12",
                "  - active                         1   node-07",
                "  - reservations of other roles    4   node-01, node-02, a-3, ...",
                "  - constraints                    3   alone would remove 5",
                "  - free resources                 4   best free: 1.6 GiB on node-05",
                "  = fits                           0",
                "  quota of web                    ok   6.0 of 8.0 cpus, 2.0 guaranteed",
                "                                full   1024.0 of 2048.0 mem",
                "  share                        12.5%   3 ahead", "next: ask for 1.6 GiB",
                "  or: free memory on node-05",
            ])
    }

    @Test("an obstacle is said even when every agent would do")
    func obstacle() throws {
        let text = try lines(
            #"""
            {"kind": "explanation", "agents": 1, "fitting": 1, "share": 0, "role_share": 0,
             "ahead": 0, "suggestions": [], "steps": [], "nearest": [], "quota": [],
             "obstacle": "the role is suppressed\u001b[2J"}
            """#)
        #expect(text.last == "  but: the role is suppressed [2J")
    }

    @Test(
        "how long something waits is said in the two largest units",
        arguments: [
            (0, "0s"), (59.9, "59s"), (60, "1m00s"), (252, "4m12s"), (3600, "1h00m"),
            (11_100, "3h05m"), (187_200, "2d04h"), (-5, "0s"), (1e300, "11574d01h"),
        ])
    func spans(seconds: Double, text: String) {
        #expect(span(seconds) == text)
    }
}

@Suite("Command line: why, quota and weight")
struct WhyCommandLineTests {
    private func exitCode(_ arguments: [String]) -> Int32? {
        do {
            _ = try ProfferCommand.parseAsRoot(arguments)
            return nil
        } catch {
            return ProfferCommand.exitCode(for: error).rawValue
        }
    }

    @Test(
        "mistakes in the use end with 64",
        arguments: [
            ["why", "task"], ["why", "demand", "d"], ["why", "framework"],
            ["why", "shape", "--count", "0"], ["why", "shape", "--count", "2", "--gang", "3"],
            ["why", "shape", "--cpus", "-1"], ["why", "shape", "--cpus", "nan"],
            ["why", "shape", "--ports", "-1"], ["why", "shape", "--constraint", "rack"],
            ["why", "shape", "--constraint", "rack:is:x"],
            ["why", "shape", "--constraint", "rack:equals"],
            ["why", "shape", "--constraint", ":exists"], ["quota", "set", "web"],
            ["quota", "set", "web", "--limit", "cpus"],
            ["quota", "set", "web", "--limit", "cpus:x"],
            ["quota", "set", "web", "--limit", "cpus:-1"],
            ["quota", "set", "web", "--limit", "cpus:1", "--limit", "cpus:2"], ["quota", "clear"],
            ["weight", "set", "web"], ["weight", "set", "web", "0"],
            ["weight", "set", "web", "nan"],
        ])
    func usage(arguments: [String]) {
        #expect(exitCode(arguments) == 64)
    }

    @Test("a shape has what the options say")
    func shape() throws {
        let command = try #require(
            try ProfferCommand.parseAsRoot([
                "why", "shape", "--role", "web", "--cpus", "0.5", "--mem", "512", "--ports", "2",
                "--count", "6", "--gang", "3", "--priority", "7", "--constraint",
                "rack:matches:r:1", "--constraint", "@zone:exists",
            ]) as? WhyShapeCommand)
        let shape = try command.shape
        #expect(shape.role == "web")
        #expect(shape.resources == ["cpus": "0.5", "mem": "512.0"])
        #expect((shape.ports, shape.count, shape.gang, shape.priority) == (2, 6, 3, 7))
        #expect(
            shape.constraints == [
                [
                    ConstraintObject(field: "rack", rule: "matches", value: "r:1"),
                    ConstraintObject(field: "@zone", rule: "exists", value: nil),
                ]
            ])
    }
}
