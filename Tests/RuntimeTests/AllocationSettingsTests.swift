import ClusterProbe
import Foundation
import ProfferAllocation
import ProfferMaster
import ProfferModel
import Testing

@testable import ProfferRuntime

@Suite("Settings of the allocation")
struct AllocationSettingsTests {
    private func read(_ change: [String: String]) async throws -> MasterDaemonConfiguration {
        var flags: [String: String?] = ["data-dir": "/tmp/x"]
        for (name, value) in change { flags[name] = value }
        return try MasterDaemonConfiguration(
            try await DaemonSettings(section: "allocationtest", flags: flags, file: nil))
    }

    private func amounts(_ name: String, _ thousandths: Int64) -> ResourceQuantities {
        ResourceQuantities([(name, Milli(thousandths: thousandths))])
    }

    @Test("what nobody sets is as the allocator and the master have it")
    func defaults() async throws {
        let configuration = try await read([:])
        #expect(configuration.allocation == HierarchicalAllocator.Options())
        #expect(configuration.master.preemptionDelay == .seconds(10))
        #expect(configuration.master.preemptionNotice == .seconds(30))
        #expect(configuration.master.offerTimeout == .seconds(60))
        let written = try await read(["min-allocatable": "cpus:0.01|mem:32"])
        #expect(written.allocation == HierarchicalAllocator.Options())
    }

    @Test("each setting reaches the allocator or the master")
    func settings() async throws {
        let configuration = try await read([
            "min-allocatable": "cpus:0.5;mem:64|gpus:1", "role-sorter": "random",
            "framework-sorter": "random", "offered-limit": "0.25",
            "filter-gpu-resources": "false",
            "fair-sharing-excluded-resource-names": "gpus,licenses", "domain": "eu/a",
            "decline-back-off-limit": "5m", "gang-turn": "90s", "preemption-delay": "2s",
            "preemption-notice": "500ms", "offer-timeout": "none", "declines-before-known": "7",
        ])
        var options = HierarchicalAllocator.Options()
        var both = amounts("cpus", 500)
        both.add(Milli(64), to: "mem")
        options.minimums = [both, amounts("gpus", 1000)]
        options.roleSorter = .weightedRandom
        options.frameworkSorter = .weightedRandom
        options.offeredLimitThousandths = 250
        options.keepsGPUs = false
        options.excludedNames = ["gpus", "licenses"]
        options.region = "eu"
        options.backOffLimit = .seconds(300)
        options.gangTurn = .seconds(90)
        options.declinesBeforeKnown = 7
        #expect(configuration.allocation == options)
        #expect(configuration.master.preemptionDelay == .seconds(2))
        #expect(configuration.master.preemptionNotice == .milliseconds(500))
        #expect(configuration.master.offerTimeout == nil)
    }

    @Test("none is no minimum, no back-off, no preemption and no notice")
    func none() async throws {
        let configuration = try await read([
            "min-allocatable": "none", "decline-back-off-limit": "none",
            "preemption-delay": "none", "preemption-notice": "none",
        ])
        #expect(configuration.allocation.minimums.isEmpty)
        #expect(configuration.allocation.backOffLimit == .zero)
        #expect(configuration.master.preemptionDelay == nil)
        #expect(configuration.master.preemptionNotice == .zero)
    }

    @Test(
        "a value that is none is refused with the flag, the value and where to correct it",
        arguments: [
            ("min-allocatable", "cpus"), ("min-allocatable", ""), ("min-allocatable", "cpus:0"),
            ("min-allocatable", "cpus:-1"), ("min-allocatable", "cpus:1|"),
            ("min-allocatable", "cpus(web):1"), ("min-allocatable", "ports:[1-2]"),
            ("role-sorter", "fair"), ("role-sorter", ""), ("framework-sorter", "DRF"),
            ("offered-limit", "0"), ("offered-limit", "1.1"), ("offered-limit", "0.0001"),
            ("offered-limit", "-0.5"), ("offered-limit", "half"),
            ("filter-gpu-resources", "yes"), ("filter-gpu-resources", ""),
            ("fair-sharing-excluded-resource-names", "gpus,"),
            ("fair-sharing-excluded-resource-names", "gpus;disk"),
            ("domain", "eu"), ("domain", "/a"), ("domain", "eu/"), ("domain", "eu/a/b"),
            ("decline-back-off-limit", "0s"), ("decline-back-off-limit", "30"),
            ("declines-before-known", "-1"), ("declines-before-known", "101"),
            ("gang-turn", "0s"), ("gang-turn", "none"), ("preemption-delay", "-1s"),
            ("preemption-notice", "soon"), ("offer-timeout", "0s"),
        ])
    func refused(name: String, value: String) async throws {
        do {
            _ = try await read([name: value])
            Issue.record("it is accepted")
        } catch let problem as DaemonProblem {
            #expect(problem.code == .configuration)
            #expect(problem.what.contains("--\(name)"))
            #expect(problem.because.contains("'\(value)'"))
            #expect(!problem.advice.isEmpty)
        }
    }

    @Test("true, false and fractions of the file are read, and what is no value is refused")
    func file() async throws {
        let directory = try TemporaryDirectory("settings")
        let names = ["data-dir", "filter-gpu-resources", "offered-limit"]
        let flags = Dictionary(uniqueKeysWithValues: names.map { ($0, String?.none) })
        func read(_ text: String) async throws -> DaemonSettings {
            try TextFile.write(text, to: directory.file("config.json"))
            return try await DaemonSettings(
                section: "allocationtest", flags: flags, file: directory.file("config.json"))
        }
        let settings = try await read(#"{"filter-gpu-resources": false, "offered-limit": 0.25}"#)
        #expect(try settings.allocation().keepsGPUs == false)
        #expect(try settings.allocation().offeredLimitThousandths == 250)
        for value in ["[1]", "{}", "null"] {
            await #expect(throws: DaemonProblem.self, "\(value)") {
                _ = try await read(#"{"offered-limit": \#(value)}"#)
            }
        }
    }

    @Test("the domain is the master's and the allocator's, and the whitelist's file is kept")
    func domainAndWhitelist() async throws {
        let configuration = try await read(["domain": "eu/a", "whitelist": "/tmp/hosts"])
        #expect(configuration.allocation.region == "eu")
        #expect(configuration.master.domain == FaultDomain(region: "eu", zone: "a"))
        #expect(configuration.master.whitelistFile == "/tmp/hosts")
    }

    @Test(
        "a whitelist's file has a host a line, comments, and * for every host",
        arguments: [
            ("", []), ("\n# nobody\n", []), ("n1\n n2 # two\r\nn1\n", ["n1", "n2"]),
            ("n1\n*\n", nil), ("*", nil),
        ] as [(String, [String]?)])
    func whitelistFile(text: String, hosts: [String]?) throws {
        let directory = try TemporaryDirectory("whitelist")
        let file = WhitelistFile(path: directory.file("hosts"))
        #expect(throws: DaemonProblem.self) { try file.read() }
        try Data(text.utf8).write(to: URL(fileURLWithPath: file.path))
        #expect(try file.read() == hosts)
    }
}
