@_spi(Driver) import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferFramework

@Suite("Change of a framework's description")
struct UpdateTests {
    private static func named(_ name: String, suppressed: [String] = []) -> SchedulerCall {
        .updateFramework(
            Subscription(
                framework: FrameworkInfo(name: name, roles: ["r", "q"]),
                suppressedRoles: suppressed))
    }

    private static let accepted = SchedulerEvent.updateFrameworkAnswer(problem: nil)
    private static let refused = SchedulerEvent.updateFrameworkAnswer(problem: "no")

    /// What a subscription after a new session says.
    private func next(_ bench: inout Bench) throws -> Subscription {
        bench.give(.closed(Bench.peer, reason: "x"))
        bench.forget()
        bench.give(.opened(PeerID(2)))
        return try #require(bench.subscriptions.last).1
    }

    private func refusals(_ bench: Bench) -> [String] {
        bench.driver.policy.happenings.compactMap {
            if case .updateRefused(let problem) = $0 { problem } else { nil }
        }
    }

    @Test(
        "the next subscription says what holds after the answers",
        arguments: [
            ([], "b"), ([accepted], "b"), ([refused], "b"), ([accepted, accepted], "b"),
            ([accepted, refused], "a2"), ([refused, refused], "a"), ([refused, accepted], "b"),
        ] as [([SchedulerEvent], String)])
    func answers(events: [SchedulerEvent], name: String) throws {
        var bench = Bench()
        bench.connect()
        bench.give(.command(Self.named("a2")))
        bench.give(.command(Self.named("b")))
        for event in events { bench.event(event) }
        #expect(refusals(bench).count == events.count { $0 == Self.refused })
        #expect(try next(&bench).framework.name == name)
    }

    @Test("a refusal is shown to the policy and ends nothing")
    func shown() {
        var bench = Bench()
        bench.connect()
        bench.give(.command(Self.named("b")))
        bench.event(Self.refused)
        #expect(refusals(bench) == ["no"])
        #expect(bench.driver.isSubscribed)
        #expect(bench.driver.frameworkID == "f")
    }

    @Test("suppression that was asked for after a refused change stays")
    func suppression() throws {
        var bench = Bench()
        bench.connect()
        bench.give(.command(Self.named("b", suppressed: ["r"])))
        bench.give(.command(.suppress(roles: ["q"])))
        bench.event(Self.refused)
        let subscription = try next(&bench)
        #expect(subscription.framework.name == "a")
        #expect(subscription.suppressedRoles == ["r", "q"])
    }

    @Test("an answer that nothing waits for changes nothing")
    func stray() throws {
        var bench = Bench()
        bench.connect()
        bench.event(Self.refused)
        #expect(refusals(bench).isEmpty)
        #expect(try next(&bench).framework.name == "a")
    }

    @Test("a change without a subscription is said with the next one, and waits for no answer")
    func later() throws {
        var bench = Bench()
        bench.give(.command(Self.named("b")))
        bench.connect()
        #expect(bench.subscriptions.last?.1.framework.name == "b")
        bench.event(Self.refused)
        #expect(try next(&bench).framework.name == "b")
    }
}
