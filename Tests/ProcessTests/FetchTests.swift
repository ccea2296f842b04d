import ClusterProbe
import Foundation
import Proffer
import ProfferRuntime
import Testing

/// Files that are fetched for tasks, in a cluster of processes.
@Suite(
    "Fetching for tasks", .serialized, .timeLimit(.minutes(5)),
    .enabled(
        if: FileManager.default.isExecutableFile(atPath: "/usr/bin/bsdtar"),
        "needs libarchive-tools"))
struct FetchTests {
    @Test("a task starts with its files; one whose files cannot be had fails and says why")
    func fetch() async throws {
        try await withProcesses { cluster in
            _ = try await cluster.startMaster()
            let files = cluster.data("files")
            try FileManager.default.createDirectory(
                atPath: files, withIntermediateDirectories: true)
            try Data("#!/bin/sh\necho fetched\n".utf8)
                .write(to: URL(fileURLWithPath: files + "/run"))
            _ = try await cluster.startAgent(0, ["--fetch-roots", files])
            let probe = try cluster.probe()
            var offer = try await probe.offer()
            var good = TaskInfo("good", "./run > out && exec sleep 600", on: offer)
            good.command?.uris = [FetchURI(value: "file://\(files)/run", isExecutable: true)]
            probe.launch([good], on: offer)
            let starting = try await probe.update("good", .starting)
            #expect(starting.message == "fetching 1 file")
            try await probe.update("good", .running)
            let framework = try await probe.subscribed()
            let sandbox = cluster.data("agent-0/work") + "/sandboxes/\(framework)/good"
            try await eventually("the output") {
                (try? String(contentsOfFile: sandbox + "/out", encoding: .utf8)) == "fetched\n"
            }
            offer = try await probe.offer()
            var bad = TaskInfo("bad", "true", on: offer)
            bad.command?.uris = [FetchURI(value: "file:///etc/passwd")]
            probe.launch([bad], on: offer)
            let end = try await probe.update("bad", .failed)
            #expect(end.reason == .containerLaunchFailed)
            #expect(end.message?.contains("file:///etc/passwd") == true)
            #expect(end.message?.contains("fetches no files of the node from there") == true)
            await probe.stop(teardown: true)
        }
    }
}
