import OrderedCollections
import ProfferAllocation
import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferMaster

/// One way in which a task can be wrong, and a word of what its author is told.
struct Fault: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var word: String
    var spoil: @Sendable (inout TaskInfo) -> Void

    init(_ name: String, _ word: String, _ spoil: @escaping @Sendable (inout TaskInfo) -> Void) {
        testDescription = name
        self.word = word
        self.spoil = spoil
    }

    static func executor(_ id: ExecutorID = "e") -> ExecutorInfo {
        ExecutorInfo(id: id, command: CommandInfo(value: "run"))
    }

    static let all = ids + amounts + programs + checks + secrets

    private static func volume(_ secret: Secret) -> ContainerInfo {
        ContainerInfo(volumes: [Volume(containerPath: "key", secret: secret)])
    }

    private static func variable(_ secret: Secret) -> [EnvironmentVariable] {
        [EnvironmentVariable(name: "DB", value: "", secret: secret)]
    }

    static let secrets: [Fault] = [
        Fault("secret told in a variable", "is told itself") {
            $0.command?.environment = variable(.value)
        },
        Fault("secret told in a volume", "is told itself") { $0.container = volume(.value) },
        Fault("secret without a name", "has no name") {
            $0.command?.environment = variable(.reference(SecretReference(name: "")))
        },
        Fault("secret with a line end in its key", "control character") {
            $0.container = volume(.reference(SecretReference(name: "a", key: "b\n")))
        },
        Fault("secret with a long name", "255") {
            $0.container = volume(
                .reference(SecretReference(name: String(repeating: "x", count: 256))))
        },
        Fault("secret of a custom executor's task", "own executor") {
            $0.command = nil
            $0.executor = executor()
            $0.container = volume(.reference(SecretReference(name: "a")))
        },
        Fault("secret told in an executor", "is told itself") {
            $0.command = nil
            $0.executor = executor()
            $0.executor?.command?.environment = variable(.value)
        },
        Fault("secret in a volume of an executor", "environment only") {
            $0.command = nil
            $0.executor = executor()
            $0.executor?.container = volume(.reference(SecretReference(name: "a")))
        },
        Fault("secret of a check", "finds those of its task") {
            $0.check = CheckInfo(
                kind: .command(
                    CommandInfo(
                        value: "true",
                        environment: variable(.reference(SecretReference(name: "a"))))))
        },
        Fault("no time to launch", "launch timeout") { $0.launchTimeout = .zero },
    ]

    static let ids: [Fault] = [
        Fault("empty id", "empty") { $0.id = "" },
        Fault("id with a slash", "'/'") { $0.id = "a/b" },
        Fault("id with a backslash", "'/'") { $0.id = "a\\b" },
        Fault("id with a control character", "control") { $0.id = "a\u{7}" },
        Fault("id '..'", "'..'") { $0.id = ".." },
        Fault("id too long", "255") { $0.id = TaskID(String(repeating: "x", count: 256)) },
        Fault("duplicate id", "in use") { $0.id = "first" },
        Fault("another agent", "names agent") { $0.agentID = "elsewhere" },
    ]

    static let amounts: [Fault] = [
        Fault("no resources", "no resources") { $0.resources = Resources() },
        Fault("more than offered", "needs") { $0.resources = Resources(cpus: Milli(5)) },
        Fault("resource not offered", "needs") {
            $0.resources = Resources([Resource("gold", .scalar(Milli(1)))])
        },
        Fault("negative amount", "negative") {
            $0.resources = Resources([Resource("cpus", .scalar(Milli(-1)))])
        },
        Fault("absurd amount", "than there can be") {
            $0.resources = Resources([Resource("cpus", .scalar(Milli(thousandths: .max)))])
        },
        Fault("part of a GPU", "whole ones") {
            $0.resources = Resources([Resource("gpus", .scalar(Milli(thousandths: 500)))])
        },
        Fault("nameless resource", "without a name") {
            $0.resources = Resources([Resource("", .scalar(Milli(1)))])
        },
        Fault("revocable and not", "mixes") {
            $0.resources += Resource("cpus", .scalar(Milli(1)), isRevocable: true)
        },
        Fault("one volume twice", "twice") {
            let disk = DiskInfo(persistenceID: "v", containerPath: "p")
            let kept = [Reservation(role: "r")]
            $0.resources += Resource("disk", .scalar(Milli(1)), reservations: kept, disk: disk)
            $0.resources += Resource("disk", .scalar(Milli(2)), reservations: kept, disk: disk)
        },
        Fault("limit of another resource", "only cpus and mem") {
            $0.limits = [ResourceLimit(name: "disk", amount: Milli(1))]
        },
        Fault("limit below the request", "below") {
            $0.limits = [ResourceLimit(name: "cpus", amount: Milli(thousandths: 1))]
        },
    ]

    static let programs: [Fault] = [
        Fault("neither command nor executor", "exactly one") { $0.command = nil },
        Fault("both command and executor", "exactly one") { $0.executor = executor() },
        Fault("empty command", "empty") { $0.command = CommandInfo(value: "") },
        Fault("no program", "names no program") {
            $0.command = CommandInfo(value: nil, shell: false)
        },
        Fault("nameless variable", "no valid name") {
            $0.command?.environment = [EnvironmentVariable(name: "", value: "x")]
        },
        Fault("variable with '='", "no valid name") {
            $0.command?.environment = [EnvironmentVariable(name: "A=B", value: "x")]
        },
        Fault("variable with a zero byte", "no valid name") {
            $0.command?.environment = [EnvironmentVariable(name: "A", value: "\0")]
        },
        Fault("executor without a command", "has no command") {
            $0.command = nil
            $0.executor = ExecutorInfo(id: "e")
        },
        Fault("executor with an empty command", "empty") {
            $0.command = nil
            $0.executor = ExecutorInfo(id: "e", command: CommandInfo(value: ""))
        },
        Fault("default executor for one task", "DEFAULT") {
            $0.command = nil
            $0.executor = ExecutorInfo(id: "e", kind: .default)
        },
        Fault("executor with a bad id", "executor id") {
            $0.command = nil
            $0.executor = executor("a/b")
        },
        Fault("executor of another framework", "another framework") {
            $0.command = nil
            var other = executor()
            other.frameworkID = "other"
            $0.executor = other
        },
        Fault("executor that does not fit", "needs") {
            $0.command = nil
            var large = executor()
            large.resources = Resources(cpus: Milli(4))
            $0.executor = large
        },
        Fault("executor with a negative grace period", "grace period") {
            $0.command = nil
            var hasty = executor()
            hasty.shutdownGracePeriod = .seconds(-1)
            $0.executor = hasty
        },
        Fault("negative kill grace", "grace period") {
            $0.killPolicy = KillPolicy(gracePeriod: .seconds(-1))
        },
        Fault("negative run time", "run time") { $0.maxCompletionTime = .seconds(-1) },
    ]

    static let checks: [Fault] = [
        Fault("health check with a negative time", "negative") {
            $0.healthCheck = HealthCheck(kind: .tcp(port: 80), delay: .seconds(-1))
        },
        Fault("health check that allows nothing", "at least one failure") {
            $0.healthCheck = HealthCheck(kind: .tcp(port: 80), consecutiveFailures: 0)
        },
        Fault("health check of port 0", "port 0") {
            $0.healthCheck = HealthCheck(kind: .tcp(port: 0))
        },
        Fault("health check of another scheme", "scheme") {
            $0.healthCheck = HealthCheck(kind: .http(scheme: "ftp", port: 80, path: "/"))
        },
        Fault("health check of a bare path", "must begin") {
            $0.healthCheck = HealthCheck(kind: .http(scheme: "http", port: 80, path: "x"))
        },
        Fault("health check without a command", "cannot run") {
            $0.healthCheck = HealthCheck(kind: .command(CommandInfo(value: "")))
        },
        Fault("check with a negative time", "negative") {
            $0.check = CheckInfo(kind: .tcp(port: 80), interval: .seconds(-1))
        },
        Fault("check of port 70000", "port 70000") {
            $0.check = CheckInfo(kind: .tcp(port: 70_000))
        },
    ]
}

