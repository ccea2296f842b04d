import ProfferAgent
import ProfferKernel
import ProfferModel
import Testing

@Suite("Directories of what has ended")
struct CollectionTests {
    private func candidate(_ path: String, _ age: Duration) -> CollectionRule.Candidate {
        CollectionRule.Candidate(path: path, age: age)
    }

    @Test(
        "they are kept the shorter the fuller the disk is",
        arguments: [
            (0, 0.1, 900), (0.5, 0.1, 400), (0.9, 0.1, 0), (0.95, 0.1, 0), (1, 0, 0),
            (0, 0, 1000), (0, 1, 0), (-1, 0.5, 500), (2, -3, 0), (.nan, .nan, 1000),
            (.infinity, 0, 0),
        ] as [(Double, Double, Double)])
    func longest(use: Double, headroom: Double, seconds: Double) {
        let rule = CollectionRule(delay: .seconds(1000), headroom: headroom)
        let longest = rule.longest(use: use)
        #expect(abs(longest / .seconds(1) - seconds) < 0.001)
    }

    @Test("the oldest go first, and what is younger stays")
    func due() {
        let rule = CollectionRule(delay: .seconds(100), headroom: 0)
        let list = [
            candidate("b", .seconds(60)), candidate("young", .seconds(49)),
            candidate("a", .seconds(60)), candidate("old", .seconds(90)),
        ]
        #expect(rule.due(list, use: 0.5) == ["old", "a", "b"])
        #expect(rule.due(list, use: 1) == ["old", "a", "b", "young"])
        #expect(rule.due(list, use: 0).isEmpty)
    }

    private func discarded(_ bench: AgentBench) -> [String] {
        bench.effects.flatMap { effect -> [String] in
            if case .discard(let paths) = effect { paths } else { [] }
        }
    }

    @Test("a directory is put away when neither a task nor an executor has it any more")
    func inUse() throws {
        var bench = AgentBench()
        bench.join()
        bench.fromMaster(run("t1"))
        let executor = try #require(bench.launches.first?.directory)
        let sandbox = "/data/sandboxes/f1/t1"
        let paths = [sandbox, "/data/sandboxes/f1/t0", executor]
        bench.give(.operation(.discard(paths: paths), QueryID(value: 1)))
        #expect(discarded(bench) == ["/data/sandboxes/f1/t0"])
        let answers = bench.effects.compactMap { effect -> AgentAnswer? in
            if case .answer(let answer, _) = effect { answer } else { nil }
        }
        #expect(answers == [.inUse(paths: [sandbox, executor])])
    }

    @Test("a task whose end is not acknowledged keeps its directory")
    func unacknowledged() {
        var bench = AgentBench()
        bench.join()
        bench.fromMaster(run("t1"))
        bench.bringUp(PeerID(5))
        bench.say(.update(update("t1", .finished, 1)), from: PeerID(5))
        let ask = AgentInput.operation(
            .discard(paths: ["/data/sandboxes/f1/t1"]), QueryID(value: 1))
        bench.give(ask)
        #expect(discarded(bench).isEmpty)
        bench.fromMaster(.acknowledge(TaskKey("f1", "t1"), uuid: uuid(1)))
        bench.give(ask)
        #expect(discarded(bench) == ["/data/sandboxes/f1/t1"])
    }
}
