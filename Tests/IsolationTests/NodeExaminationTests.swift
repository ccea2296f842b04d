import ProfferIsolation
import Testing

@Suite("What the facts of a node mean")
struct NodeExaminationTests {
    /// A node on which everything works.
    private static var good: NodeExamination {
        var node = NodeExamination()
        node.isRoot = true
        node.layout = CgroupLayout(hierarchies: [
            CgroupHierarchy(
                version: .two, mountPoint: "/sys/fs/cgroup",
                controllers: ["cpu", "memory", "pids", "cpuset"])
        ])
        node.runtimes = [
            .init(name: "runc", version: "runc version 1.1", problem: nil),
            .init(name: "crun", version: nil, problem: nil),
        ]
        node.userNamespaces = 15_000
        node.hasMemoryDirectory = true
        node.networks = [.init(name: "bridge", missing: [])]
        node.hasPacketFilter = true
        node.disk = .init(path: "/", free: 50 << 30, total: 100 << 30, freeFiles: 1000)
        node.isClockSynchronised = true
        node.privateFiles = [.init(path: "/data/agent.key", mode: 0o600)]
        node.descriptorLimit = 65_536
        node.ports = [.init(number: 5051, problem: nil)]
        node.messagingVersion = "4.3.5"
        node.hasEncryption = true
        return node
    }

    @Test(
        "a node on which everything works is fit for every mode", arguments: IsolationMode.allCases)
    func fit(_ mode: IsolationMode) {
        let findings = Self.good.judge(for: mode)
        #expect(findings.allSatisfy { $0.verdict == .works && $0.mend == nil })
        #expect(findings.count == 15)
    }

    struct Fault: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var subject: String
        /// The modes in which it fails; in the others it lacks.
        var fails: [IsolationMode]
        var mend: String
        var spoil: @Sendable (inout NodeExamination) -> Void

        init(
            _ name: String, _ subject: String, fails: [IsolationMode], mend: String,
            _ spoil: @escaping @Sendable (inout NodeExamination) -> Void
        ) {
            testDescription = name
            self.subject = subject
            self.fails = fails
            self.mend = mend
            self.spoil = spoil
        }

        static let all = everywhere + containers + comforts

        static let everywhere = [
            Fault("no CURVE", "messaging", fails: IsolationMode.allCases, mend: "libsodium") {
                $0.hasEncryption = false
            },
            Fault("full disk", "disk", fails: IsolationMode.allCases, mend: "make room") {
                $0.disk?.free = 1 << 20
            },
            Fault("no inodes", "disk", fails: IsolationMode.allCases, mend: "make room") {
                $0.disk?.freeFiles = 0
            },
            Fault("no disk", "disk", fails: IsolationMode.allCases, mend: "--data-dir") {
                $0.disk = nil
            },
            Fault("few descriptors", "descriptors", fails: IsolationMode.allCases, mend: "ulimit") {
                $0.descriptorLimit = 256
            },
            Fault(
                "open key", "key files", fails: IsolationMode.allCases,
                mend: "chmod 0600 /data/agent.key"
            ) { $0.privateFiles[0].mode = 0o640 },
            Fault("needed port taken", "ports", fails: IsolationMode.allCases, mend: "ss -lptn") {
                $0.ports[0].problem = "Address already in use"
                $0.needsPorts = true
            },
        ]

        static let containers = [
            Fault("no root", "privilege", fails: [.cgroup, .oci], mend: "as root") {
                $0.isRoot = false
            },
            Fault("no controller", "cgroups", fails: [.cgroup, .oci], mend: "cgroup_enable") {
                $0.layout = CgroupLayout(hierarchies: [])
            },
            Fault("read-only cgroups", "cgroups", fails: [.cgroup, .oci], mend: "remount") {
                $0.cgroupProblem = "cannot make '/sys/fs/cgroup/proffer': Read-only"
            },
            Fault("no runtime", "runtime", fails: [.oci], mend: "apt install runc") {
                $0.runtimes[0].version = nil
            },
            Fault("broken runtime", "runtime", fails: [.oci], mend: "apt install crun") {
                $0.runtimes[0].problem = "no cgroup"
            },
            Fault("no users", "user namespaces", fails: [.oci], mend: "sysctl") {
                $0.userNamespaces = 0
            },
        ]

        static let comforts = [
            Fault("clock", "clock", fails: [], mend: "set-ntp") { $0.isClockSynchronised = false },
            Fault("tight disk", "disk", fails: [], mend: "make room") { $0.disk?.free = 5 << 30 },
            Fault("port taken", "ports", fails: [], mend: "ss -lptn") {
                $0.ports[0].problem = "Address already in use"
            },
            Fault("no tools", "images", fails: [], mend: "apt install umoci") {
                $0.missingImageTools = ["umoci"]
            },
            Fault("no networks", "networks", fails: [], mend: "containernetworking") {
                $0.networks = []
            },
            Fault("missing plug-in", "networks", fails: [], mend: "containernetworking") {
                $0.networks[0].missing = ["portmap"]
            },
            Fault("no filter", "port mappings", fails: [], mend: "iptables") {
                $0.hasPacketFilter = false
            },
            Fault("no memory", "secrets in memory", fails: [], mend: "mount -t tmpfs") {
                $0.hasMemoryDirectory = false
            },
            Fault("no fetcher", "programs", fails: [], mend: "copy") {
                $0.missingPrograms = ["proffer-fetcher"]
            },
        ]
    }

    @Test(
        "a fault is named once, with what mends it, and counts where it matters",
        arguments: Fault.all)
    func faults(_ fault: Fault) {
        var node = Self.good
        fault.spoil(&node)
        for mode in IsolationMode.allCases {
            let bad = node.judge(for: mode).filter { $0.verdict != .works }
            let found = bad.first { $0.subject == fault.subject }
            #expect(found?.verdict == (fault.fails.contains(mode) ? .fails : .lacks))
            #expect(found?.mend?.contains(fault.mend) == true, "\(found?.mend ?? "")")
            let others = bad.filter { $0.subject != fault.subject && $0.verdict == .fails }
            #expect(others.isEmpty)
        }
    }

    @Test("a runtime that does not work is no matter when another does")
    func secondRuntime() {
        var node = Self.good
        node.runtimes[0].problem = "no cgroup"
        node.runtimes[1] = .init(name: "crun", version: "crun 1.8", problem: nil)
        let found = node.judge(for: .oci).first { $0.subject == "runtime" }
        #expect(found?.verdict == .works)
        #expect(found?.detail == "crun 1.8 runs a container")
    }
}
