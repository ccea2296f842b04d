import Proffer
import Testing

@testable import BatchPolicy

@Suite("Dependencies")
struct DependencyTests {
    @Test("a task is launched when everything it depends on has finished")
    func order() {
        var bench = Bench()
        bench.submit(
            task("reduce", depends: ["map", "fetch"]), task("map", count: 2, depends: ["fetch"]),
            task("fetch"))
        #expect(bench.show("job-1")?.counts.waiting == 3)
        #expect(bench.offer(cpus: 9) == ["job-1.fetch.0.1"])
        bench.finish(["job-1.fetch.0.1"])
        #expect(bench.hasRevived)
        let maps = bench.offer(cpus: 9)
        #expect(maps == ["job-1.map.0.1", "job-1.map.1.1"])
        bench.finish([maps[0]])
        #expect(bench.offer(cpus: 9) == [])
        bench.finish([maps[1]])
        #expect(bench.offer(cpus: 9) == ["job-1.reduce.0.1"])
        bench.finish(["job-1.reduce.0.1"])
        let job = bench.show("job-1")
        #expect(job?.state == .finished)
        #expect(job?.exitCode == 0)
    }

    @Test("a dependency that is named twice counts once")
    func twice() {
        var bench = Bench()
        bench.submit(task("a"), task("b", depends: ["a", "a"]))
        bench.finish(bench.offer())
        #expect(bench.offer() == ["job-1.b.0.1"])
    }

    @Test("a cycle is found and named in its order")
    func cycle() {
        let job = JobSpecification(
            name: "j",
            tasks: [
                task("free"), task("a", depends: ["c"]), task("b", depends: ["a"]),
                task("c", depends: ["free", "b"]),
            ])
        #expect(job.dependencyProblems == [.cycle(["a", "c", "b"], index: 1)])
    }

    @Test("a task that depends on itself is a cycle")
    func itself() {
        let job = JobSpecification(name: "j", tasks: [task("a", depends: ["a"])])
        #expect(job.dependencyProblems == [.cycle(["a"], index: 0)])
    }

    @Test("an unknown dependency comes with the nearest name")
    func unknown() {
        let job = JobSpecification(
            name: "j", tasks: [task("prepare"), task("b", depends: ["preprae", "zzz"])])
        #expect(
            job.dependencyProblems == [
                .unknown("preprae", index: 1, suggestion: "prepare"),
                .unknown("zzz", index: 1, suggestion: nil),
            ])
    }

    @Test("a name that is given twice is a problem of the later task")
    func repeated() {
        let job = JobSpecification(name: "j", tasks: [task("a"), task("a")])
        #expect(job.dependencyProblems == [.repeatedName("a", index: 1)])
    }

    @Test("a chain of 20,000 tasks is no cycle")
    func chain() {
        let tasks = (0..<20_000).map { task("t\($0)", depends: $0 > 0 ? ["t\($0 - 1)"] : []) }
        #expect(JobSpecification(name: "j", tasks: tasks).dependencyProblems.isEmpty)
    }

    @Test("a job with a cycle is refused by the scheduler too")
    func refused() {
        var bench = Bench()
        #expect(bench.submit(task("a", depends: ["a"])) == "refused")
        #expect(bench.changes.isEmpty)
    }
}
