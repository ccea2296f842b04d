import ClusterProbe
import Foundation
import ProfferRuntime
import Testing

@Suite("A registry has one owner", .serialized, .timeLimit(.minutes(5)))
struct SecondOwnerTests {
    @Test("a second master with the same data directory is refused, and the first goes on")
    func sameDirectory() async throws {
        try await withProcesses { cluster in
            let first = try await cluster.startMaster()
            let second = try cluster.start(
                "proffer-master",
                [
                    "--data-dir", cluster.data("master"), "--http-port", "0",
                    "--framework-port", "0", "--agent-port", "0",
                ], log: "second")
            #expect(try await second.exitCode() == 100)
            #expect(second.output.contains("process \(first.pid) has it"))
            #expect(try await get("\(cluster.master.http)/health").status == 200)
        }
    }

    @Test("a second master with the same registry, but another data directory, is refused")
    func sameRegistry() async throws {
        try await withProcesses { cluster in
            let place = "sqlite:" + cluster.directory.file("shared.sqlite")
            func arguments(_ name: String) -> [String] {
                [
                    "--data-dir", cluster.data(name), "--registry", place, "--http-port", "0",
                    "--framework-port", "0", "--agent-port", "0",
                ]
            }
            let first = try cluster.start("proffer-master", arguments("one"), log: "one")
            try await cluster.endpoints("one", of: first)
            let second = try cluster.start("proffer-master", arguments("two"), log: "two")
            #expect(try await second.exitCode() == 100)
            #expect(second.output.contains("process \(first.pid) has it"))
            #expect(first.isRunning)
        }
    }

    @Test("a master on a copy of another's data directory is refused until the copy is adopted")
    func copiedDirectory() async throws {
        try await withProcesses { cluster in
            let master = try await cluster.startMaster()
            master.signal(SIGTERM)
            #expect(try await master.exitCode() == 0)
            try FileManager.default.copyItem(
                atPath: cluster.data("master"), toPath: cluster.data("copy"))
            let arguments = [
                "--data-dir", cluster.data("copy"), "--http-port", "0", "--framework-port", "0",
                "--agent-port", "0",
            ]
            let copy = try cluster.start("proffer-master", arguments, log: "copy")
            #expect(try await copy.exitCode() == 100)
            #expect(copy.output.contains("proffer registry adopt"))
            let tool = try cluster.start(
                "proffer",
                [
                    "registry", "adopt", "--registry",
                    "sqlite:" + cluster.data("copy") + "/registry.sqlite",
                ], log: "tool")
            #expect(try await tool.exitCode() == 0)
            let adopted = try cluster.start("proffer-master", arguments, log: "adopted")
            try await cluster.endpoints("copy", of: adopted)
            // The original is as good as it was.
            _ = try await cluster.startMaster()
        }
    }
}
