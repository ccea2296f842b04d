import Glibc
import ProfferIsolation
import ProfferModel
import Testing

@testable import ProfferContainers

private let pluginDirectories = ["/opt/cni/bin", "/usr/lib/cni"]
private let hasPlugins = ["loopback", "bridge", "host-local"].allSatisfy { (name: String) in
    pluginDirectories.contains { access("\($0)/\(name)", X_OK) == 0 }
}

@Suite(
    "Networks of containers", .serialized,
    .enabled(
        if: isRoot && hasPlugins && ContainerRuntime.path(of: "ip") != nil,
        "needs root, iproute2 and containernetworking-plugins"))
struct NetworkTests {
    /// A network behind a bridge of its own.
    private struct Bridge {
        let scratch: Scratch
        let link: String
        let settings: ContainerSettings

        init(_ more: String = "") throws {
            scratch = try Scratch()
            link = "pfr" + scratch.path.suffix(6)
            let description = """
                {"cniVersion": "0.4.0", "name": "test", "plugins": [{
                "type": "bridge", "bridge": "\(link)", "isGateway": true, "ipam": {
                "type": "host-local", "dataDir": "\(scratch.path)/leases",
                "ranges": [[{"subnet": "10.213.77.0/24"}]]}}\(more)]}
                """
            let script = """
                mkdir nets bundle; echo broken >nets/00.conf
                cat >nets/10.conflist <<'END'
                \(description)
                END
                """
            #expect(try scratch.run(scratch.plan(script))?.code == 0)
            settings = ContainerSettings(networks: scratch.path + "/nets")
        }

        func plan(_ name: String) throws -> IsolationPlan {
            let networks = NodeNetworks(settings)
            let bundle = "\(scratch.path)/\(name)"
            let steps = try networks.planner.steps(
                name, bundle: bundle, network: networks.find("test"),
                mappings: [PortMapping(hostPort: 31_999, containerPort: 80)],
                find: networks.plugin)
            return IsolationPlan(
                name: name, steps: [.makeDirectory(bundle, mode: 0o711)] + steps)
        }

        /// What a command says in the network of a container.
        func inside(_ name: String, _ command: String) throws -> String {
            var plan = scratch.plan(command)
            plan.confinement.namespaces = ["\(scratch.path)/\(name)/network"]
            #expect(try scratch.run(plan)?.code == 0, "\(scratch.text("stderr"))")
            defer { unlink(scratch.path + "/stdout") }
            return scratch.text("stdout")
        }

        var leases: String {
            (try? scratch.run(scratch.plan("ls leases/test | grep -c '^10[.]' >count"))) != nil
                ? String(scratch.text("count").prefix { $0 != "\n" }) : ""
        }

        func remove() throws {
            _ = try scratch.run(scratch.plan("ip link del \(link)"))
        }
    }

    @Test("a container has an address of its own, and gives it back")
    func address() throws {
        let bridge = try Bridge()
        defer { try? bridge.remove() }
        let runner = PlanRunner(directory: bridge.scratch.path)
        let (one, two) = (try bridge.plan("one"), try bridge.plan("two"))
        try runner.carryOut(one)
        try runner.carryOut(two)
        let addresses = ["one", "two"].map {
            NodeNetworks.addresses(bundle: "\(bridge.scratch.path)/\($0)")
        }
        #expect(addresses.allSatisfy { $0.count == 1 && $0[0].hasPrefix("10.213.77.") })
        #expect(addresses[0] != addresses[1])
        #expect(try bridge.inside("one", "ip -o -4 addr show eth0").contains(addresses[0][0]))
        #expect(try bridge.inside("one", "ip -o link show lo").contains("LOOPBACK,UP"))
        #expect(bridge.leases == "2")
        #expect(runner.undo(one))
        #expect(runner.undo(two))
        #expect(bridge.leases == "0")
        #expect(access("\(bridge.scratch.path)/one", F_OK) != 0)
        #expect(runner.names().isEmpty)
    }

    @Test("what a crash leaves of a network is found and given back")
    func crash() throws {
        let bridge = try Bridge()
        defer { try? bridge.remove() }
        try PlanRunner(directory: bridge.scratch.path).carryOut(try bridge.plan("one"))
        #expect(PlanRunner(directory: bridge.scratch.path).recover { _ in true }.isEmpty)
        #expect(bridge.leases == "0")
        let mounts = ProcFile.text("/proc/self/mountinfo", limit: 1 << 20) ?? ""
        #expect(!mounts.contains(bridge.scratch.path))
    }

    @Test("a network that nobody describes, or whose plug-in is missing, is told by name")
    func missing() throws {
        let bridge = try Bridge(", {\"type\": \"no-such-plugin\"}")
        let none = #expect(throws: SystemError.self) {
            try NodeNetworks(bridge.settings).find("other")
        }
        #expect(none?.description.contains("'other'") == true)
        let problem = #expect(throws: ContainerProblem.self) { try bridge.plan("one") }
        #expect(problem?.description.contains("'no-such-plugin'") == true)
    }

    @Test("a plug-in that fails says why, and nothing is left")
    func failing() throws {
        let bridge = try Bridge(", {\"type\": \"tuning\", \"sysctl\": {\"net.no.such\": \"1\"}}")
        defer { try? bridge.remove() }
        let runner = PlanRunner(directory: bridge.scratch.path)
        let error = #expect(throws: SystemError.self) {
            try runner.carryOut(try bridge.plan("one"))
        }
        #expect(error?.hint?.isEmpty == false)
        #expect(bridge.leases == "0")
        #expect(runner.names().isEmpty)
    }
}
