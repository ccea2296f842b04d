import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferRuntime

@Suite("Updates in batches")
struct UpdateBatchTests {
    private let peer = PeerID(1)

    private func status(_ name: String, data: [UInt8]? = nil) -> TaskStatus {
        TaskStatus(taskID: TaskID(name), state: .running, data: data)
    }

    @Test("a peer that did not say that it takes batches gets one update at a time")
    func single() {
        var batches = UpdateBatches()
        #expect(batches.take(.update(status("a")), for: peer) == [.update(status("a"))])
        #expect(batches.takeRest().isEmpty)
    }

    @Test("updates of one turn become one event, in order, before whatever follows")
    func order() {
        var batches = UpdateBatches()
        batches.setTaker(peer, true)
        #expect(batches.take(.update(status("a")), for: peer) == [])
        #expect(batches.take(.update(status("b")), for: peer) == [])
        #expect(
            batches.take(.heartbeat, for: peer)
                == [.updates([status("a"), status("b")]), .heartbeat])
        #expect(batches.take(.update(status("c")), for: peer) == [])
        #expect(batches.takeRest().map(\.event) == [.update(status("c"))])
        #expect(batches.takeRest().isEmpty)
    }

    @Test("a batch ends at a thousand updates and at a mebibyte")
    func bounds() {
        var batches = UpdateBatches()
        batches.setTaker(peer, true)
        var sent: [SchedulerEvent] = []
        for number in 0..<1001 {
            sent += batches.take(.update(status("\(number)")), for: peer)
        }
        #expect(sent.count == 1)
        #expect(batches.takeRest().count == 1)
        let large = [UInt8](repeating: 1, count: 600_000)
        #expect(batches.take(.update(status("a", data: large)), for: peer) == [])
        #expect(batches.take(.update(status("b", data: large)), for: peer).count == 1)
    }

    @Test("what was meant for a session that has ended is forgotten with it")
    func end() {
        var batches = UpdateBatches()
        batches.setTaker(peer, true)
        _ = batches.take(.update(status("a")), for: peer)
        batches.forget(peer)
        #expect(batches.takeRest().isEmpty)
        #expect(batches.take(.update(status("b")), for: peer).count == 1)
    }
}
