import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferAllocation

/// How the cluster is divided between roles and frameworks.
@Suite("Shares of roles and frameworks")
struct RoleTreeTests {
    private static let gigabyte = 1024

    /// Section 4.1 and Table 1 of Ghodsi et al., Dominant Resource Fairness, NSDI 2011.
    @Test("the example of the paper ends at three tasks of A and two of B, in its order")
    func paper() {
        for subject in Subject.allCases {
            var cluster = Cluster(subject)
            cluster.framework("fa", ["a"])
            cluster.framework("fb", ["b"])
            cluster.agent("n", size(9, 18 * Self.gigabyte))
            let order = cluster.fill([
                "fa": size(1, 4 * Self.gigabyte), "fb": size(3, Self.gigabyte),
            ])
            #expect(order == ["fa", "fb", "fa", "fb", "fa"], "\(subject)")
            for role in ["a", "b"] {
                #expect(cluster.allocator.shareMillionths(role: role) == 666_666, "\(subject)")
            }
            for framework in ["fa", "fb"] as [FrameworkID] {
                #expect(cluster.allocator.shareMillionths(framework: framework) == 666_666)
            }
        }
    }

    /// Section 4.3 there: with weights, shares are divided by them before they are compared.
    @Test("with weight two for A, two tasks of A weigh as much as one", arguments: Subject.allCases)
    func weightedPaper(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("fa", ["a"])
        cluster.framework("fb", ["b"])
        cluster.allocator.setWeight(role: "a", thousandths: 2000)
        cluster.agent("n", size(9, 18 * Self.gigabyte))
        let order = cluster.fill([
            "fa": size(1, 4 * Self.gigabyte), "fb": size(3, Self.gigabyte),
        ])
        // A's steps are 2/9 / 2 = 1/9, B's are 1/3; at 1/3 each, B has had fewer grants.
        #expect(order == ["fa", "fb", "fa", "fa", "fb"])
    }

    @Test("of twelve cores, a role of weight two gets eight", arguments: Subject.allCases)
    func twelveCores(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("fa", ["a"])
        cluster.framework("fb", ["b"])
        cluster.allocator.setWeight(role: "b", thousandths: 2000)
        cluster.agent("n", size(12))
        let order = cluster.fill(["fa": size(1), "fb": size(1)])
        #expect(order.count { $0 == "fa" } == 4)
        #expect(order.count { $0 == "fb" } == 8)
    }

    @Test("weights that differ by a thousandth are told apart", arguments: Subject.allCases)
    func closeWeights(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("fa", ["a"])
        cluster.framework("fb", ["b"])
        cluster.allocator.setWeight(role: "b", thousandths: 1001)
        cluster.agents(3, size(1, 100))
        #expect(cluster.round().frameworks == ["fa", "fb", "fb"])
    }

    @Test("siblings share what their parent gets", arguments: Subject.with(.tree))
    func siblings(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("x", ["eng/x"])
        cluster.framework("y", ["eng/y"])
        cluster.framework("o", ["ops"])
        cluster.agents(8, size(1, 100))
        let grants = cluster.round()
        #expect(grants.count("o") == 4)
        #expect(grants.count("x") == 2)
        #expect(grants.count("y") == 2)
        #expect(cluster.allocator.shareMillionths(role: "eng") == 500_000)
        #expect(cluster.allocator.shareMillionths(role: "eng/x") == 250_000)
    }

    @Test("frameworks of a role with children count as one more child")
    func virtualLeaf() {
        for subject in Subject.with(.tree) {
            var cluster = Cluster(subject)
            cluster.framework("e", ["eng"])
            cluster.framework("e2", ["eng"])
            cluster.framework("x", ["eng/x"])
            cluster.framework("o", ["ops"])
            cluster.agents(16, size(1, 100))
            let grants = cluster.round()
            let counts = ["o", "x", "e", "e2"].map { grants.count(FrameworkID($0)) }
            #expect(counts == [8, 4, 2, 2], "\(subject)")
        }
    }

    @Test("three levels are fair at each", arguments: Subject.with(.tree))
    func threeLevels(subject: Subject) {
        var cluster = Cluster(subject)
        for (framework, role) in [
            ("u", "eng/x/u"), ("v", "eng/x/v"), ("y", "eng/y"), ("o", "ops"),
        ] as [(FrameworkID, String)] {
            cluster.framework(framework, [role])
        }
        cluster.agents(16, size(1, 100))
        let grants = cluster.round()
        #expect(["o", "y", "u", "v"].map { grants.count(FrameworkID($0)) } == [8, 4, 2, 2])
    }

