import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferAllocation

@Suite("The search for victims")
struct VictimSearchTests {
    private static func need(
        cpus: Int = 2, mem: Int = 0, priority: Int = 10, role: String = "r", perAgent: Int? = nil
    ) -> Demand {
        Demand(
            id: "d", role: role, resources: amounts(cpus, mem), count: 100, priority: priority,
            perAgent: perAgent)
    }

    private static func amounts(_ cpus: Int, _ mem: Int = 0) -> ResourceQuantities {
        var amounts = ResourceQuantities()
        amounts.add(Milli(cpus), to: "cpus")
        amounts.add(Milli(mem), to: "mem")
        return amounts
    }

    private static func candidate(
        _ name: String, cpus: Int, mem: Int = 0, priority: Int = 0, role: String = "q",
        start: Int64? = nil, executor: ExecutorKey? = nil
    ) -> VictimCandidate {
        VictimCandidate(
            tasks: [TaskKey("f", TaskID(name))], role: role,
            resources: Resources(cpus: Milli(cpus), mem: Milli(mem)), priority: priority,
            startedAt: start.map { WallTime(nanosecondsSince1970: $0) }, executor: executor)
    }

    private static func agent(
        _ name: String, free: Int = 0, total: Int = 16, instances: Int = 0,
        _ candidates: [VictimCandidate], executors: [EndingExecutor] = []
    ) -> VictimAgent {
        VictimAgent(
            info: AgentInfo(
                hostname: name, resources: Resources(cpus: Milli(total), mem: Milli(1024)),
                id: AgentID(name)),
            free: Resources(cpus: Milli(free)), instances: instances, candidates: candidates,
            executors: executors)
    }

    private static func names(_ victims: Victims?) -> [String]? {
        victims?.tasks.map(\.task.value)
    }

    private func first(_ agents: [VictimAgent], uses: [RoleUse] = []) -> [String]? {
        first(Self.need(), agents, uses: uses)
    }

    private func first(
        _ demand: Demand, _ agents: [VictimAgent], uses: [RoleUse] = []
    ) -> [String]? {
        var search = VictimSearch(for: demand, isGuaranteed: false, uses: uses, among: agents)
        return Self.names(search.next())
    }

    @Test("only tasks of a strictly lower priority are taken")
    func priority() {
        #expect(first([Self.agent("a", [Self.candidate("t", cpus: 2, priority: 10)])]) == nil)
        #expect(first([Self.agent("a", [Self.candidate("t", cpus: 2, priority: 9)])]) == ["t"])
    }

