internal import ProfferModel
internal import ProfferRegistry
internal import ProfferWire

/// The registry of a master during one term of leadership.
struct TermStore: RecordStore {
    let term: EtcdTerm
    let records: [MasterRecord]

    func load() -> [MasterRecord] { records }

    func submit(
        _ records: [MasterRecord], completion: @escaping @Sendable ((any Error)?) -> Void
    ) { term.submit(records.map { WireCodec.encode($0) }) { completion($0) } }

    func close() { term.close() }
}
