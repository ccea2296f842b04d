import ClusterProbe
import Foundation
import Proffer
import ProfferEmbedded
import Testing

@Suite("Launch", .serialized, .timeLimit(.minutes(5)))
struct LaunchTests {
    @Test("one bad offer spoils the call, and the good ones go back without a refusal")
    func badOffer() async throws {
        try await withProbe { _, probe in
            let offer = try await probe.offer()
            probe.call(
                .accept(
                    offers: [offer.id, "no-such-offer"],
                    operations: [Operation(action: .launch([TaskInfo("t", "true", on: offer)]))],
                    filters: nil))
            let status = try await probe.update("t", .dropped)
            #expect(status.reason == .invalidOffers)
            #expect(status.uuid == nil)
            let again = try await probe.offer()
            #expect(again.resources == offer.resources)
            #expect(again.id != offer.id)
        }
    }

    @Test("files of tasks are fetched by the program beside this one, from nowhere on the node")
    func fetch() async throws {
        try await withProbe { _, probe in
            let offer = try await probe.offer()
            var task = TaskInfo("t", "true", on: offer)
            task.command?.uris = [FetchURI(value: "file:///etc/hostname")]
            probe.launch([task], on: offer)
            let message = try await probe.update("t", .failed).message ?? ""
            #expect(message.contains("fetches no files of the node from there"), "\(message)")
        }
    }

    @Test("an offer that is listed twice spoils the call")
    func offerTwice() async throws {
        try await withProbe { _, probe in
            let offer = try await probe.offer()
            probe.call(
                .accept(
                    offers: [offer.id, offer.id],
                    operations: [Operation(action: .launch([TaskInfo("t", "true", on: offer)]))],
                    filters: nil))
            #expect(try await probe.update("t", .dropped).reason == .invalidOffers)
            _ = try await probe.offer()
        }
    }

    @Test("a framework that is not partition aware sees LOST for DROPPED")
    func lost() async throws {
        let info = FrameworkInfo(name: "old", capabilities: [.multiRole])
        try await withProbe(info) { _, probe in
            let offer = try await probe.offer()
            probe.call(
                .accept(
                    offers: ["no-such-offer"],
                    operations: [Operation(action: .launch([TaskInfo("t", "true", on: offer)]))],
                    filters: nil))
            #expect(try await probe.update("t", .lost).reason == .invalidOffers)
        }
    }

    @Test("operations see each other's result: RESERVE, CREATE, then a task on the volume")
    func chain() async throws {
        let info = FrameworkInfo(name: "probe", roles: ["store"])
        try await withProbe(info) { _, probe in
            let offer = try await probe.offer()
            let reservation = Reservation(kind: .dynamic, role: "store")
            let reserved = Resource(
                "disk", .scalar(Milli(4)), reservations: [reservation])
            var volume = reserved
            volume.disk = DiskInfo(persistenceID: "v1", containerPath: "data")
            var task = TaskInfo("writer", "true", on: offer)
            task.resources += volume
            probe.call(
                .accept(
                    offers: [offer.id],
                    operations: [
                        Operation(id: "reserve", action: .reserve(Resources([reserved]))),
                        Operation(id: "create", action: .create(Resources([volume]))),
                        Operation(action: .launch([task])),
                    ], filters: Filters(refuse: .zero)))
            try await probe.update("writer", .finished)
            #expect(probe.history.operations.map(\.state) == [.finished, .finished])
            _ = try await probe.offer("an offer with the volume") {
                $0.resources.items.contains { $0.disk?.persistenceID == "v1" }
            }
        }
    }

    @Test("a task that needs a later operation fails, and the operations succeed")
    func chainInWrongOrder() async throws {
        let info = FrameworkInfo(name: "probe", roles: ["store"])
        try await withProbe(info) { _, probe in
            let offer = try await probe.offer()
            let reserved = Resource(
                "disk", .scalar(Milli(4)),
                reservations: [Reservation(kind: .dynamic, role: "store")])
            var task = TaskInfo("early", "true", on: offer)
            task.resources += reserved
            probe.call(
                .accept(
                    offers: [offer.id],
                    operations: [
                        Operation(action: .launch([task])),
                        Operation(id: "reserve", action: .reserve(Resources([reserved]))),
                    ], filters: nil))
            #expect(try await probe.update("early", .error).reason == .taskInvalid)
            try await eventually("the outcome of RESERVE") {
                probe.history.operations.map(\.state) == [.finished]
            }
        }
    }

    @Test("a launch judges each task by itself")
    func eachByItself() async throws {
        try await withProbe { _, probe in
            let offer = try await probe.offer()
            probe.launch(
                [
                    TaskInfo("t1", "true", on: offer),
                    TaskInfo("t2", "true", on: offer, cpus: Milli(50)),
                    TaskInfo("t3", "true", on: offer),
                ], on: offer)
            try await probe.update("t1", .finished)
            try await probe.update("t3", .finished)
            #expect(try await probe.update("t2", .error).reason == .taskInvalid)
        }
    }

    private func group(_ tasks: [TaskInfo], on offer: Offer) -> SchedulerCall {
        let executor = ExecutorInfo(
            id: "pod", kind: .default,
            resources: Resources(cpus: Milli(thousandths: 100), mem: Milli(32)))
        return .accept(
            offers: [offer.id],
            operations: [Operation(action: .launchGroup(executor: executor, tasks: tasks))],
            filters: Filters(refuse: .zero))
    }