    @Test(
        "weights hold between siblings at their level only",
        arguments: Subject.with(.tree),
        [("eng/x", 3000, [8, 6, 2]), ("eng", 3000, [4, 6, 6]), ("ops", 3000, [12, 2, 2])])
    func nestedWeights(subject: Subject, row: (String, Int64, [Int])) {
        var cluster = Cluster(subject)
        cluster.framework("x", ["eng/x"])
        cluster.framework("y", ["eng/y"])
        cluster.framework("o", ["ops"])
        cluster.allocator.setWeight(role: row.0, thousandths: row.1)
        cluster.agents(16, size(1, 100))
        let grants = cluster.round()
        #expect(["o", "x", "y"].map { grants.count(FrameworkID($0)) } == row.2)
    }

    @Test("what a suppressed role holds counts for its parent", arguments: Subject.with(.tree))
    func suppressedSibling(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("x", ["eng/x"], suppressed: ["eng/x"])
        cluster.framework("y", ["eng/y"])
        cluster.framework("o", ["ops"])
        cluster.agents(4, size(1, 100))
        cluster.agent("big", size(4, 400))
        cluster.hold("x", "eng/x", "big", size(4, 400))
        #expect(cluster.round().frameworks == ["o", "o", "o", "o"])
    }

    @Test("a role whose name only begins like another is not below it")
    func similarNames() {
        for subject in Subject.with(.tree) {
            var cluster = Cluster(subject)
            cluster.framework("p", ["eng"])
            cluster.framework("q", ["eng-a"])
            cluster.framework("r", ["engine/x"])
            cluster.agents(6, size(1, 100))
            let grants = cluster.round()
            #expect(["p", "q", "r"].map { grants.count(FrameworkID($0)) } == [2, 2, 2])
        }
    }

    @Test("ties go to fewer grants so far, then to the first name", arguments: Subject.allCases)
    func ties(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f2", ["r2"])
        cluster.framework("f1", ["r1"])
        cluster.framework("f3", ["r3"])
        cluster.agent("n", size(1, 100))
        var order: [String] = []
        for _ in 0..<6 {
            let grant = cluster.round()[0]
            order.append(grant.allocation.role)
            cluster.decline(grant)
        }
        #expect(order == ["r1", "r2", "r3", "r1", "r2", "r3"])
    }

    @Test("frameworks of one role are ordered the same way", arguments: Subject.allCases)
    func tiesWithin(subject: Subject) {
        var cluster = Cluster(subject)
        for name in ["c", "a", "b", "B"] as [FrameworkID] { cluster.framework(name, ["r"]) }
        cluster.agent("n", size(1, 100))
        var order: [FrameworkID] = []
        for _ in 0..<5 {
            let grant = cluster.round()[0]
            order.append(grant.allocation.framework)
            cluster.decline(grant)
        }
        #expect(order == ["B", "a", "b", "c", "B"])
    }

