import Proffer
@_spi(Driver) import ProfferKernel
import Testing

/// The code about demand that Docs/Frameworks.md shows, so that it compiles and does what the page
/// says.
@Suite("Code in the documents: demand")
struct DemandTests {
    @Test("what is launched from offers for a demand need not be said")
    func book() {
        let offer = Offer(
            id: "o", frameworkID: "f", agentID: "a", hostname: "node", resources: Resources(),
            role: "*", demandID: "workers", instances: 2)
        let tasks = ["a", "b"].map { TaskInfo(name: $0, id: TaskID($0), agentID: "a") }
        func wanted(_ count: Int) -> [Demand] {
            [Demand(id: "workers", resources: Resources(cpus: Milli(1)).quantities, count: count)]
        }
        var book = DemandBook()
        _ = book.state(wanted(5))
        #expect(calls(&book, tasks, offer, wanted(3)).isEmpty)
        #expect(calls(&book, tasks, offer, wanted(3)) == [.demand(wanted(3))])
    }

    private func calls(
        _ book: inout DemandBook, _ tasks: [TaskInfo], _ offer: Offer,
        _ whatIsWantedNow: [Demand]
    ) -> [SchedulerCall] {
        var actions = Outbox<FrameworkAction<Never>>()
        book.launched(tasks.count, on: offer)
        if let call = book.state(whatIsWantedNow) { actions.append(.call(call)) }
        return actions.takeAll().map { action in
            switch action {
            case .call(let call): call
            }
        }
    }

    /// Compiled only: it needs a cluster.
    private func state(_ scheduler: Scheduler) {
        let size = Resources(cpus: Milli(2), mem: Milli(512)).quantities
        scheduler.demand([
            Demand(id: "workers", role: "batch", resources: size, count: 40, priority: 5)
        ])
    }

    /// Compiled only: it needs a cluster.
    private func accept(
        _ first: Offer, _ left: [TaskInfo], _ second: Offer, _ right: [TaskInfo],
        _ scheduler: Scheduler
    ) {
        scheduler.acceptTogether([
            OfferAcceptance(offers: [first.id], operations: [Operation(action: .launch(left))]),
            OfferAcceptance(offers: [second.id], operations: [Operation(action: .launch(right))]),
        ])
    }
}
