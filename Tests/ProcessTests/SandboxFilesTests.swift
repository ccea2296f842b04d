import ClusterProbe
import Foundation
import Proffer
import ProfferRuntime
import Testing

/// Files of tasks, as an operator sees them, and as they go.
@Suite("Files of tasks", .serialized, .timeLimit(.minutes(5)))
struct SandboxFilesTests {
    private func text(_ path: String) -> String? {
        try? String(contentsOfFile: path, encoding: .utf8)
    }

    @Test("a task's files are listed, shown and copied, and every look is in the agent's log")
    func look() async throws {
        try await withProcesses { cluster in
            _ = try await cluster.startMaster()
            let agent = try await cluster.startAgent()
            try cluster.writeContext()
            let probe = try cluster.probe()
            try await probe.run(
                "t",
                "mkdir -p out/deep; echo one > out/a; echo two > out/deep/b; ln -s /etc out/etc; "
                    + "echo said; echo wrong >&2; exec sleep 600")
            try await eventually("the output") {
                try await cluster.proffer("logs", "t").output.contains("said")
            }
            #expect(try await cluster.proffer("logs", "t", "--stderr").output == "wrong\n")
            let list = try await cluster.proffer("files", "t", "out")
            #expect(list.code == 0, "\(list.output)")
            for word in ["out/a", "out/deep", "out/etc", "link"] {
                #expect(list.output.contains(word), "\(list.output)")
            }
            #expect(!list.output.contains("out/deep/b"))
            let target = cluster.data("copy")
            let copy = try await cluster.proffer("cp", "t:out", target)
            #expect(copy.code == 0, "\(copy.output)")
            #expect(text(target + "/a") == "one\n")
            #expect(text(target + "/deep/b") == "two\n")
            #expect(!FileManager.default.fileExists(atPath: target + "/etc"))
            let file = try await cluster.proffer("cp", "t:stdout", target)
            #expect(file.code == 0, "\(file.output)")
            #expect(text(target + "/stdout") == "said\n")
            for path in ["t:out/etc/passwd", "t:../t/stdout", "t:none"] {
                let refused = try await cluster.proffer("cp", path, cluster.data("refused"))
                #expect(refused.code == 3 || refused.code == 4, "\(refused.output)")
                #expect(!FileManager.default.fileExists(atPath: cluster.data("refused")))
            }
            #expect(agent.output.contains("a sandbox was looked into"))
            #expect(agent.output.contains("path=out/deep/b"))
            #expect(agent.output.contains("action=download"))
            await probe.stop(teardown: true)
        }
    }

    @Test("output is rotated as the agent was told, while who follows it misses nothing")
    func rotation() async throws {
        try await withProcesses { cluster in
            _ = try await cluster.startMaster()
            _ = try await cluster.startAgent(
                0,
                [
                    "--task-output", "1", "--task-output-files", "3",
                ])
            try cluster.writeContext()
            let probe = try cluster.probe()
            let status = try await probe.run(
                "t",
                "while [ ! -e go ]; do sleep 0.05; done; i=0; while [ $i -lt 12 ]; do "
                    + "head -c 300000 /dev/zero | tr '\\0' x; echo; i=$((i+1)); sleep 0.4; done; "
                    + "exec sleep 600")
            let framework = try await probe.subscribed()
            let sandbox = cluster.data("agent-0/work") + "/sandboxes/\(framework)/t"
            let follower = try cluster.start(
                "proffer", ["logs", "-f", "t"],
                environment: ["PROFFER_CONTEXT": cluster.data("context.json")], log: "follower")
            #expect(FileManager.default.createFile(atPath: sandbox + "/go", contents: nil))
            try await eventually("the rotation") {
                FileManager.default.fileExists(atPath: sandbox + "/stdout.2")
            }
            try await eventually("all of the output") {
                follower.output.utf8.filter { $0 == 0x78 }.count >= 3_600_000
            }
            #expect(follower.output.utf8.filter { $0 == 0x78 }.count == 3_600_000)
            let files = try FileManager.default.contentsOfDirectory(atPath: sandbox)
            #expect(!files.contains("stdout.3"))
            #expect(ProcessTable.isAlive(try #require(status.containerStatus?.pid)))
            follower.signal(SIGTERM)
            await probe.stop(teardown: true)
        }
    }

    @Test("files are kept after the end of a task, and go when it is time")
    func collection() async throws {
        try await withProcesses { cluster in
            _ = try await cluster.startMaster()
            _ = try await cluster.startAgent(
                0,
                [
                    "--gc-delay", "1ms", "--disk-watch-interval", "100ms",
                ])
            try cluster.writeContext()
            let probe = try cluster.probe()
            try await probe.run("lives", "echo alive; exec sleep 600")
            try await probe.run("ends", "echo done; exec sleep 600")
            let framework = try await probe.subscribed()
            let sandboxes = cluster.data("agent-0/work") + "/sandboxes/\(framework)"
            #expect(FileManager.default.fileExists(atPath: sandboxes + "/ends/stdout"))
            probe.call(.kill("ends", agent: nil, policy: nil))
            try await probe.update("ends", .killed)
            try await eventually("the end of the sandbox") {
                !FileManager.default.fileExists(atPath: sandboxes + "/ends")
            }
            #expect(FileManager.default.fileExists(atPath: sandboxes + "/lives/stdout"))
            let gone = try await cluster.proffer("logs", "ends")
            #expect(gone.code == 3, "\(gone.output)")
            await probe.stop(teardown: true)
        }
    }
}
