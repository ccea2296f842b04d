/// For which agents a filter holds, as far as it has been asked.
struct AgentVerdicts: Sendable {
    private var known = Bits()
    private var admitted = Bits()

    init() {}

    /// Whether the filter holds for an agent; asked once.
    mutating func holds(_ agent: Int, _ ask: () -> Bool) -> Bool {
        if known.insert(agent), ask() { admitted.insert(agent) }
        return admitted.contains(agent)
    }

    mutating func forget(_ agent: Int) {
        known.remove(agent)
        admitted.remove(agent)
    }

    func moved(_ places: [Int]) -> AgentVerdicts {
        var moved = AgentVerdicts()
        moved.known = known.moved(places)
        moved.admitted = admitted.moved(places)
        return moved
    }
}
