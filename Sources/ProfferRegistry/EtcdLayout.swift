internal import Foundation
internal import ProfferElection
internal import ProfferWire

/// Where everything lies in etcd.
///
/// - `leader`: who leads; bound to a lease; its creation revision is the fence.
/// - `head`: the first record, which every commit replaces.
/// - `record/<kind>/<key>`: a fact: a zero byte and its value, or a one and the number of pieces.
/// - `more/<kind>/<key>␞<number>`: the pieces of a value that is too large for one key.
/// - `part/<fence>-<sequence>/<number>`: the parts of a commit that is too large for one
///   transaction, until it has been carried to its places.
struct EtcdLayout: Sendable {
    /// The version of this layout; a later one is refused.
    static let schema = 1

    let prefix: String

    var leader: Data { key("leader") }
    var head: Data { key("head") }
    /// Deleted, though it is never there: what makes a question a write.
    var proof: Data { key("proof") }

    func key(_ name: String) -> Data { Data((prefix + name).utf8) }

    func recordName(_ kind: String, _ key: String) -> String { "\(kind)/\(key)" }

    func record(_ name: String) -> Data { key("record/" + name) }

    func piece(_ name: String, _ index: Int) -> Data {
        key("more/\(name)\u{1E}\(Self.digits(index))")
    }

    /// All pieces of one value.
    func pieces(_ name: String) -> (Data, Data) {
        (key("more/\(name)\u{1E}"), key("more/\(name)\u{1F}"))
    }

    func part(_ pending: PendingCommit, _ index: Int) -> Data {
        key("part/\(pending.fence)-\(pending.sequence)/\(Self.digits(index))")
    }

    /// Everything below a folder: first key and the end of the range.
    func folder(_ name: String) -> (Data, Data) { (key(name + "/"), key(name + "0")) }

    /// Fixed in width, so that their order is that of the numbers.
    private static func digits(_ number: Int) -> String {
        let text = String(number)
        return String(repeating: "0", count: max(0, 8 - text.utf8.count)) + text
    }

    /// The name of a fact or of one of its pieces, from its key.
    func name(_ key: Data, in folder: String) -> String? {
        let start = Data((prefix + folder + "/").utf8)
        guard key.starts(with: start) else { return nil }
        return String(data: key.dropFirst(start.count), encoding: .utf8)
    }

    // MARK: Leader and head

    private struct Leader: Codable {
        var candidate: String
        var frameworks: String
        var agents: String
        var http: String
        var key: String
    }

    static func encode(_ record: LeaderRecord) -> Data {
        let contact = record.contact
        return encoded(
            Leader(
                candidate: record.candidate, frameworks: contact.frameworks,
                agents: contact.agents, http: contact.http, key: contact.publicKey))
    }

    static func leader(_ kv: Etcd.KeyValue?) throws(EtcdProblem) -> LeaderKey? {
        guard let kv else { return nil }
        let leader = try EtcdClient.decoded(Leader.self, [UInt8](kv.value ?? Data()))
        return LeaderKey(
            record: LeaderRecord(
                candidate: leader.candidate,
                contact: MasterContact(
                    frameworks: leader.frameworks, agents: leader.agents, http: leader.http,
                    publicKey: leader.key)),
            creation: Revision(kv.createRevision?.value ?? 0),
            lease: LeaseID(kv.lease?.value ?? 0))
    }

    private struct Head: Codable {
        struct Pending: Codable {
            var fence: Int64
            var sequence: UInt64
            var parts: Int
        }

        var schema: Int
        var cluster: String
        var epoch: UInt64
        var fence: Int64
        var sequence: UInt64
        var pending: Pending?
    }

    static func encode(_ head: RegistryHead) -> Data {
        encoded(
            Head(
                schema: head.schema, cluster: head.clusterID, epoch: head.epoch,
                fence: head.fence.creation.value, sequence: head.sequence,
                pending: head.pending.map {
                    .init(fence: $0.fence.creation.value, sequence: $0.sequence, parts: $0.parts)
                }))
    }

    static func head(_ kv: Etcd.KeyValue?) throws(EtcdProblem) -> HeadKey? {
        guard let kv else { return nil }
        let head = try EtcdClient.decoded(Head.self, [UInt8](kv.value ?? Data()))
        return HeadKey(
            record: RegistryHead(
                schema: head.schema, clusterID: head.cluster, epoch: head.epoch,
                fence: Fence(Revision(head.fence)), sequence: head.sequence,
                pending: head.pending.map {
                    PendingCommit(
                        fence: Fence(Revision($0.fence)), sequence: $0.sequence, parts: $0.parts)
                }),
            modified: Revision(kv.modRevision?.value ?? 0))
    }

    private static func encoded(_ value: some Encodable) -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Texts and numbers only: nothing that could not be encoded.
        return (try? encoder.encode(value)) ?? Data()
    }
}

/// One change of one key, as parts of a large commit keep it.
enum EtcdChange: Hashable, Sendable {
    case put(Data, Data)
    case delete(Data)
    case deleteRange(Data, Data)

    var operation: Etcd.Operation {
        switch self {
        case .put(let key, let value): .put(key, value)
        case .delete(let key): .delete(key)
        case .deleteRange(let key, let end): .delete(key, upTo: end)
        }
    }

    /// The bytes of several changes: a kind, two lengths and two texts each.
    static func encode(_ changes: [EtcdChange]) -> Data {
        var bytes = Data()
        func append(_ kind: UInt8, _ first: Data, _ second: Data) {
            bytes.append(kind)
            for length in [first.count, second.count] {
                for shift in stride(from: 0, to: 32, by: 8) {
                    bytes.append(UInt8(truncatingIfNeeded: length >> shift))
                }
            }
            bytes.append(first)
            bytes.append(second)
        }
        for change in changes {
            switch change {
            case .put(let key, let value): append(0, key, value)
            case .delete(let key): append(1, key, Data())
            case .deleteRange(let key, let end): append(2, key, end)
            }
        }
        return bytes
    }

    /// The changes in these bytes; `nil` when they are not whole.
    static func decode(_ bytes: Data) -> [EtcdChange]? {
        var rest = bytes[...]
        func take(_ count: Int) -> Data? {
            guard count >= 0, rest.count >= count else { return nil }
            defer { rest = rest.dropFirst(count) }
            return Data(rest.prefix(count))
        }
        func length() -> Int? {
            take(4)?.enumerated().reduce(0) { $0 | Int($1.element) << ($1.offset * 8) }
        }
        var changes: [EtcdChange] = []
        while !rest.isEmpty {
            guard let kind = take(1)?.first, let first = length(), let second = length(),
                let key = take(first), let value = take(second)
            else { return nil }
            switch kind {
            case 0: changes.append(.put(key, value))
            case 1: changes.append(.delete(key))
            case 2: changes.append(.deleteRange(key, value))
            default: return nil
            }
        }
        return changes
    }
}
