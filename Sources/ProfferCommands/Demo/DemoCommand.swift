internal import ArgumentParser
internal import Foundation
internal import Glibc

struct DemoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "Show what a cluster does, in a minute.",
        discussion: """
            Starts a cluster in a directory of its own. A service is deployed, killed, upgraded \
            under load and scaled; a batch job counts the words of some texts, and the result \
            is compared with a count made here. Ends with 0 when all of it went well. Nothing \
            is left behind, except what --data-dir keeps.
            """)

    private static let interrupted: Int32 = 130

    @OptionGroup
    var options: DevOptions

    @Option(
        help: ArgumentHelp(
            "The texts (default: /usr/share/common-licenses or Docs).", valueName: "directory"))
    var files: String?

    func validate() throws {
        guard options.agents >= 3 else {
            throw ValidationError("the demo needs three racks: --agents must be 3 at least")
        }
    }

    func run() async throws {
        let corpus = try Corpus.directory(files)
        let texts = try Corpus.files(in: corpus)
        let screen = DemoScreen()
        let begin = ContinuousClock.now
        say("proffer \(profferVersion) demo: one machine, one cluster, two frameworks")
        screen.heading(1, "A cluster")
        let isInterrupted = try await withDevCluster(
            in: options.directory, options.directory == nil ? .run : .left,
            agentCount: options.agents,
            report: say
        ) { cluster, context in
            try await show(cluster, context, screen, corpus, texts, since: begin)
        }
        if isInterrupted {
            note("interrupted; everything was stopped")
            throw ExitCode(Self.interrupted)
        }
        say("\n  everything was stopped; all went well")
    }

    private func show(
        _ cluster: DevCluster, _ context: ClusterContext, _ screen: DemoScreen,
        _ corpus: String, _ texts: [String], since begin: ContinuousClock.Instant
    ) async throws {
        let master = Client(context)
        let listener = EventListener(master)
        defer { listener.stop() }
        screen.heading(2, "A service, kept running by the service scheduler")
        let sent = try await ServicePart(
            screen: screen, services: try Services(context), master: master,
            program: cluster.programs + "/http-echo"
        ).run()
        screen.heading(3, "A batch job: the words of \(texts.count) files in \(tilde(corpus))")
        let rate = try await BatchPart(
            screen: screen, batches: Batches(base: context.batch ?? ""), corpus: corpus,
            files: texts, work: try cluster.directory.member("words")
        ).run()
        screen.heading(4, "In numbers")
        let times = listener.launchTimes
        guard !listener.isIncomplete, let median = percentile(50, of: times.durations),
            let slowest = percentile(99, of: times.durations)
        else {
            throw CommandProblem(
                .failed, "demo: the times from offer to RUNNING are not known",
                because: "the master's event stream broke off or told of no task",
                try: "look at the master's log")
        }
        let latency = "p50 \(milliseconds(median)), p99 \(milliseconds(slowest))"
        let rows = [
            ("tasks launched", grouped(times.taskCount)),
            ("offer to RUNNING", latency + " (master's events)"),
            ("batch tasks a second", String(format: "%.0f", rate)),
            ("requests lost in the upgrade", "0 of \(grouped(sent))"),
            ("time in all", brief(ContinuousClock.now - begin)),
        ]
        for (name, value) in rows { screen.detail(padded(name, 30) + value) }
    }

    private func milliseconds(_ duration: Duration) -> String {
        String(format: "%.0f ms", seconds(duration) * 1000)
    }
}