    @Test("the lowest priority goes first, even if more tasks end")
    func lowestPriority() {
        #expect(
            first([
                Self.agent("a", [Self.candidate("high", cpus: 2, priority: 5)]),
                Self.agent(
                    "b",
                    [
                        Self.candidate("one", cpus: 1, priority: 1),
                        Self.candidate("two", cpus: 1, priority: 1),
                    ]),
            ]) == ["one", "two"])
    }

    @Test("of one priority the fewest tasks end, then the least is freed in vain")
    func fewest() {
        #expect(
            first([
                Self.agent("a", [Self.candidate("x", cpus: 1), Self.candidate("y", cpus: 1)]),
                Self.agent("b", [Self.candidate("large", cpus: 8)]),
                Self.agent("c", [Self.candidate("exact", cpus: 2)]),
            ]) == ["exact"])
    }

    @Test("of equals the one ends that has worked the shortest")
    func youngest() {
        #expect(
            first([
                Self.agent(
                    "a",
                    [
                        Self.candidate("old", cpus: 2, start: 1),
                        Self.candidate("young", cpus: 2, start: 2),
                    ])
            ]) == ["young"])
    }

    @Test("what is free is used first, and where it is enough nothing ends")
    func free() {
        #expect(
            first([Self.agent("a", free: 1, [Self.candidate("t", cpus: 1)])]) == ["t"])
        #expect(first([Self.agent("a", free: 2, [Self.candidate("t", cpus: 1)])]) == nil)
        #expect(first([Self.agent("a", free: 0, [Self.candidate("t", cpus: 1)])]) == nil)
    }

    @Test("a set has nobody in it who could stay", arguments: 0..<60)
    func minimal(seed: Int) {
        var generator = SeededGenerator(seed: UInt64(seed))
        // Below and above the number of candidates of which every set is tried.
        let count = Int.random(in: 1...24, using: &generator)
        let candidates = (0..<count).map { number in
            Self.candidate(
                "t\(number)", cpus: Int.random(in: 1...4, using: &generator),
                mem: Int.random(in: 0...4, using: &generator),
                priority: Int.random(in: 0...3, using: &generator), start: Int64(number))
        }
        let demand = Self.need(cpus: 6, mem: 3)
        let victims = first(demand, [Self.agent("a", free: 1, total: 200, candidates)])
        func covers(_ names: [String]) -> Bool {
            let freed = candidates.filter { names.contains($0.tasks[0].task.value) }
                .reduce(into: Resources(cpus: Milli(1))) { $0 += $1.resources }
            return freed.quantities.contains(demand.resources)
        }
        let all = candidates.map { $0.tasks[0].task.value }
        #expect((victims != nil) == covers(all))
        guard let victims else { return }
        #expect(covers(victims))
        for name in victims { #expect(!covers(victims.filter { $0 != name })) }
        // Nobody of a higher priority ends if those below were enough.
        let highest =
            candidates.filter { victims.contains($0.tasks[0].task.value) }
            .map(\.priority).max() ?? 0
        let below = candidates.filter { $0.priority < highest }.map { $0.tasks[0].task.value }
        #expect(!covers(below))
    }

    @Test("no other role falls below its guarantee")
    func guarantee() {
        let use = RoleUse(
            quota: Quota(role: "q", guarantees: Self.amounts(3)), consumed: Self.amounts(5))
        let candidates = [
            Self.candidate("small", cpus: 1, role: "q/x"),
            Self.candidate("large", cpus: 3, role: "q"),
            Self.candidate("other", cpus: 2, priority: 5, role: "p"),
        ]
        #expect(
            first(Self.need(cpus: 3), [Self.agent("a", candidates)], uses: [use])
                == ["small", "other"])
        #expect(first(Self.need(cpus: 3), [Self.agent("a", candidates)]) == ["large"])
    }

    @Test("for a guarantee, and until it is met, tasks of other roles end whatever their priority")
    func guaranteed() {
        let candidates = [
            Self.candidate("own", cpus: 2, priority: 20, role: "r"),
            Self.candidate("other", cpus: 2, priority: 20),
            Self.candidate("next", cpus: 2, priority: 20),
        ]
        let use = RoleUse(
            quota: Quota(role: "r", guarantees: Self.amounts(4)), consumed: Self.amounts(2))
        var search = VictimSearch(
            for: Self.need(), isGuaranteed: true, uses: [use],
            among: [Self.agent("a", candidates)])
        #expect(Self.names(search.next()) == ["other"])
        #expect(search.next() == nil)
    }

    @Test("a role at its limit gets room from its own tasks only")
    func limit() {
        let use = RoleUse(
            quota: Quota(role: "r", limits: [QuotaLimit(name: "cpus", amount: Milli(4))]),
            consumed: Self.amounts(4))
        let candidates = [
            Self.candidate("other", cpus: 2),
            Self.candidate("own", cpus: 2, priority: 3, role: "r/below"),
        ]
        #expect(first([Self.agent("a", candidates)], uses: [use]) == ["own"])
        #expect(first([Self.agent("a", [candidates[0]])], uses: [use]) == nil)
    }

    @Test("an agent that the constraints forbid, or that has enough instances, is left alone")
    func constraints() {
        var demand = Self.need(perAgent: 1)
        let candidates = [Self.candidate("t", cpus: 2)]
        #expect(first(demand, [Self.agent("a", instances: 1, candidates)]) == nil)
        demand.constraints = [
            [AttributeConstraint(selector: .hostname, predicate: .textEquals("b"))]
        ]
        #expect(first(demand, [Self.agent("a", candidates)]) == nil)
        #expect(first(demand, [Self.agent("b", candidates)]) == ["t"])
        var search = VictimSearch(
            for: Self.need(), isGuaranteed: false,
            constraints: OfferConstraint(
                role: "r",
                groups: [[AttributeConstraint(selector: .hostname, predicate: .textEquals("c"))]]),
            among: [Self.agent("b", candidates)])
        #expect(search.next() == nil)
    }

    @Test("what nobody in the role may use is not counted as freed")
    func foreignReservation() {
        var mine = Self.candidate("mine", cpus: 0)
        mine.resources = Resources([
            Resource("cpus", .scalar(Milli(2)), reservations: [Reservation(role: "r")])
        ])
        var foreign = mine
        foreign.tasks = [TaskKey("f", "foreign")]
        foreign.resources = Resources([
            Resource("cpus", .scalar(Milli(2)), reservations: [Reservation(role: "q")])
        ])
        #expect(first([Self.agent("a", [foreign])]) == nil)
        #expect(first([Self.agent("a", [foreign, mine])]) == ["mine"])
    }

    @Test("an executor's resources are free only with the last of its tasks")
    func executor() {
        let key = ExecutorKey("f", "e")
        func executor(_ units: Int) -> EndingExecutor {
            EndingExecutor(
                key: key, role: "q", resources: Resources(cpus: Milli(1)), units: units)
        }
        let candidates = [
            Self.candidate("x", cpus: 1, executor: key),
            Self.candidate("y", cpus: 1, executor: key),
        ]
        #expect(
            first(Self.need(cpus: 3), [Self.agent("a", candidates, executors: [executor(2)])])
                == ["x", "y"])
        // A third task, which may not end, keeps it alive.
        #expect(
            first(Self.need(cpus: 3), [Self.agent("a", candidates, executors: [executor(3)])])
                == nil)
    }

    @Test("ports are made free like anything else")
    func ports() {
        var demand = Self.need(cpus: 1)
        demand.ports = 2
        var held = Self.candidate("t", cpus: 1)
        held.resources += Resource("ports", .ranges(IntervalSet([1...2])))
        var agent = Self.agent("a", [held])
        #expect(first(demand, [agent]) == ["t"])
        agent.candidates = [Self.candidate("t", cpus: 1)]
        #expect(first(demand, [agent]) == nil)
    }

    @Test("one victim after the other makes room, and a large one for several instances")
    func several() {
        var search = VictimSearch(
            for: Self.need(cpus: 2), isGuaranteed: false,
            among: [
                Self.agent("a", [Self.candidate("two", cpus: 2)]),
                Self.agent("b", [Self.candidate("six", cpus: 6)]),
            ])
        let all = [search.next(), search.next(), search.next()]
        #expect(all.map(Self.names) == [["two"], ["six"], nil])
        #expect(all.map { $0?.instances } == [1, 3, nil])
    }

    @Test("what one victim costs a guarantee, the next cannot take again")
    func usedUp() {
        let use = RoleUse(
            quota: Quota(role: "q", guarantees: Self.amounts(2)), consumed: Self.amounts(4))
        var search = VictimSearch(
            for: Self.need(), isGuaranteed: false, uses: [use],
            among: ["a", "b"].map { Self.agent($0, [Self.candidate($0, cpus: 2)]) })
        #expect(Self.names(search.next()) == ["a"])
        #expect(search.next() == nil)
    }

    @Test("a gang takes what is free before anything ends")
    func takeFree() {
        var search = VictimSearch(
            for: Self.need(cpus: 2), isGuaranteed: false,
            among: [Self.agent("a", free: 5, [Self.candidate("t", cpus: 1)])])
        #expect(search.takeFree(upTo: 9) == 2)
        #expect(Self.names(search.next()) == ["t"])
    }

    @Test(
        "sets that are too small to be enough, or larger than one that is, are not looked at",
        arguments: [(1, 12), (11, 12), (12, 1), (2, 66)])
    func combinations(cpus: Int, count: Int) {
        let candidates = (0..<12).map { Self.candidate("t\($0)", cpus: 1) }
        var search = VictimSearch(
            for: Self.need(cpus: cpus), isGuaranteed: false,
            among: [Self.agent("a", candidates)])
        #expect(search.next()?.tasks.count == cpus)
        #expect(search.combinations == count)
    }
}
