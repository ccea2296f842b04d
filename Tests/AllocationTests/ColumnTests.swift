import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferAllocation

@Suite("Names of resources")
struct ColumnTests {
    private static func quantities(_ names: [String]) -> ResourceQuantities {
        names.reduce(into: ResourceQuantities()) { $0.add(Milli(1), to: $1) }
    }

    private static func agent(_ id: AgentID, _ items: [Resource]) -> AgentInfo {
        AgentInfo(
            hostname: id.value, resources: Resources(cpus: Milli(4)) + Resources(items), id: id)
    }

    @Test("what frameworks invent takes no room from what agents have")
    func invented() {
        var allocator = HierarchicalAllocator()
        let invented = (0..<100).map { "invented-\($0)" }
        allocator.setFramework(
            AllocatorFramework(
                id: "f", roles: ["r"],
                minimums: [MinimumOffer(role: "r", quantities: [Self.quantities(invented)])]),
            isActive: true)
        allocator.setDemands(
            "f", [Demand(id: "d", role: "r", resources: Self.quantities(invented))], at: .zero)
        _ = allocator.claim(
            [
                Allocation(
                    framework: "f", role: "r", agent: "n",
                    resources: Resources(invented.map { Resource($0, .scalar(Milli(1))) }))
            ], at: .zero)
        allocator.setAgent(
            Self.agent("n", [Resource("widgets", .scalar(Milli(10)))]), isActive: true)
        allocator.hold(
            Allocation(
                framework: "f", role: "r", agent: "n",
                resources: Resources([Resource("widgets", .scalar(Milli(5)))])))
        #expect(allocator.shareMillionths(role: "r") == 500_000)
    }

    @Test("a demand for what no agent has is told so, and met when an agent brings it")
    func learned() {
        var allocator = HierarchicalAllocator()
        allocator.setFramework(AllocatorFramework(id: "f", roles: ["r"]), isActive: true)
        let demand = Demand(id: "d", role: "r", resources: Self.quantities(["widgets"]))
        allocator.setDemands("f", [demand], at: .zero)
        allocator.setAgent(Self.agent("n", []), isActive: true)
        var grants: [Grant] = []
        allocator.allocate(at: .zero, into: &grants)
        #expect(grants.isEmpty)
        let answer = allocator.explain(
            PlacementQuestion(framework: "f", demand: demand), at: .zero)
        #expect(answer.obstacle == "no agent has a resource called 'widgets'")
        allocator.setAgent(
            Self.agent("m", [Resource("widgets", .scalar(Milli(1)))]), isActive: true)
        allocator.allocate(at: .zero, into: &grants)
        #expect(grants.map(\.allocation.agent) == ["m"])
    }

    @Test("a minimum that no agent can meet brings no offer, until one can")
    func minimum() {
        var allocator = HierarchicalAllocator()
        let least = MinimumOffer(role: "r", quantities: [Self.quantities(["widgets"])])
        allocator.setFramework(
            AllocatorFramework(id: "f", roles: ["r"], minimums: [least]), isActive: true)
        allocator.setAgent(Self.agent("n", []), isActive: true)
        var grants: [Grant] = []
        allocator.allocate(at: .zero, into: &grants)
        #expect(grants.isEmpty)
        allocator.setAgent(
            Self.agent("m", [Resource("widgets", .scalar(Milli(1)))]), isActive: true)
        allocator.allocate(at: .zero, into: &grants)
        #expect(grants.map(\.allocation.agent) == ["m"])
    }

    @Test("what is reserved counts the same before and after another agent has it free")
    func reserved() {
        var allocator = HierarchicalAllocator()
        let kept = Resource(
            "widgets", .scalar(Milli(3)), reservations: [Reservation(kind: .static, role: "r")])
        allocator.setAgent(Self.agent("n", [kept]), isActive: true)
        allocator.setAgent(
            Self.agent("m", [Resource("widgets", .scalar(Milli(1)))]), isActive: true)
        allocator.removeAgent("n")
        allocator.removeAgent("m")
        #expect(allocator.total.isZero && allocator.available.isZero)
    }
}
