internal import DequeModule
internal import ProfferKernel
internal import ProfferModel

/// What travels within sessions.
enum Message: Sendable {
    case call(FrameworkCall)
    case event(SchedulerEvent)
    case toMaster(AgentToMaster)
    case toAgent(MasterToAgent)
    case executor(ExecutorMessage)
    case executorEvent(ExecutorEvent)
}

/// Messages by number: sessions carry bytes, and in the simulator these are the number of a
/// message instead of its encoding.
///
/// What is so old that no session can send it again is forgotten.
struct MessageArena {
    private var messages: Deque<Message> = []
    private var times: Deque<Int64> = []
    private var first: UInt64 = 0
    /// What is older is forgotten.
    var memory = 15 * Span.minute

    /// Keeps a message and returns its bytes.
    mutating func encode(_ message: Message, at now: Int64) -> [UInt8] {
        while let time = times.first, time + memory < now {
            times.removeFirst()
            messages.removeFirst()
            first += 1
        }
        let number = first + UInt64(messages.count)
        messages.append(message)
        times.append(now)
        return [UInt8](bytesOf: number)
    }

    /// The message that some bytes mean.
    func decode(_ bytes: [UInt8]) -> Message? {
        guard bytes.count == 8 else { return nil }
        var number: UInt64 = 0
        for byte in bytes { number = number << 8 | UInt64(byte) }
        guard number >= first, number - first < UInt64(messages.count) else { return nil }
        return messages[Int(number - first)]
    }
}

extension [UInt8] {
    /// The eight bytes of a number, the highest first.
    fileprivate init(bytesOf number: UInt64) {
        self = [
            UInt8(truncatingIfNeeded: number >> 56), UInt8(truncatingIfNeeded: number >> 48),
            UInt8(truncatingIfNeeded: number >> 40), UInt8(truncatingIfNeeded: number >> 32),
            UInt8(truncatingIfNeeded: number >> 24), UInt8(truncatingIfNeeded: number >> 16),
            UInt8(truncatingIfNeeded: number >> 8), UInt8(truncatingIfNeeded: number),
        ]
    }
}
