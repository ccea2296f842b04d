import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferAllocation

/// Instances that are of use only together.
@Suite("Gangs")
struct GangTests {
    private func gang(_ id: String, _ role: String, _ count: Int, cpus: Int = 1) -> Demand {
        demand(id, role, cpus: cpus, count: count) { $0.gang = count }
    }

    @Test("a gang is granted whole, under one name", arguments: Subject.with(.demand))
    func whole(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["r"])
        cluster.demands("f", gang("d", "r", 5))
        cluster.agents(2, size(2))
        #expect(cluster.round().isEmpty)
        cluster.agent("n02", size(1))
        let grants = cluster.round()
        #expect(grants.instances("f", "d") == 5)
        #expect(grants.allSatisfy { $0.gang != nil })
        #expect(Set(grants.map(\.gang)).count == 1)
        #expect(cluster.round().isEmpty)
    }

    @Test("two gangs of one demand have two names", arguments: Subject.with(.demand))
    func twoOfOne(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["r"])
        cluster.demands("f", demand("d", "r", count: 6) { $0.gang = 3 })
        cluster.agents(5, size(1))
        let first = cluster.round()
        #expect(first.instances("f") == 3)
        cluster.acceptAll(first)
        cluster.agents(7, size(1))
        let second = cluster.round()
        #expect(second.instances("f") == 3)
        #expect(Set((first + second).map(\.gang)).count == 2)
    }

    @Test("of two gangs that compete, both finish", arguments: Subject.with(.demand))
    func competing(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["r"])
        cluster.framework("g", ["s"])
        cluster.demands("f", gang("d", "r", 6))
        cluster.demands("g", gang("e", "s", 6))
        cluster.agents(8, size(1))
        var finished: Set<FrameworkID> = []
        for _ in 0..<4 {
            let grants = cluster.round()
            for framework in ["f", "g"] as [FrameworkID] where grants.count(framework) > 0 {
                #expect(grants.instances(framework) == 6)
                finished.insert(framework)
            }
            cluster.acceptAll(grants)
            cluster.finishAll(grants)
            cluster.wait(.seconds(1))
        }
        #expect(finished == ["f", "g"])
    }

    @Test(
        "a gang gathers what is freed bit by bit among small demand that never ends",
        arguments: [10, 30])
    func gathers(secondsPerStep: Int) {
        for subject in Subject.with(.demand) {
            var cluster = Cluster(subject)
            cluster.framework("f", ["r"])
            cluster.framework("g", ["s"])
            cluster.agents(8, size(1))
            cluster.demands("g", demand("e", "s", count: 1_000_000))
            var running = cluster.round()
            #expect(running.count == 8)
            cluster.acceptAll(running)
            cluster.demands("f", gang("d", "r", 4))
            var isDone = false
            // Each step one small task ends and others may start.
            for _ in 0..<200 where !isDone {
                if !running.isEmpty { cluster.finish(running.removeFirst()) }
                cluster.wait(.seconds(secondsPerStep))
                for grant in cluster.round() {
                    cluster.accept(grant)
                    if grant.allocation.framework == "f" {
                        isDone = true
                    } else {
                        running.append(grant)
                    }
                }
            }
            #expect(isDone, "\(subject)")
        }
    }

    @Test("a gang that can never fit does not block others for ever")
    func tooLarge() {
        for subject in Subject.with(.demand) {
            var cluster = Cluster(subject)
            cluster.framework("f", ["r"])
            cluster.framework("g", ["s"])
            cluster.demands("f", gang("d", "r", 100))
            cluster.demands("g", demand("e", "s", count: 4))
            cluster.agents(8, size(1))
            var granted = 0
            for _ in 0..<100 {
                for grant in cluster.round() {
                    #expect(grant.allocation.framework == "g", "\(subject)")
                    granted += grant.instances
                    cluster.accept(grant)
                }
                guard let deadline = cluster.allocator.nextDeadline else { break }
                cluster.now = max(cluster.now, deadline)
            }
            #expect(granted == 4, "\(subject)")
        }
    }

    @Test("a gang of two shapes of agents is not split below its size")
    func neverPart() {
        for subject in Subject.with(.demand) {
            var cluster = Cluster(subject)
            cluster.framework("f", ["r"])
            cluster.demands("f", demand("d", "r", cpus: 2, count: 7) { $0.gang = 3 })
            cluster.agents(5, size(3))
            let grants = cluster.round()
            var counts: [GangID: Int] = [:]
            for grant in grants {
                grant.gang.map { counts[$0, default: 0] += grant.instances }
            }
            #expect(!counts.isEmpty && counts.values.allSatisfy { $0 == 3 }, "\(subject)")
        }
    }

    @Test("a gang that is given back is offered again, whole", arguments: Subject.with(.demand))
    func givenBack(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["r"])
        cluster.demands("f", gang("d", "r", 3))
        cluster.agents(3, size(1))
        for _ in 0..<3 {
            let grants = cluster.round()
            #expect(grants.instances("f") == 3)
            cluster.declineAll(grants)
        }
    }

    @Test("quota limits hold for a gang as a whole", arguments: Subject.with(.demand))
    func limit(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["q"])
        cluster.demands("f", gang("d", "q", 4))
        cluster.allocator.setQuota(
            Quota(role: "q", limits: [QuotaLimit(name: "cpus", amount: Milli(3))]))
        cluster.agents(8, size(1))
        #expect(cluster.round().isEmpty)
        cluster.allocator.setQuota(
            Quota(role: "q", limits: [QuotaLimit(name: "cpus", amount: Milli(4))]))
        #expect(cluster.round().instances("f") == 4)
    }

    @Test("a gang leaves nothing behind when its framework goes", arguments: Subject.with(.demand))
    func leaves(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["r"])
        cluster.framework("g", ["s"])
        cluster.demands("f", gang("d", "r", 9))
        cluster.demands("g", demand("e", "s", count: 100))
        cluster.agents(8, size(1))
        let first = cluster.round()
        cluster.allocator.removeFramework("f")
        cluster.agent("n08", size(1))
        #expect(first.count + cluster.round().count == 9)
    }
}
