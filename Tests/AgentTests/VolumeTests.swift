import ProfferAgent
import ProfferModel
import Testing

@Suite("Volumes of an agent")
struct VolumeTests {
    private static let info = AgentInfo(
        hostname: "node", resources: Resources(cpus: Milli(4), disk: Milli(1000)))

    private static func volume(_ id: String, size: Int = 100) -> Resource {
        Resource(
            "disk", .scalar(Milli(size)),
            reservations: [Reservation(role: "db")],
            disk: DiskInfo(persistenceID: id, containerPath: "data"))
    }

    /// The agent with volumes of 100 MiB each.
    private static func resources(_ ids: String...) -> Resources {
        var resources = Resources(cpus: Milli(4), disk: Milli(1000 - 100 * ids.count))
        for id in ids { resources += volume(id) }
        return resources
    }

    private static func place(_ id: String) -> VolumePlace {
        VolumePlace(top: "/data/volumes", names: ["roles", "db", id])
    }

    private func changes(_ bench: AgentBench) -> [[VolumePlace]] {
        bench.effects.compactMap {
            if case .changeVolumes(let gone, let new) = $0 { gone + new } else { nil }
        }
    }

    private func kept(_ bench: AgentBench) -> Resources? {
        for case .identity(let info, _) in bench.records { return info.resources }
        return nil
    }

    private func joined() -> AgentBench {
        var bench = AgentBench(info: Self.info)
        bench.join()
        return bench
    }

    @Test("a new volume is kept before anything in its place is moved")
    func created() {
        var bench = joined()
        bench.fromMaster(.updateResources(Self.resources("a")))
        #expect(kept(bench) == Self.resources("a"))
        #expect(changes(bench) == [[Self.place("a")]])
        guard case .commit = bench.effects.first else {
            Issue.record("the commit does not come first: \(bench.effects)")
            return
        }
        bench.give(.volumesChanged)
        #expect(kept(bench) == Self.resources("a"))
    }

    @Test("data of a destroyed volume is put away before its end is kept")
    func destroyed() {
        var bench = joined()
        bench.fromMaster(.updateResources(Self.resources("a", "b")))
        bench.give(.volumesChanged)
        bench.fromMaster(.updateResources(Self.resources("b")))
        #expect(changes(bench) == [[Self.place("a")]])
        #expect(kept(bench) == Self.resources("a", "b"))
        bench.give(.volumesChanged)
        #expect(kept(bench) == Self.resources("b"))
    }

    @Test("an agent that ends before a destroyed volume is put away does it after its next start")
    func destroyedInCrash() {
        var bench = joined()
        bench.fromMaster(.updateResources(Self.resources("a")))
        bench.give(.volumesChanged)
        bench.fromMaster(.updateResources(Self.resources()))
        var next = bench.restarted(living: [], info: Self.info)
        next.give(.masterOpened(AgentBench.master))
        guard case .reregister(let message, _, _)? = next.toMaster.first else {
            Issue.record("no re-registration")
            return
        }
        #expect(message.info.resources == Self.resources("a"))
        next.fromMaster(
            .reregistered(AgentBench.agentID, pingTimeout: .seconds(75), reconcile: []))
        next.fromMaster(.updateResources(Self.resources()))
        #expect(changes(next) == [[Self.place("a")]])
        next.give(.volumesChanged)
        #expect(kept(next) == Self.resources())
    }

    @Test("orders that come while data is put away are taken over in the end")
    func several() {
        var bench = joined()
        bench.fromMaster(.updateResources(Self.resources("a")))
        bench.give(.volumesChanged)
        bench.fromMaster(.updateResources(Self.resources()))
        bench.fromMaster(.updateResources(Self.resources("a")))
        #expect(changes(bench).isEmpty)
        bench.fromMaster(.updateResources(Self.resources()))
        #expect(changes(bench) == [[Self.place("a")]])
        bench.give(.volumesChanged)
        #expect(kept(bench) == Self.resources("a"))
        bench.give(.volumesChanged)
        #expect(kept(bench) == Self.resources())
    }

    @Test("a volume that grows stays where it is")
    func grown() {
        var bench = joined()
        bench.fromMaster(.updateResources(Self.resources("a")))
        bench.give(.volumesChanged)
        var larger = Resources(cpus: Milli(4), disk: Milli(800))
        larger += Self.volume("a", size: 200)
        bench.fromMaster(.updateResources(larger))
        #expect(changes(bench).isEmpty)
        #expect(kept(bench) == larger)
    }

    @Test("an agent that is given other amounts comes back with them and touches no data")
    func otherAmounts() {
        var bench = joined()
        bench.fromMaster(.updateResources(Self.resources("a")))
        bench.give(.volumesChanged)
        var info = Self.info
        info.resources = Resources(cpus: Milli(8), disk: Milli(1000))
        var next = bench.restarted(living: [], info: info)
        next.give(.masterOpened(AgentBench.master))
        guard case .reregister(let message, _, _)? = next.toMaster.first else {
            Issue.record("no re-registration")
            return
        }
        #expect(message.info.resources == info.resources)
        #expect(changes(next).isEmpty)
    }
}
