import OrderedCollections
import ProfferAllocation
import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferMaster

@Suite("Accepting several offers together")
struct TogetherTests {
    /// One framework with an offer of each of two agents.
    private func prepared() throws -> (Stage, FrameworkID, [Offer]) {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("a"))
        stage.addAgent(host: "n1")
        stage.addAgent(host: "n2")
        let offers = stage.offers[id] ?? []
        try #require(offers.count == 2)
        stage.forget()
        return (stage, id, offers)
    }

    private func part(_ offer: Offer, _ tasks: [TaskInfo]) -> OfferAcceptance {
        OfferAcceptance(offers: [offer.id], operations: [Operation(action: .launch(tasks))])
    }

    private func accept(
        _ parts: [OfferAcceptance], _ stage: inout Stage, _ id: FrameworkID,
        _ filters: Filters? = nil
    ) {
        stage.call(.acceptTogether(parts, filters: filters), by: id)
    }

    @Test("all parts are launched, each on its agent")
    func all() throws {
        var (stage, id, offers) = try prepared()
        accept(
            offers.map { part($0, [Stage.task(TaskID($0.hostname), $0.agentID)]) }, &stage, id,
            Filters(refuse: .seconds(100)))
        #expect(stage.runs(offers[0].agentID) == [[TaskID(offers[0].hostname)]])
        #expect(stage.runs(offers[1].agentID) == [[TaskID(offers[1].hostname)]])
        #expect(stage.updates(id).isEmpty)
        // What is left is declined with the filters.
        #expect(stage.offers[id] == [])
    }

    @Test("one bad task keeps every part from being launched, and all offers come back")
    func badTask() throws {
        var (stage, id, offers) = try prepared()
        let large = Stage.task("large", offers[1].agentID, Resources(cpus: Milli(100)))
        accept(
            [
                part(offers[0], [Stage.task("t", offers[0].agentID)]),
                part(offers[1], [Stage.task("u", offers[1].agentID), large]),
            ], &stage, id, Filters(refuse: .seconds(100)))
        let updates = stage.updates(id)
        #expect(updates.map(\.taskID) == ["t", "u", "large"])
        #expect(updates.map(\.state) == [.dropped, .dropped, .error])
        #expect(updates.map(\.reason) == [.invalidOffers, .invalidOffers, .taskInvalid])
        #expect(updates.allSatisfy { $0.message?.contains("'large'") == true })
        #expect(stage.runs(offers[0].agentID) + stage.runs(offers[1].agentID) == [])
        #expect(stage.master.tasks.isEmpty)
        #expect(Set((stage.offers[id] ?? []).map(\.hostname)) == ["n1", "n2"])
    }

    @Test("one bad operation keeps every part from being done")
    func badOperation() throws {
        var (stage, id, offers) = try prepared()
        let foreign = Resource(
            "cpus", .scalar(Milli(1)), reservations: [Reservation(role: "other")])
        accept(
            [
                part(offers[0], [Stage.task("t", offers[0].agentID)]),
                OfferAcceptance(
                    offers: [offers[1].id],
                    operations: [Operation(id: "o", action: .reserve(Resources([foreign])))]),
            ], &stage, id)
        #expect(stage.updates(id).map(\.state) == [.dropped])
        #expect(stage.updates(id).first?.message?.contains("operation 1 of part 2") == true)
        #expect(
            stage.events(id).contains { event in
                if case .updateOperation(let status) = event {
                    status.operationID == "o" && status.state == .error
                } else {
                    false
                }
            })
        #expect(stage.runs(offers[0].agentID).isEmpty)
        #expect(stage.offers[id]?.count == 2)
    }

    @Test("a bad group is at fault as a whole")
    func badGroup() throws {
        var (stage, id, offers) = try prepared()
        let executor = ExecutorInfo(id: "g", kind: .default)
        accept(
            [
                part(offers[0], [Stage.task("t", offers[0].agentID)]),
                OfferAcceptance(
                    offers: [offers[1].id],
                    operations: [
                        Operation(
                            action: .launchGroup(
                                executor: executor,
                                tasks: [
                                    Stage.task("a", offers[1].agentID),
                                    Stage.task("a", offers[1].agentID),
                                ]))
                    ]),
            ], &stage, id)
        #expect(stage.updates(id).map(\.state) == [.dropped, .error, .error])
        #expect(
            stage.updates(id).map(\.reason) == [
                .invalidOffers, .taskGroupInvalid, .taskGroupInvalid,
            ])
    }

    @Test("tasks of different parts may not share an id")
    func sharedID() throws {
        var (stage, id, offers) = try prepared()
        accept(offers.map { part($0, [Stage.task("t", $0.agentID)]) }, &stage, id)
        #expect(stage.updates(id).map(\.state) == [.dropped, .error])
        #expect(stage.updates(id).last?.message?.contains("twice") == true)
        #expect(stage.master.tasks.isEmpty)
    }

    @Test(
        "one bad offer keeps every part from being done",
        arguments: ["unknown", "twice", "no part", "no offer"])
    func badOffer(kind: String) throws {
        var (stage, id, offers) = try prepared()
        var parts = offers.map { part($0, [Stage.task(TaskID($0.hostname), $0.agentID)]) }
        switch kind {
        case "unknown": parts[1].offers = ["nonsense"]
        case "twice": parts[1].offers = parts[0].offers
        case "no part": parts = []
        default: parts[1].offers = []
        }
        accept(parts, &stage, id)
        #expect(stage.updates(id).allSatisfy { $0.reason == .invalidOffers })
        #expect(stage.updates(id).allSatisfy { $0.state == .dropped })
        #expect(stage.updates(id).count == (kind == "no part" ? 0 : 2))
        #expect(stage.problems.count == 1)
        #expect(stage.master.tasks.isEmpty)
        #expect(stage.offers[id]?.count == 2)
    }

    @Test("within a part operations see each other's result, and so they do when it is tried")
    func operations() throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("a", roles: ["r"]))
        let agent = stage.addAgent(
            Resources(cpus: Milli(4), mem: Milli(4096), disk: Milli(100)))
        let offer = try stage.offer(id)
        let kept = [Reservation(role: "r")]
        let disk = Resource("disk", .scalar(Milli(50)), reservations: kept)
        var volume = disk
        volume.disk = DiskInfo(persistenceID: "v", containerPath: "data")
        var first = Stage.task("t", agent)
        first.resources += volume
        let executor = ExecutorInfo(
            id: "e", command: CommandInfo(value: "run"), resources: Resources(cpus: Milli(2)))
        var (second, third) = (Stage.task("u", agent), Stage.task("v", agent))
        second.command = nil
        second.executor = executor
        third.command = nil
        third.executor = executor
        third.resources = Resources(mem: Milli(1))
        second.resources = Resources(mem: Milli(1))
        accept(
            [
                OfferAcceptance(
                    offers: [offer.id],
                    operations: [
                        Operation(action: .reserve(Resources([disk]))),
                        Operation(action: .create(Resources([volume]))),
                        Operation(action: .launch([first, second, third])),
                    ])
            ], &stage, id)
        #expect(stage.updates(id).isEmpty)
        #expect(stage.runs(agent) == [["t"], ["u"], ["v"]])
    }

    @Test("a volume that one part makes cannot be made by another one again")
    func volumeTwice() throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("a", roles: ["r"]))
        stage.addAgent(Resources(cpus: Milli(4), mem: Milli(4096), disk: Milli(100)))
        let offer = try stage.offer(id)
        let kept = [Reservation(role: "r")]
        let disk = Resource("disk", .scalar(Milli(10)), reservations: kept)
        var volume = disk
        volume.disk = DiskInfo(persistenceID: "v", containerPath: "data")
        let make = [
            Operation(action: .reserve(Resources([disk]))),
            Operation(action: .create(Resources([volume]))),
        ]
        accept(
            [OfferAcceptance(offers: [offer.id], operations: make + make)], &stage, id)
        #expect(stage.problems.first?.contains("already") == true)
        #expect(stage.master.agents.values.first?.info.resources == offer.resources)
    }

    @Test("a gang is accepted whole, in one call, or not at all", arguments: [true, false])
    func gang(isTogether: Bool) throws {
        var (stage, script) = Stage.scripted()
        let id = stage.subscribe(Stage.info("a"))
        let agents = [stage.addAgent(host: "n1"), stage.addAgent(host: "n2")]
        for agent in agents {
            script.grant(id, agent, demand: "d", instances: 1, gang: GangID(7))
        }
        stage.pass(.seconds(1))
        let offers = stage.offers[id] ?? []
        #expect(offers.map(\.gang) == [GangID(7), GangID(7)])
        let parts = offers.map { part($0, [Stage.task(TaskID($0.agentID.value), $0.agentID)]) }
        if isTogether {
            accept(parts, &stage, id)
            #expect(stage.updates(id).isEmpty)
            #expect(stage.master.tasks.count == 2)
        } else {
            stage.accept(offers[0], parts[0].operations.map(\.action))
            #expect(stage.updates(id).map(\.state) == [.dropped])
            #expect(stage.updates(id).first?.message?.contains("gang-7") == true)
            // What is left of a torn gang is of no use either.
            #expect(stage.rescinded(id) == [offers[1].id])
            #expect(stage.offers[id] == [])
        }
    }

    @Test(
        "when one offer of a gang ends, the others are taken back",
        arguments: ["declined", "lost", "timed out"])
    func tornGang(end: String) throws {
        var (stage, script) = Stage.scripted()
        let id = stage.subscribe(Stage.info("a"))
        let agents = [stage.addAgent(host: "n1"), stage.addAgent(host: "n2")]
        for agent in agents { script.grant(id, agent, gang: GangID(1)) }
        stage.pass(.seconds(1))
        let offers = stage.offers[id] ?? []
        try #require(offers.count == 2)
        switch end {
        case "declined":
            stage.decline(offers[0], by: id)
            #expect(stage.rescinded(id) == [offers[1].id])
        case "lost":
            stage.disconnect(agent: agents[1])
            #expect(stage.rescinded(id) == [offers[1].id, offers[0].id])
        default:
            stage.pass(.seconds(61))
            #expect(Set(stage.rescinded(id)) == Set(offers.map(\.id)))
        }
        #expect(stage.master.offers.isEmpty)
        #expect(stage.master.gangs.isEmpty)
    }
}
