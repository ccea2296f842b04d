import Glibc
import ProfferIsolation
import ProfferModel
import Testing

@testable import ProfferContainers

private let pluginDirectories = ["/opt/cni/bin", "/usr/lib/cni"]
private let isPossible =
    isRoot
    && ["loopback", "bridge", "host-local", "portmap"].allSatisfy { (name: String) in
        pluginDirectories.contains { access("\($0)/\(name)", X_OK) == 0 }
    }
    && ["ip", "iptables", "nsenter", "busybox", "curl"].allSatisfy { (name: String) in
        ContainerRuntime.path(of: name) != nil
    }

@Suite(
    "Ports of containers on the node", .serialized,
    .enabled(
        if: isPossible,
        "needs root, iproute2, iptables, busybox, curl and containernetworking-plugins"))
struct PortMappingTests {
    /// A network namespace that stands for the node, so that no rule is left on the real one.
    ///
    /// The plug-ins are entered into it by scripts of their names.
    private struct Node {
        let scratch: Scratch
        let settings: ContainerSettings
        private let runner: PlanRunner
        private let plan: IsolationPlan

        init() throws {
            scratch = try Scratch()
            let path = scratch.path
            runner = PlanRunner(directory: path)
            plan = IsolationPlan(
                name: "node",
                steps: [
                    .makeFile(path + "/node", contents: "", mode: 0o600),
                    .pinNamespace(.network, at: path + "/node"),
                ])
            try runner.carryOut(plan)
            let script = """
                export PATH=/usr/sbin:/usr/bin:/sbin:/bin
                mkdir nets plugins www; echo hello >www/index.html
                for name in loopback bridge host-local portmap; do
                for place in \(pluginDirectories.joined(separator: " ")); do
                [ -x $place/$name ] || continue
                printf '#!/bin/sh\\nexec nsenter --net=%s %s\\n' '\(path)/node' $place/$name \
                >plugins/$name; chmod 755 plugins/$name
                done; done
                nsenter --net='\(path)/node' ip link set lo up
                cat >nets/10.conflist <<'END'
                {"cniVersion": "0.4.0", "name": "test", "plugins": [{
                "type": "bridge", "bridge": "pfrports0", "isGateway": true, "ipam": {
                "type": "host-local", "dataDir": "\(path)/leases",
                "ranges": [[{"subnet": "10.213.79.0/24"}]]}},
                {"type": "portmap", "capabilities": {"portMappings": true}, "snat": true}]}
                END
                """
            #expect(try scratch.run(scratch.plan(script))?.code == 0, "\(scratch.text("stderr"))")
            settings = ContainerSettings(
                networks: path + "/nets", networkPlugins: [path + "/plugins"])
        }

        func container(_ name: String, port: Int) throws -> IsolationPlan {
            let networks = NodeNetworks(settings)
            let bundle = "\(scratch.path)/\(name)"
            let steps = try networks.planner.steps(
                name, bundle: bundle, network: networks.find("test"),
                mappings: [PortMapping(hostPort: port, containerPort: 80)],
                find: networks.plugin)
            return IsolationPlan(
                name: name, steps: [.makeDirectory(bundle, mode: 0o711)] + steps)
        }

        /// A plan for a command in a network namespace.
        func plan(_ command: String, in namespace: String = "node") -> ProcessPlan {
            var plan = scratch.plan(command)
            plan.confinement.namespaces = ["\(scratch.path)/\(namespace)"]
            plan.environment[0].value = "/usr/sbin:/usr/bin:/sbin:/bin"
            return plan
        }

        /// What a command says on the node; empty when it fails.
        func say(_ command: String) throws -> String {
            unlink(scratch.path + "/stdout")
            return try scratch.run(plan(command))?.code == 0 ? scratch.text("stdout") : ""
        }

        /// What is left of containers: rules with their ports, and links to them.
        func leftovers(_ port: Int) throws -> String {
            try say("iptables-save | grep -w \(port); ip -o link | grep veth; true")
        }

        func remove() { runner.undo(plan) }
    }

    @Test("a port of a container is reached on the node, by any of its addresses")
    func reached() throws {
        let node = try Node()
        defer { node.remove() }
        let runner = PlanRunner(directory: node.scratch.path)
        let plan = try node.container("one", port: 31_998)
        try runner.carryOut(plan)
        var watcher = try ProcessWatcher()
        let server = try ProcessLauncher.start(
            node.plan("exec busybox httpd -f -p 80 -h www", in: "one/network"))
        try watcher.watchChild(server, token: 1)
        for address in ["10.213.79.1", "127.0.0.1"] {
            let isServed = eventually {
                (try? node.say("curl -s -m 5 http://\(address):31998/index.html")) == "hello\n"
            }
            #expect(isServed, "\(address)")
        }
        watcher.signalGroup(1, SIGKILL)
        #expect(watcher.takeEnds(within: 10_000).count == 1)
        #expect(try !node.leftovers(31_998).isEmpty)
        #expect(runner.undo(plan))
        #expect(try node.leftovers(31_998).isEmpty)
    }

    @Test("what a crash leaves of a mapping, rules and links, is found and removed")
    func crash() throws {
        let node = try Node()
        defer { node.remove() }
        let two = try node.container("two", port: 31_996)
        try PlanRunner(directory: node.scratch.path).carryOut(
            try node.container("one", port: 31_997))
        try PlanRunner(directory: node.scratch.path).carryOut(two)
        #expect(try node.leftovers(31_997).contains("31997"))
        #expect(PlanRunner(directory: node.scratch.path).recover { $0 == "one" }.isEmpty)
        #expect(try !node.leftovers(31_997).contains("31997"))
        // The other one is left alone.
        #expect(try node.leftovers(31_996).contains("31996"))
        #expect(PlanRunner(directory: node.scratch.path).undo(two))
        #expect(try node.leftovers(31_996).isEmpty)
    }
}
