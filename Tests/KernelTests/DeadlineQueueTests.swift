import ProfferKernel
import Testing

@Suite("DeadlineQueue")
struct DeadlineQueueTests {
    private func at(_ nanoseconds: Int64) -> Instant { Instant(nanoseconds: nanoseconds) }

    @Test("an empty queue has no deadline and nothing due")
    func empty() {
        var queue = DeadlineQueue<Int>()
        #expect(queue.next == nil)
        #expect(queue.popDue(at: .distantFuture) == nil)
        #expect(queue.count == 0)
    }

    @Test("the earliest deadline comes out first, and not before its time")
    func order() {
        var queue = DeadlineQueue<String>()
        queue.set("late", to: at(30))
        queue.set("early", to: at(10))
        queue.set("middle", to: at(20))
        #expect(queue.next == at(10))
        #expect(queue.popDue(at: at(9)) == nil)
        #expect(queue.popDue(at: at(25)) == "early")
        #expect(queue.popDue(at: at(25)) == "middle")
        #expect(queue.popDue(at: at(25)) == nil)
        #expect(queue.count == 1)
    }

    @Test("equal deadlines come out in the order in which they were set")
    func ties() {
        var queue = DeadlineQueue<Int>()
        for key in [3, 1, 2] { queue.set(key, to: at(5)) }
        queue.set(3, to: at(5))
        #expect(queue.popDue(at: at(5)) == 1)
        #expect(queue.popDue(at: at(5)) == 2)
        #expect(queue.popDue(at: at(5)) == 3)
    }

    @Test("a key has one deadline, the last that was set")
    func replacement() {
        var queue = DeadlineQueue<Int>()
        queue.set(1, to: at(10))
        queue.set(1, to: at(50))
        #expect(queue.next == at(50))
        #expect(queue.deadline(of: 1) == at(50))
        #expect(queue.popDue(at: at(49)) == nil)
        queue.set(1, to: at(20))
        #expect(queue.popDue(at: at(49)) == 1)
        #expect(queue.popDue(at: .distantFuture) == nil)
        #expect(queue.count == 0)
    }

    @Test("a cleared key never comes out")
    func clearing() {
        var queue = DeadlineQueue<Int>()
        queue.set(1, to: at(10))
        queue.set(2, to: at(20))
        queue.set(1, to: nil)
        queue.set(9, to: nil)
        #expect(queue.next == at(20))
        #expect(queue.count == 1)
        #expect(queue.popDue(at: .distantFuture) == 2)
    }

    @Test("random changes give what a sorted list gives", arguments: UInt64(0)..<20)
    func againstModel(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var queue = DeadlineQueue<Int>()
        var model: [(key: Int, at: Int64, serial: Int)] = []
        for serial in 0..<2000 {
            let key = Int.random(in: 0..<40, using: &random)
            switch Int.random(in: 0..<4, using: &random) {
            case 0, 1:
                let when = Int64.random(in: 0..<100, using: &random)
                model.removeAll { $0.key == key }
                model.append((key, when, serial))
                queue.set(key, to: at(when))
            case 2:
                model.removeAll { $0.key == key }
                queue.set(key, to: nil)
            default:
                let now = Int64.random(in: 0..<100, using: &random)
                let first = model.min { ($0.at, $0.serial) < ($1.at, $1.serial) }
                let expected = first.flatMap { $0.at <= now ? $0.key : nil }
                model.removeAll { $0.key == expected }
                #expect(queue.popDue(at: at(now)) == expected)
            }
            #expect(queue.count == model.count)
            #expect(queue.next?.nanoseconds == model.map(\.at).min())
        }
    }
}
