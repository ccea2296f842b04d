import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferAllocation

@Suite("Limit that is eased")
struct EasedLimitTests {
    private static let limits = [
        [QuotaLimit(name: "cpus", amount: Milli(4))],
        [
            QuotaLimit(name: "cpus", amount: Milli(4)),
            QuotaLimit(name: "mem", amount: Milli(400)),
        ],
    ]

    @Test(
        "a reservation that leaves with its agent makes room under the limit, on other agents too",
        arguments: Subject.with(.quota), limits)
    func reservation(subject: Subject, limits: [QuotaLimit]) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["q"])
        cluster.agent("free", size(10, 1000))
        cluster.agent(
            "kept", Resources([scalar("cpus", 4, ["q"]), scalar("mem", 400, ["q"])]),
            isActive: false)
        cluster.allocator.setQuota(Quota(role: "q", limits: limits))
        #expect(cluster.round().total("f").cpus == .zero)
        cluster.allocator.removeAgent("kept")
        #expect(cluster.round().total("f").cpus == Milli(4))
    }

    @Test(
        "what a role gives back makes room under its limit, on other agents too",
        arguments: Subject.with(.quota), limits)
    func giving(subject: Subject, limits: [QuotaLimit]) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["q"])
        cluster.framework("holder", ["q"], isActive: false)
        cluster.agent("full", size(4, 400), isActive: false)
        cluster.hold("holder", "q", "full", size(4, 400))
        cluster.agent("free", size(10, 1000))
        cluster.allocator.setQuota(Quota(role: "q", limits: limits))
        #expect(cluster.round().total("f").cpus == .zero)
        cluster.allocator.recover(
            Allocation(framework: "holder", role: "q", agent: "full", resources: size(4, 400)),
            wasOffered: false, refuse: nil, at: cluster.now)
        #expect(cluster.round().total("f").cpus == Milli(4))
    }
}