@Suite("Validation of tasks")
struct ValidationTests {
    /// A framework with one running task named `first` and the rest of an agent on offer.
    private func prepared() throws -> (Stage, FrameworkID, Offer) {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("a", roles: ["r"]))
        stage.addAgent()
        try stage.launch("first", by: id, refuse: .zero)
        stage.forget()
        return (stage, id, try stage.offer(id))
    }

    @Test("a bad task is TASK_ERROR and its neighbours run", arguments: Fault.all)
    func inLaunch(fault: Fault) throws {
        var (stage, id, offer) = try prepared()
        var bad = Stage.task("bad", offer.agentID)
        fault.spoil(&bad)
        stage.accept(
            offer,
            [
                .launch([
                    Stage.task("before", offer.agentID), bad, Stage.task("after", offer.agentID),
                ])
            ], refuse: .zero)
        let errors = stage.updates(id)
        #expect(errors.map(\.taskID) == [bad.id])
        #expect(errors.first?.state == .error)
        #expect(errors.first?.reason == .taskInvalid)
        #expect(errors.first?.source == .master)
        #expect(errors.first?.uuid == nil)
        #expect(errors.first?.message?.contains(fault.word) == true)
        #expect(stage.runs(offer.agentID) == [["before"], ["after"]])
        // 4 cores less the three that run: nothing is lost.
        #expect(try stage.offer(id).resources.cpus == Milli(1))
    }

    @Test("one bad task spoils its whole group", arguments: Fault.all)
    func inGroup(fault: Fault) throws {
        var (stage, id, offer) = try prepared()
        var bad = Stage.task("bad", offer.agentID)
        fault.spoil(&bad)
        stage.accept(
            offer,
            [
                .launchGroup(
                    executor: ExecutorInfo(id: "g", kind: .default),
                    tasks: [Stage.task("good", offer.agentID), bad])
            ], refuse: .zero)
        #expect(stage.updates(id).map(\.taskID) == ["good", bad.id])
        #expect(stage.updates(id).allSatisfy { $0.state == .error })
        #expect(stage.updates(id).allSatisfy { $0.reason == .taskGroupInvalid })
        #expect(stage.runs(offer.agentID).isEmpty)
        #expect(try stage.offer(id).resources == offer.resources)
    }

    @Test(
        "a group that is wrong as a whole is refused",
        arguments: [
            (ExecutorInfo(id: "g", kind: .default), ["a", "a"], "twice"),
            (ExecutorInfo(id: "g", kind: .default), [], "empty"),
            (
                ExecutorInfo(id: "g", kind: .default, command: CommandInfo(value: "x")), ["a"],
                "may not have a command"
            ),
            (
                ExecutorInfo(id: "g", kind: .default, container: ContainerInfo(image: "i")), ["a"],
                "image"
            ),
            (ExecutorInfo(id: "g"), ["a"], "has no command"),
            (ExecutorInfo(id: "g", kind: .default), ["a", "b", "c", "d"], "the group needs"),
        ] as [(ExecutorInfo, [TaskID], String)])
    func groups(executor: ExecutorInfo, tasks: [TaskID], word: String) throws {
        var (stage, id, offer) = try prepared()
        let list = tasks.map { Stage.task($0, offer.agentID) }
        stage.accept(offer, [.launchGroup(executor: executor, tasks: list)], refuse: .zero)
        #expect(stage.updates(id).map(\.taskID) == tasks)
        #expect(stage.updates(id).allSatisfy { $0.message?.contains(word) == true })
        #expect(stage.runs(offer.agentID).isEmpty)
        #expect(try stage.offer(id).resources == offer.resources)
    }

    @Test("launches carry no operation id")
    func operationIDs() throws {
        var (stage, id, offer) = try prepared()
        let task = Stage.task("t", offer.agentID)
        let group = ExecutorInfo(id: "g", kind: .default)
        stage.call(
            .accept(
                offers: [offer.id],
                operations: [
                    Operation(id: "o1", action: .launch([task])),
                    Operation(
                        id: "o2",
                        action: .launchGroup(
                            executor: group, tasks: [Stage.task("u", offer.agentID)])),
                ], filters: nil), by: id)
        #expect(stage.updates(id).map(\.reason) == [.taskInvalid, .taskGroupInvalid])
        #expect(stage.runs(offer.agentID).isEmpty)
    }

    @Test("an executor is paid for once and must stay as it is")
    func sharedExecutor() throws {
        var (stage, id, offer) = try prepared()
        func task(_ name: TaskID, _ executor: ExecutorInfo) -> TaskInfo {
            var info = Stage.task(name, offer.agentID)
            info.command = nil
            info.executor = executor
            return info
        }
        var executor = Fault.executor()
        executor.resources = Resources(cpus: Milli(1))
        var changed = executor
        changed.name = "other"
        stage.accept(
            offer, [.launch([task("a", executor), task("b", executor), task("c", changed)])],
            refuse: .zero)
        #expect(stage.runs(offer.agentID) == [["a"], ["b"]])
        #expect(stage.updates(id).first?.message?.contains("another description") == true)
        #expect(stage.offers[id]?.first?.resources.cpus ?? .zero == .zero)
        // When it ends, only its own part is free again.
        stage.tell(.executorExited(ExecutorKey(id, "e"), status: 9), by: offer.agentID)
        let free = (stage.offers[id] ?? []).reduce(into: Resources()) { $0 += $1.resources }
        #expect(free.cpus == Milli(1))
        #expect(
            stage.events(id).contains(
                .failure(agent: offer.agentID, executor: "e", status: 9)))
    }

    @Test(
        "one bad offer spoils the call and all its offers come back",
        arguments: ["unknown", "twice", "none"])
    func badOffers(kind: String) throws {
        var (stage, id, offer) = try prepared()
        let ids: [OfferID] =
            switch kind {
            case "unknown": [offer.id, "nonsense"]
            case "twice": [offer.id, offer.id]
            default: []
            }
        stage.call(
            .accept(
                offers: ids,
                operations: [
                    Operation(action: .launch([Stage.task("t", offer.agentID)])),
                    Operation(id: "o", action: .reserve(Resources(cpus: Milli(1)))),
                ], filters: Filters(refuse: .seconds(100))), by: id)
        #expect(stage.updates(id).map(\.state) == [.dropped])
        #expect(stage.updates(id).map(\.reason) == [.invalidOffers])
        #expect(
            stage.events(id).contains { event in
                if case .updateOperation(let status) = event {
                    status.operationID == "o" && status.state == .error
                } else {
                    false
                }
            })
        #expect(try stage.offer(id).resources == offer.resources)
    }

    @Test("offers of two agents or two roles cannot be mixed")
    func mixedOffers() throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("a"))
        stage.addAgent()
        stage.addAgent(host: "n2")
        let both = stage.offers[id] ?? []
        try #require(both.count == 2)
        let task = Stage.task("t", both[0].agentID)
        stage.call(
            .accept(
                offers: both.map(\.id), operations: [Operation(action: .launch([task]))],
                filters: nil), by: id)
        #expect(stage.updates(id).first?.message?.contains("different agents") == true)
        #expect(stage.offers[id]?.count == 2)
    }

    @Test("an offer of another framework is not valid")
    func foreignOffer() throws {
        var stage = Stage()
        let first = stage.subscribe(Stage.info("a"))
        stage.addAgent()
        let offer = try stage.offer(first)
        let second = stage.subscribe(Stage.info("b"))
        let task = Stage.task("t", offer.agentID)
        stage.give(
            .framework(
                FrameworkCall(
                    frameworkID: second,
                    call: .accept(
                        offers: [offer.id], operations: [Operation(action: .launch([task]))],
                        filters: nil)), from: try #require(stage.frameworkPeers[second])))
        #expect(stage.updates(second).map(\.reason) == [.invalidOffers])
        #expect(stage.master.offers[offer.id] != nil)
    }
}
