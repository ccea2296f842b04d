import ClusterProbe
import Foundation
import Proffer
import ProfferRuntime
import Testing

/// The program `proffer` against a master and agents of their own.
@Suite("Operator's orders and questions", .serialized, .timeLimit(.minutes(5)))
struct OperatorTests {
    private func activeAgent(_ cluster: ProcessCluster) async throws {
        try await eventually("the agent") {
            try await get("\(cluster.master.http)/v1/agents").body.contains("active")
        }
    }

    @Test("a quota is set, shown with its use, and cleared; one that cannot be is refused")
    func quota() async throws {
        try await withOperator { cluster in
            try await activeAgent(cluster)
            let set = try await cluster.proffer(
                "quota", "set", "web", "--guarantee", "cpus:0.5", "--limit", "cpus:1")
            #expect(set.code == 0, "\(set.output)")
            let probe = try cluster.probe(FrameworkInfo(name: "probe", roles: ["web"]))
            let offer = try await probe.offer()
            #expect(offer.resources.cpus == Milli(1))
            probe.launch(
                [TaskInfo("t", "sleep 600", on: offer, cpus: Milli(thousandths: 750))], on: offer)
            try await probe.update("t", .running)
            let shown = try await cluster.proffer("quota", "show")
            #expect(shown.code == 0, "\(shown.output)")
            let line = shown.output.split(separator: "\n").first { $0.hasPrefix("web") }
            #expect(line?.contains("cpus 0.5") == true, "\(shown.output)")
            #expect(line?.contains("0.75") == true, "\(shown.output)")

            let toolow = try await cluster.proffer("quota", "set", "web", "--limit", "cpus:0.5")
            #expect(toolow.code != 0)
            #expect(toolow.output.contains("0.75"), "\(toolow.output)")
            let cleared = try await cluster.proffer("quota", "clear", "web")
            #expect(cleared.code == 0, "\(cleared.output)")
            let after = try await cluster.proffer("quota", "show")
            #expect(!after.output.contains("web"), "\(after.output)")

            let weight = try await cluster.proffer("weight", "set", "web", "2.5")
            #expect(weight.code == 0, "\(weight.output)")
            let weights = try await cluster.proffer("weight", "show")
            #expect(
                weights.output.split(separator: "\n").contains {
                    $0.hasPrefix("web") && $0.contains("2.5")
                }, "\(weights.output)")
            await probe.stop(teardown: true)
        }
    }

    @Test("the whitelist is set and shown, and so is the highest priority of a role")
    func limits() async throws {
        try await withOperator { cluster in
            try await activeAgent(cluster)
            let set = try await cluster.proffer("whitelist", "set", "other", "127.0.0.1")
            #expect(set.code == 0, "\(set.output)")
            let shown = try await cluster.proffer("whitelist", "show")
            #expect(shown.output == "127.0.0.1\nother\n")
            let none = try await cluster.proffer("whitelist", "set", "--none")
            #expect(none.code == 0, "\(none.output)")
            let why = try await cluster.proffer("why", "shape", "--cpus", "1")
            #expect(why.output.contains("- whitelist"), "\(why.output)")
            let twice = try await cluster.proffer("whitelist", "set", "a", "a")
            #expect(twice.code != 0)
            #expect(twice.output.contains("twice"), "\(twice.output)")
            let cleared = try await cluster.proffer("whitelist", "clear")
            #expect(cleared.code == 0, "\(cleared.output)")
            #expect(try await cluster.proffer("whitelist").output == "every host\n")

            let limit = try await cluster.proffer("priority", "set", "web", "--", "-5")
            #expect(limit.code == 0, "\(limit.output)")
            let limits = try await cluster.proffer("priority", "show")
            #expect(
                limits.output.split(separator: "\n").contains {
                    $0.hasPrefix("web") && $0.contains("at most -5")
                }, "\(limits.output)")
            let inverse = try await cluster.proffer("offers", "--inverse")
            #expect(inverse.code == 0, "\(inverse.output)")
            #expect(inverse.output.contains("DEADLINE"), "\(inverse.output)")
        }
    }

    @Test("the file of the whitelist rules from the start, is read again, and takes no orders")
    func whitelistFile() async throws {
        try await withProcesses { cluster in
            let file = cluster.data("hosts")
            func write(_ text: String) throws {
                try Data(text.utf8).write(to: URL(fileURLWithPath: file), options: .atomic)
            }
            try write("other # and nobody else\n")
            _ = try await cluster.startMaster(["--whitelist", file])
            _ = try await cluster.startAgent()
            try cluster.writeContext()
            try await activeAgent(cluster)
            let refused = try await cluster.proffer("whitelist", "clear")
            #expect(refused.code != 0)
            #expect(refused.output.contains(file), "\(refused.output)")
            let probe = try cluster.probe()
            _ = try await probe.subscribed()
            try await probe.settled()
            #expect(probe.history.offers.isEmpty)
            try write("other\n127.0.0.1\n")
            _ = try await probe.offer()
            await probe.stop(teardown: true)
        }
    }

    @Test("why prints the funnel of a shape and of what a framework waits for")
    func why() async throws {
        try await withProcesses { cluster in
            _ = try await cluster.startMaster()
            try cluster.writeContext()
            let probe = try cluster.probe()
            _ = try await probe.subscribed()
            probe.call(
                .demand([
                    Demand(
                        id: "large",
                        resources: ResourceQuantities([("cpus", Milli(1)), ("mem", Milli(2048))]),
                        count: 2)
                ]))
            try await probe.settled()
            // There was nothing to offer before the demand was known.
            _ = try await cluster.startAgent()
            try await activeAgent(cluster)
            let framework = try await cluster.proffer("why", "framework", "probe")
            #expect(framework.code == 0, "\(framework.output)")
            let lines = framework.output.split(separator: "\n")
            #expect(lines.first?.hasPrefix("probe large - 2 tasks waiting") == true)
            #expect(lines.contains { $0.hasPrefix("  agents known") && $0.hasSuffix(" 1") })
            #expect(lines.contains { $0.hasPrefix("  - free resources") })
            #expect(lines.contains { $0.hasPrefix("  = fits") && $0.hasSuffix(" 0") })
            #expect(framework.output.contains("next: "), "\(framework.output)")

            let fits = try await cluster.proffer("why", "shape", "--cpus", "1", "--mem", "64")
            #expect(fits.code == 0, "\(fits.output)")
            #expect(
                fits.output.split(separator: "\n").contains {
                    $0.hasPrefix("  = fits") && $0.hasSuffix(" 1")
                }, "\(fits.output)")
            let large = try await cluster.proffer("why", "shape", "--cpus", "64")
            #expect(large.output.contains("- free resources"), "\(large.output)")
            let unknown = try await cluster.proffer("why", "framework", "nobody")
            #expect(unknown.code != 0)
            #expect(unknown.output.contains("'nobody'"))
            await probe.stop(teardown: true)
        }
    }

    @Test("a master's flag that is not valid is refused with what, why and what to do")
    func badFlag() async throws {
        try await withProcesses { cluster in
            let master = try cluster.start(
                "proffer-master", cluster.masterArguments() + ["--offered-limit", "2"],
                log: "bad")
            #expect(try await master.exitCode() == 78)
            #expect(master.output.contains("--offered-limit"))
            #expect(master.output.contains("PROFFER_MASTER_OFFERED_LIMIT"))
        }
    }

    @Test("the help of the master names each setting of the allocation with its default")
    func help() async throws {
        try await withProcesses { cluster in
            let program = try cluster.start("proffer-master", ["--help"], log: "help")
            #expect(try await program.exitCode() == 0)
            let words = program.output.split { $0 == " " || $0 == "\n" }.joined(separator: " ")
            for (flag, standard) in [
                ("--min-allocatable", "(default: cpus:0.01|mem:32)"),
                ("--role-sorter", "(default: drf)"), ("--framework-sorter", "(default: drf)"),
                ("--offered-limit", "(default: 0.5)"),
                ("--filter-gpu-resources", "(default: true)"),
                ("--decline-back-off-limit", "(default: 60s)"),
                ("--declines-before-known", "(default: 3)"),
                ("--gang-turn", "(default: 60s)"), ("--preemption-delay", "(10s)"),
                ("--preemption-notice", "(30s)"),
            ] {
                let after = try #require(words.range(of: flag + " <"), "\(flag)")
                #expect(words[after.upperBound...].prefix(300).contains(standard), "\(flag)")
            }
        }
    }
}
