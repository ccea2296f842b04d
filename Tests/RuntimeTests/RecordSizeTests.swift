@_spi(Driver) import ProfferKernel
import ProfferMaster
import ProfferModel
import ProfferWire
import Testing

@Suite("Size of records")
struct RecordSizeTests {
    private let wallTime = WallTime(nanosecondsSince1970: 0)

    /// What a master keeps of an agent that registers; `nil` when it refuses it.
    private func record(of info: AgentInfo) throws -> StoredRecord? {
        var master = Master(
            configuration: MasterConfiguration(), replaying: [],
            wallClock: WallClock(.zero, is: wallTime), seed: 1, at: .zero)
        var outbox = Outbox<MasterEffect>()
        master.handle(
            .agent(.register(info, version: "1", bootID: "b"), from: PeerID(1)), at: .zero,
            into: &outbox)
        for case .commit(let records) in outbox.takeAll() {
            for case .agent(let id, let entry?) in records {
                return WireCodec.encode(.agent(id, entry) as MasterRecord)
            }
        }
        return nil
    }

    @Test(
        "the largest agents that a master admits leave records that can be read",
        arguments: ["ranges", "sets", "attributes", "labels"])
    func largest(shape: String) throws {
        var admitted: (info: AgentInfo, record: StoredRecord)?
        // Twice as large each time, until it is refused.
        for step in 0... {
            let info = self.info(shape, count: 1 << step)
            guard let record = try record(of: info) else { break }
            admitted = (info, record)
        }
        let (info, record) = try #require(admitted)
        #expect((record.value?.count ?? 0) <= WireLimits.state)
        guard case .agent(_, let entry?) = try WireCodec.decodeMasterRecord(record) else {
            Issue.record("no agent")
            return
        }
        #expect(entry.info.resources == info.resources)
        #expect(entry.info.attributes == info.attributes)
    }

    private func info(_ shape: String, count: Int) -> AgentInfo {
        let far: UInt64 = 1 << 60
        let ranges = IntervalSet((0..<UInt64(count)).map { (far + $0 * 2)...(far + $0 * 2) })
        let names = (0..<count).map { "member-\($0)" }.sorted()
        let cpus = Resource("cpus", .scalar(Milli(1)))
        switch shape {
        case "ranges":
            return AgentInfo(
                hostname: "n", resources: Resources([cpus, Resource("ports", .ranges(ranges))]))
        case "sets":
            return AgentInfo(
                hostname: "n", resources: Resources([cpus, Resource("models", .set(names))]))
        case "attributes":
            let one = Attribute(name: "a", value: .ranges(IntervalSet([far...far])))
            return AgentInfo(
                hostname: "n", resources: Resources([cpus]),
                attributes: [Attribute](repeating: one, count: count))
        default:
            let labels = names.map { Label($0, $0) }
            return AgentInfo(
                hostname: "n",
                resources: Resources([
                    cpus,
                    Resource(
                        "mem", .scalar(Milli(1)),
                        reservations: [Reservation(role: "r", labels: labels)]),
                ]))
        }
    }
}
