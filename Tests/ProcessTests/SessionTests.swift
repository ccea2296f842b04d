import ClusterProbe
import Foundation
import Glibc
import Proffer
import ProfferRuntime
import Testing

/// `proffer exec` against an agent, with and without a terminal.
@Suite("Programs beside tasks", .serialized, .timeLimit(.minutes(5)))
struct SessionTests {
    private func withTask(
        _ further: [String] = [], _ body: (ProcessCluster, Probe) async throws -> Void
    ) async throws {
        try await withProcesses { cluster in
            _ = try await cluster.startMaster()
            _ = try await cluster.startAgent(
                0, ["--operator-token-file", cluster.data("master") + "/operator.token"] + further)
            try cluster.writeContext()
            let probe = try cluster.probe()
            try await probe.run("t", "exec sleep 1000")
            try await eventually("the task at the master") {
                try await get("\(cluster.master.http)/v1/tasks").body.contains("TASK_RUNNING")
            }
            try await body(cluster, probe)
            await probe.stop(teardown: true)
        }
    }

    @Test("a program has the task's environment and directory, and its exit code is told")
    func plain() async throws {
        try await withTask { cluster, _ in
            let program = try await cluster.proffer(
                "exec", "t", "--", "sh", "-c", "echo $PROFFER_TASK_ID; ls; echo oops >&2; exit 7")
            #expect(program.code == 7)
            let lines = program.output.split(separator: "\n")
            #expect(lines.contains("t"), "\(program.output)")
            #expect(lines.contains("stdout"), "\(program.output)")
            #expect(lines.contains("oops"), "\(program.output)")
            let signalled = try await cluster.proffer(
                "exec", "t", "--", "sh", "-c", "kill -9 $$")
            #expect(signalled.code == 137)
            let missing = try await cluster.proffer("exec", "t", "--", "no-such-program")
            #expect(missing.code != 0)
            #expect(missing.output.contains("no-such-program"), "\(missing.output)")
            let log = TextFile.read(cluster.directory.file("agent-0.log")) ?? ""
            #expect(log.contains("a program is run in a task"))
            #expect(!log.contains("PROFFER_TASK_ID"))
        }
    }

    @Test("much output comes whole, and none is lost at the end")
    func much() async throws {
        try await withTask { cluster, _ in
            let program = try await cluster.proffer(
                "exec", "t", "--", "sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x; echo end")
            #expect(program.code == 0)
            #expect(program.output.hasSuffix("end\n"))
            #expect(program.output.utf8.count == 3_000_004)
        }
    }

    @Test("what writes on after a program has ended is not waited for, and silence is no end")
    func writers() async throws {
        try await withTask { cluster, _ in
            let left = try await cluster.proffer(
                "exec", "t", "--", "sh", "-c", "yes & sleep 0.1; exit 3")
            #expect(left.code == 3)
            let closed = try await cluster.proffer(
                "exec", "t", "--", "sh", "-c", "echo said; exec >&- 2>&-; sleep 0.5; exit 4")
            #expect(closed.code == 4)
            #expect(closed.output == "said\n")
        }
    }

    @Test(
        "a terminal is one: it has a size and hands lines on",
        .enabled(if: access("/usr/bin/script", X_OK) == 0, "needs script"))
    func terminal() async throws {
        try await withTask { cluster, _ in
            // `script` gives the command a terminal, whose input is a file.
            let order = "stty size; tty; read line; echo got $line; exit 5"
            let inner = "\(Program.folder.path)/proffer exec t -- sh -c '\(order)'"
            let (input, gate) = (cluster.data("input"), cluster.data("gate"))
            try TextFile.write("hello\n", to: input)
            try TextFile.write(
                "stty rows 33 cols 77\n\(inner)\n", to: cluster.data("inner.sh"))
            let program = try cluster.start(
                "/bin/sh",
                [
                    "-c",
                    "(cat \(input); while [ ! -e \(gate) ]; do sleep 0.1; done)"
                        + " | script -qec 'sh \(cluster.data("inner.sh"))' /dev/null",
                ],
                environment: [
                    "TERM": "xterm", "PROFFER_CONTEXT": cluster.data("context.json"),
                ], log: "terminal")
            try await eventually("the answer; there is \(program.output)") {
                program.output.contains("got hello")
            }
            #expect(program.output.contains("33 77"), "\(program.output)")
            #expect(program.output.contains("/dev/pts/"), "\(program.output)")
            try TextFile.write("", to: gate)
            #expect(try await program.exitCode() == 5)
        }
    }

    @Test("the program goes with the one who asked for it")
    func abandoned() async throws {
        try await withTask { cluster, _ in
            let marker = cluster.data("started")
            let program = try cluster.start(
                "proffer",
                [
                    "exec", "t", "--", "sh", "-c",
                    "echo $$ >\(marker).new; mv \(marker).new \(marker); exec sleep 1000",
                ], environment: ["PROFFER_CONTEXT": cluster.data("context.json")],
                log: "abandoned")
            let pid: Int = try await eventually("the program; there is \(program.output)") {
                TextFile.read(marker).flatMap { Int($0.filter { $0 != "\n" }) }
            }
            try await program.crash()
            try await eventually("the end of the program") {
                kill(Int32(pid), 0) != 0
            }
        }
    }

    @Test("without the token nothing is run, and without the flag nobody may")
    func refused() async throws {
        try await withTask { cluster, probe in
            let endpoints = cluster.data("agent-0") + "/endpoints.json"
            let text = TextFile.read(endpoints) ?? ""
            let http = try JSONDecoder().decode(Endpoints.self, from: Data(text.utf8)).http
            let id = try #require(probe.history.subscriptions.last)
            let path = "\(http)/v1/sessions/\(id)/t?arg=true"
            #expect(try await post(path, token: nil) == 401)
            #expect(try await post(path, token: "wrong") == 401)
            let token = TextFile.read(cluster.data("master") + "/operator.token") ?? ""
            let good = token.filter { $0 != "\n" }
            #expect(try await post("\(http)/v1/sessions/\(id)/t", token: good) == 400)
            #expect(try await post("\(http)/v1/sessions/\(id)/no?arg=true", token: good) == 404)
        }
        try await withProcesses { cluster in
            _ = try await cluster.startMaster()
            _ = try await cluster.startAgent()
            try cluster.writeContext()
            let probe = try cluster.probe()
            try await probe.run("t", "exec sleep 1000")
            let program = try await cluster.proffer("exec", "t", "--", "true")
            #expect(program.code != 0)
            #expect(program.output.contains("--operator-token-file"), "\(program.output)")
            await probe.stop(teardown: true)
        }
    }
}
