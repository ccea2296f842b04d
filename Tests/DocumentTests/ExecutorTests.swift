import Proffer
import Testing

@Suite("Page of executors")
struct ExecutorTests {
    @Test("a task names its executor in place of a command")
    func task() {
        let offer = Offer(
            id: "o", frameworkID: "f", agentID: "a", hostname: "h", resources: Resources(),
            role: "*")
        let resources = Resources(cpus: Milli(1), mem: Milli(32))
        let executor = ExecutorInfo(
            id: "warm",
            command: CommandInfo(value: "/opt/warm", shell: false, arguments: ["/opt/warm"]),
            resources: Resources(cpus: Milli(thousandths: 100), mem: Milli(64)))
        let task = TaskInfo(
            name: "job", id: "job-1", agentID: offer.agentID, resources: resources,
            executor: executor, data: Array("1000".utf8))
        #expect(task.command == nil)
        #expect(task.executor?.kind == .custom)
    }
}