    @Test("a role keeps its grants when it gets children", arguments: Subject.with(.tree))
    func grantsKept(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["a"])
        cluster.agent("n", size(1, 100))
        for _ in 0..<3 { cluster.declineAll(cluster.round()) }
        cluster.framework("g", ["a/y"])
        #expect(cluster.round().roles == ["a/y"])
    }

    @Test("names are compared by their bytes", arguments: Subject.allCases)
    func bytes(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("\u{E9}", ["\u{E9}"])
        cluster.framework("z", ["z"])
        cluster.agents(2, size(1, 100))
        #expect(cluster.round().roles == ["z", "\u{E9}"])
    }

    @Test("offers nobody has answered count as share", arguments: Subject.allCases)
    func offersCount(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("fa", ["a"])
        cluster.framework("fb", ["b"])
        cluster.agents(2, size(1, 100))
        #expect(cluster.round().frameworks == ["fa", "fb"])
        cluster.agent("m", size(4, 400))
        #expect(cluster.round().frameworks == ["fa"])
        cluster.agent("k", size(1, 100))
        #expect(cluster.round().frameworks == ["fb"])
    }

    @Test("a framework of two roles is judged in each by what it holds there")
    func perRole() {
        for subject in Subject.allCases {
            var cluster = Cluster(subject)
            cluster.framework("f", ["a", "b"])
            cluster.framework("g", ["b"])
            cluster.agent("n", size(4, 400))
            cluster.hold("f", "a", "n", size(4, 400))
            cluster.agents(3, size(1, 100))
            let grants = cluster.round()
            #expect(grants.roles == ["b", "b", "b"], "\(subject)")
            #expect(grants.frameworks == ["f", "g", "f"], "\(subject)")
        }
    }

    @Test("names that do not count are left out of shares", arguments: Subject.with(.tree))
    func excluded(subject: Subject) {
        var cluster = Cluster(subject) { $0.excludedNames = ["gpus"] }
        cluster.framework("fa", ["a"], capabilities: .gpuResources)
        cluster.framework("fb", ["b"], capabilities: .gpuResources)
        let all = Resources([scalar("cpus", 10), scalar("gpus", 1)])
        cluster.agent("n", all)
        cluster.hold("fa", "a", "n", Resources([scalar("gpus", 1), scalar("cpus", 1)]))
        #expect(cluster.allocator.shareMillionths(role: "a") == 100_000)
        cluster.hold("fb", "b", "n", size(2))
        #expect(cluster.round().frameworks == ["fa"])
    }

    @Test("a resource that the cluster has none of does not count", arguments: Subject.allCases)
    func absent(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("fa", ["a"])
        cluster.framework("fb", ["b"])
        cluster.agent("n", size(4, 400))
        cluster.hold("fa", "a", "n", Resources([scalar("cpus", 1), scalar("widgets", 5)]))
        cluster.hold("fb", "b", "n", size(2, 1))
        #expect(cluster.allocator.shareMillionths(role: "a") == 250_000)
        #expect(cluster.round().frameworks == ["fa"])
    }

    @Test("a change of weights takes effect in the next round", arguments: Subject.allCases)
    func weightChange(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("fa", ["a"])
        cluster.framework("fb", ["b"])
        cluster.agents(2, size(1, 100))
        let offers = cluster.round()
        #expect(offers.frameworks == ["fa", "fb"])
        cluster.acceptAll(offers)
        cluster.allocator.setWeight(role: "b", thousandths: 10_000)
        cluster.agent("m", size(1, 100))
        cluster.agent("o", size(1, 100))
        #expect(cluster.round().frameworks == ["fb", "fb"])
    }

    @Test("tenths add up and thousandths are told apart", arguments: Subject.allCases)
    func fixedPoint(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f")
        let tenth = Resources(cpus: Milli(thousandths: 100))
        cluster.agent("n", Resources(cpus: Milli(thousandths: 300), mem: Milli(100)))
        let offer = cluster.round()[0]
        cluster.accept(offer, tenth + tenth + tenth)
        let rest = cluster.round()
        #expect(rest.resources == [Resources(mem: Milli(100))])
        #expect(rest[0].allocation.resources.items.allSatisfy { $0.name != "cpus" })
        #expect(Milli(rounding: 1.0001) == Milli(rounding: 1.0004))
        #expect(Milli(rounding: 0.0004) == .zero)
        let joined = IntervalSet([1...2]).union(IntervalSet([3...5]))
        #expect(joined == IntervalSet([1...5]))
    }

    @Test("the same seed gives the same order of chance", arguments: Subject.with(.chance))
    func seededChance(subject: Subject) {
        let orders = [1, 1, 2].map { (seed: UInt64) -> [FrameworkID] in
            chance(subject, seed: seed, weights: [1000, 1000, 1000], rounds: 60)
        }
        #expect(orders[0] == orders[1])
        #expect(orders[0] != orders[2])
    }

    @Test("chance follows the weights", arguments: Subject.with(.chance))
    func weightedChance(subject: Subject) {
        let order = chance(subject, seed: 7, weights: [1000, 3000], rounds: 800)
        // The expectation is 600 with a deviation of 12; five of these are allowed.
        #expect((540...660).contains(order.count { $0 == "f1" }))
    }

    private func chance(
        _ subject: Subject, seed: UInt64, weights: [Int64], rounds: Int
    ) -> [FrameworkID] {
        var cluster = Cluster(subject) {
            $0.seed = seed
            $0.hasRandomRoles = true
        }
        for (index, weight) in weights.enumerated() {
            cluster.framework(FrameworkID("f\(index)"), ["r\(index)"])
            cluster.allocator.setWeight(role: "r\(index)", thousandths: weight)
        }
        cluster.agent("n", size(1, 100))
        return (0..<rounds).flatMap { _ in
            let grants = cluster.round()
            cluster.declineAll(grants)
            return grants.frameworks
        }
    }

    @Test("chance decides between the frameworks of a role too", arguments: Subject.with(.chance))
    func frameworkChance(subject: Subject) {
        var cluster = Cluster(subject) { $0.hasRandomFrameworks = true }
        for index in 0..<4 { cluster.framework(FrameworkID("f\(index)"), ["r"]) }
        cluster.agent("n", size(1, 100))
        var counts: [FrameworkID: Int] = [:]
        for _ in 0..<400 {
            for grant in cluster.round() {
                counts[grant.allocation.framework, default: 0] += 1
                cluster.decline(grant)
            }
        }
        #expect(counts.count == 4)
        // 100 each with a deviation of 8.7; five of these are allowed.
        #expect(counts.values.allSatisfy { (56...144).contains($0) })
    }
}
