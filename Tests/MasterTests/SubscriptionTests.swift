import OrderedCollections
import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferMaster

@Suite("Subscription of frameworks")
struct SubscriptionTests {
    @Test("a first subscription gets an id, the heartbeat interval and a heartbeat at once")
    func first() throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("a"))
        let peer = try #require(stage.frameworkPeers[id])
        guard case .subscribed(id, .seconds(15), let master) = stage.events(to: peer).first else {
            Issue.record("not subscribed: \(stage.events(to: peer))")
            return
        }
        #expect(id.value == "\(master.id)-0000")
        #expect(stage.events(to: peer).dropFirst().first == .heartbeat)
        #expect(stage.ledger.frameworks[id]?.info.name == "a")
    }

    @Test("heartbeats follow at every interval and end with the session")
    func heartbeats() throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("a"))
        let peer = try #require(stage.frameworkPeers[id])
        stage.forget()
        stage.pass(.seconds(45))
        #expect(stage.events(to: peer) == [.heartbeat, .heartbeat, .heartbeat])
        stage.disconnect(id)
        stage.forget()
        stage.pass(.seconds(45))
        #expect(stage.events(to: peer).isEmpty)
    }

    @Test("a repeated first subscription over one session makes one framework")
    func repetition() throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("a"))
        let peer = try #require(stage.frameworkPeers[id])
        let call = FrameworkCall(
            call: .subscribe(Subscription(framework: Stage.info("a"))))
        stage.give(.framework(call, from: peer))
        #expect(stage.master.frameworks.count == 1)
        #expect(stage.frameworkPeers[id] == peer)
    }

    @Test("who asks again, because the answer was late, keeps what it was offered meanwhile")
    func lateAnswer() throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("a"))
        let peer = try #require(stage.frameworkPeers[id])
        stage.addAgent()
        stage.pass(.seconds(1))
        let offer = try stage.offer(id)
        stage.forget()
        stage.give(
            .framework(
                FrameworkCall(call: .subscribe(Subscription(framework: Stage.info("a")))),
                from: peer))
        #expect(stage.master.offers[offer.id] != nil)
        #expect(stage.events(to: peer).count == 1)
        // It wants something else by now: that is a new beginning, and it is told.
        stage.forget()
        var other = Subscription(framework: Stage.info("a"))
        other.suppressedRoles = other.framework.roles
        stage.give(.framework(FrameworkCall(call: .subscribe(other)), from: peer))
        #expect(stage.master.offers[offer.id] == nil)
        #expect(stage.events(to: peer).first == .rescind(offer.id))
    }

    @Test(
        "a subscription that cannot be is answered with an error that says why, and ends",
        arguments: [
            (FrameworkInfo(name: ""), "no name"),
            (FrameworkInfo(name: "a", failoverTimeout: .seconds(-1)), "negative"),
            (FrameworkInfo(name: "a", roles: ["/x"]), "empty part"),
            (FrameworkInfo(name: "a", roles: ["a", "a"]), "twice"),
            (FrameworkInfo(name: "a", roles: [".."]), "'..'"),
            (FrameworkInfo(name: "a", roles: ["-x"]), "begins with '-'"),
            (FrameworkInfo(name: "a", roles: ["x y"]), "white space"),
            (FrameworkInfo(name: "a", roles: ["x/*"]), "'*'"),
            (FrameworkInfo(name: "a", id: "../../etc"), "'/'"),
        ])
    func refusals(info: FrameworkInfo, word: String) throws {
        var stage = Stage()
        stage.subscribe(info)
        let peer = PeerID(1)
        guard case .error(let message)? = stage.events(to: peer).first else {
            Issue.record("no error")
            return
        }
        #expect(message.contains(word))
        #expect(stage.closed.contains(peer))
        #expect(stage.master.frameworks.isEmpty)
    }

    @Test("suppressed roles and constraints must be of the framework's roles")
    func foreignRoles() {
        var stage = Stage()
        stage.subscribe(Stage.info("a", roles: ["r"]), suppressed: ["q"])
        stage.subscribe(
            Stage.info("b", roles: ["r"]), constraints: [OfferConstraint(role: "q")])
        stage.subscribe(
            Stage.info("c", roles: ["r"]),
            constraints: [
                OfferConstraint(
                    role: "r",
                    groups: [
                        [AttributeConstraint(selector: .hostname, predicate: .textMatches("("))]
                    ])
            ])
        #expect(stage.problems.count == 3)
        #expect(stage.master.frameworks.isEmpty)
    }

    @Test(
        "patterns that cannot be used are refused with the reason",
        arguments: [
            (["(a"], "the group that begins at 1 is not closed"), (["(?=a)"], "'(?'"),
            (["(a{100}){100}"], "more than 5000"),
            (["a{900}"] + Array(repeating: "b{990}", count: 10), "together"),
            ([String(repeating: "x", count: 5000)], "4096 bytes"),
        ] as [([String], String)])
    func patterns(texts: [String], reason: String) throws {
        var stage = Stage()
        let tests = texts.map {
            AttributeConstraint(selector: .hostname, predicate: .textNotMatches($0))
        }
        stage.subscribe(
            Stage.info("a"), constraints: [OfferConstraint(role: "*", groups: [tests])])
        let problem = try #require(stage.problems.first)
        #expect(problem.contains(reason))
        #expect(problem.utf8.count < 300)
    }

    @Test("the id of the call and that of the description must be equal")
    func differingIDs() {
        var stage = Stage()
        let call = FrameworkCall(
            frameworkID: "x",
            call: .subscribe(Subscription(framework: Stage.info("a", id: "y"))))
        stage.give(.framework(call, from: PeerID(9)))
        #expect(stage.problems.first?.contains("differ") == true)
    }

    @Test("the newest subscriber wins: the old one is told and cut off, tasks live on")
    func failover() throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("a"))
        let agent = stage.addAgent()
        try stage.launch("t", by: id)
        let old = try #require(stage.frameworkPeers[id])
        stage.forget()
        stage.subscribe(Stage.info("a", id: id))
        #expect(stage.events(to: old) == [.error("Framework failed over")])
        #expect(stage.closed.contains(old))
        #expect(stage.frameworkPeers[id] != old)
        #expect(stage.master.tasks.count == 1)
        #expect(
            stage.messages(agent).contains { if case .updateFramework = $0 { true } else { false } }
        )
    }

    @Test("a call of an instance that is not subscribed is refused")
    func stranger() throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("a"))
        stage.give(
            .framework(FrameworkCall(frameworkID: id, call: .teardown), from: PeerID(77)))
        #expect(stage.events(to: PeerID(77)) == [.error("the framework is not subscribed")])
        #expect(stage.master.frameworks[id] != nil)
    }

    @Test("a session belongs to one framework")
    func oneSessionOneFramework() throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("a"))
        let peer = try #require(stage.frameworkPeers[id])
        let call = FrameworkCall(
            frameworkID: "other",
            call: .subscribe(Subscription(framework: Stage.info("b", id: "other"))))
        stage.give(.framework(call, from: peer))
        #expect(stage.problems.first?.contains("belongs to framework") == true)
        #expect(stage.master.frameworks["other"] == nil)
    }

    @Test("principal cannot change; user and checkpoint stay as they were")
    func immutableFields() {
        var stage = Stage()
        var info = Stage.info("a")
        info.principal = "p"
        info.user = "u"
        let id = stage.subscribe(info)
        info.id = id
        info.user = "v"
        info.checkpoint = false
        info.name = "b"
        stage.subscribe(info)
        #expect(stage.master.frameworks[id]?.info.user == "u")
        #expect(stage.master.frameworks[id]?.info.checkpoint == true)
        #expect(stage.master.frameworks[id]?.info.name == "b")
        info.principal = "q"
        stage.subscribe(info)
        #expect(stage.problems.last?.contains("principal") == true)
    }

    @Test("UPDATE_FRAMEWORK replaces roles, rescinds offers of dropped ones, or changes nothing")
    func update() throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("a", roles: ["r", "q"]))
        stage.addAgent()
        let offer = try stage.offer(id)
        var wanted = Stage.info("a", roles: [offer.role == "r" ? "q" : "r"])
        wanted.checkpoint = false
        stage.call(.updateFramework(Subscription(framework: wanted)), by: id)
        #expect(stage.problems.last?.contains("checkpoint") == true)
        let problem = try #require(stage.problems.last)
        #expect(stage.events(id).last == .updateFrameworkAnswer(problem: problem))
        #expect(!stage.closed.contains(try #require(stage.frameworkPeers[id])))
        #expect(stage.master.frameworks[id]?.info.roles == ["r", "q"])
        wanted.checkpoint = true
        stage.forget()
        stage.call(.updateFramework(Subscription(framework: wanted)), by: id)
        #expect(stage.rescinded(id) == [offer.id])
        #expect(stage.events(id).first == .updateFrameworkAnswer(problem: nil))
        #expect(try stage.offer(id).role == wanted.roles[0])
    }

    @Test("TEARDOWN kills everything of the framework, keeps its history, ends its id")
    func teardown() throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("a"))
        let agent = stage.addAgent()
        try stage.launch("t", by: id)
        let peer = try #require(stage.frameworkPeers[id])
        stage.forget()
        stage.call(.teardown, by: id)
        #expect(stage.messages(agent) == [.shutdownFramework(id)])
        #expect(stage.updates(id).isEmpty)
        #expect(stage.closed.contains(peer))
        #expect(stage.master.tasks.isEmpty)
        #expect(stage.master.removedFrameworks[id]?.completed.first?.state == .killed)
        stage.forget()
        stage.subscribe(Stage.info("a", id: id))
        #expect(stage.problems == ["Framework has been removed"])
    }

    @Test("an operator's teardown tells the framework before its session ends")
    func operatorTeardown() throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("a"))
        #expect(try stage.ask(.teardown(id)) == .done)
        #expect(stage.events(id) == [.error("Framework has been removed")])
        #expect(try stage.ask(.teardown(id)) == .notFound("there is no framework '\(id)'"))
    }

    @Test("only so many ended frameworks are remembered")
    func boundedHistory() {
        var configuration = MasterConfiguration()
        configuration.completedFrameworks = 2
        var stage = Stage(configuration)
        for name in ["a", "b", "c", "d"] {
            let id = stage.subscribe(Stage.info(name))
            stage.call(.teardown, by: id)
        }
        #expect(stage.master.removedFrameworks.values.map(\.info.name) == ["c", "d"])
        #expect(stage.ledger.frameworks.count == 2)
    }

    @Test("UPDATE_FRAMEWORK replaces suppression; what is not listed is offered again")
    func unsuppress() throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("a"), suppressed: ["*"])
        stage.addAgent()
        #expect(stage.offers[id] == [])
        stage.call(.updateFramework(Subscription(framework: Stage.info("a"))), by: id)
        _ = try stage.offer(id)
    }
}