    @Test("one task that is not valid refuses its whole group")
    func groupIsAtomic() async throws {
        try await withProbe { _, probe in
            let offer = try await probe.offer()
            let tasks = [
                TaskInfo("t1", "true", on: offer),
                TaskInfo("t2", "true", on: offer, cpus: Milli(50)),
                TaskInfo("t3", "true", on: offer),
            ]
            probe.call(group(tasks, on: offer))
            for task in tasks {
                let status = try await probe.update(task.id, .error)
                #expect(status.reason == .taskGroupInvalid)
            }
            #expect(try await probe.offer().resources == offer.resources)
        }
    }

    @Test("a group runs in one executor, and the failure of one task ends the others")
    func groupRuns() async throws {
        try await withProbe { _, probe in
            let offer = try await probe.offer()
            let tasks = [
                TaskInfo("server", "sleep 600", on: offer),
                TaskInfo("sidecar", "while [ ! -e fail ]; do sleep 0.05; done; exit 3", on: offer),
            ]
            probe.call(group(tasks, on: offer))
            let server = try await probe.update("server", .running)
            let sidecar = try await probe.update("sidecar", .running)
            #expect(server.executorID == "pod")
            #expect(sidecar.executorID == "pod")
            let pid = try #require(sidecar.containerStatus?.pid)
            let directory = try FileManager.default.destinationOfSymbolicLink(
                atPath: "/proc/\(pid)/cwd")
            try TextFile.write("", to: directory + "/fail")
            try await probe.update("sidecar", .failed)
            try await probe.update("server", .killed)
        }
    }

    @Test("the id of a live task cannot be used again, the id of an ended one can")
    func taskIDs() async throws {
        try await withProbe { _, probe in
            try await probe.run("t", "sleep 600")
            let offer = try await probe.offer()
            probe.launch([TaskInfo("t", "true", on: offer)], on: offer)
            #expect(try await probe.update("t", .error).reason == .taskInvalid)
            probe.call(.kill("t", agent: nil, policy: nil))
            try await probe.update("t", .killed)
            try await probe.settled()
            let next = try await probe.offer()
            probe.launch([TaskInfo("t", "true", on: next)], on: next)
            try await probe.update("t", .finished)
        }
    }

    @Test("a program that does not exist fails its task with the reason")
    func noSuchProgram() async throws {
        try await withProbe { cluster, probe in
            let offer = try await probe.offer()
            var task = TaskInfo("t", "", on: offer)
            task.command = CommandInfo(
                value: "/no/such/program", shell: false, arguments: ["program"])
            probe.launch([task], on: offer)
            let status = try await probe.update("t", .failed)
            #expect(status.reason == .containerLaunchFailed)
            #expect(status.message?.contains("/no/such/program") == true)
            #expect(status.message?.contains("No such file") == true)
        }
    }

    @Test("a command that fails keeps its sandbox, and the update ends with its last words")
    func failingCommand() async throws {
        try await withProbe { cluster, probe in
            let id = try await probe.subscribed()
            let offer = try await probe.offer()
            probe.launch(
                [TaskInfo("t", "echo out; echo no luck >&2; exit 7", on: offer)], on: offer)
            let status = try await probe.update("t", .failed)
            #expect(status.exit?.code == 7)
            #expect(status.message?.contains("no luck") == true)
            let sandbox = try #require(await cluster.sandbox(TaskKey(id, "t")))
            #expect(TextFile.read(sandbox + "/stdout") == "out\n")
            #expect(
                TextFile.read(sandbox + "/stderr") == "no luck\n")
        }
    }

    @Test("a task finds its ports, its id and its sandbox in its environment")
    func environment() async throws {
        try await withProbe { cluster, probe in
            let id = try await probe.subscribed()
            let offer = try await probe.offer()
            var budget = OfferBudget(offer)
            var task = TaskInfo("t", "echo $PROFFER_TASK_ID $PORT0; pwd", on: offer)
            let resources = budget.take(
                cpus: Milli(thousandths: 100), mem: Milli(32), ports: 1)
            task.resources = try #require(resources)
            probe.launch([task], on: offer)
            try await probe.update("t", .finished)
            let sandbox = try #require(await cluster.sandbox(TaskKey(id, "t")))
            let port = try #require(offer.resources.ports.prefix(1).first)
            #expect(
                TextFile.read(sandbox + "/stdout")
                    == "t \(port)\n\(sandbox)\n")
        }
    }

    @Test("the framework of the example runs to its end")
    func hello() async throws {
        try await withCluster { cluster in
            try await Greeter().run(connection: cluster.connection)
            try await eventually("the end of the framework") {
                try await cluster.frameworks().allSatisfy(\.isRemoved)
            }
        }
    }
}

/// Runs three short tasks and ends.
private actor Greeter: Framework {
    let info = FrameworkInfo(name: "greeter")
    private var launched = 0
    private var ended = 0

    init() {}

    func resourceOffers(_ offers: [Offer], _ scheduler: Scheduler) {
        for offer in offers {
            let tasks = (launched..<3).map { TaskInfo(TaskID("t\($0)"), "true", on: offer) }
            launched = 3
            scheduler.launch(tasks, on: offer, refuse: .seconds(3600))
        }
    }

    func statusUpdate(_ status: TaskStatus, _ scheduler: Scheduler) {
        if status.state == .finished { ended += 1 }
        if ended == 3 { scheduler.stop() }
    }
}
