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
            (0, 100, 900), (500, 100, 400), (900, 100, 0), (950, 100, 0), (1000, 0, 0),
            (0, 0, 1000), (0, 1000, 0), (-1000, 500, 500), (2000, -3000, 0),
            (.min, .min, 1000), (.max, .max, 0),
        ] as [(Int64, Int64, Int64)])
    func longest(use: Int64, headroom: Int64, seconds: Int64) {
        let rule = CollectionRule(delay: .seconds(1000), headroom: headroom)
        #expect(rule.longest(use: use) == .seconds(seconds))
    }

    @Test("the oldest go first, and what is younger stays")
    func due() {
        let rule = CollectionRule(delay: .seconds(100), headroom: 0)
        let list = [
            candidate("b", .seconds(60)), candidate("young", .seconds(49)),
            candidate("a", .seconds(60)), candidate("old", .seconds(90)),
        ]
        #expect(rule.due(list, use: 500) == ["old", "a", "b"])
        #expect(rule.due(list, use: 1000) == ["old", "a", "b", "young"])
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
