internal import ProfferKernel
public import ProfferModel
public import ProfferSession

/// Bytes of the messages between an executor and its agent, the executor's side.
///
/// What the agent may send is read here and what it may receive is written; `ProfferWire` does the
/// same, and the rest, with a library. A part of a message that an executor does not look at is not
/// judged either: it only has to be whole.
public enum ExecutorCodec {
    /// The bytes of an envelope.
    public static func encode(_ envelope: Envelope) -> [UInt8] {
        FieldWriter.bytes { fields in
            fields.uint64(1, UInt64(envelope.version))
            fields.text(2, envelope.clusterID.isEmpty ? nil : envelope.clusterID)
            fields.uint64(3, envelope.epoch == 0 ? nil : envelope.epoch)
            fields.fixed64(4, envelope.session)
            fields.uint64(5, envelope.sequence == 0 ? nil : envelope.sequence)
            fields.uint64(6, envelope.acknowledged == 0 ? nil : envelope.acknowledged)
            switch envelope.content {
            case .open(let credential):
                fields.message(10) { $0.data(1, credential.isEmpty ? nil : credential) }
            case .accepted(let lease): fields.message(11) { $0.uint64(1, lease) }
            case .closed(let reason):
                // A character that is cut in two becomes another of at most two bytes more.
                let short = String(
                    decoding: reason.utf8.prefix(WireLimits.reason - 2), as: UTF8.self)
                fields.message(12) { $0.text(1, short) }
            case .message(let body): fields.data(13, body)
            case .keepAlive: fields.message(14) { _ in }
            }
        }
    }

    /// The envelope in these bytes.
    ///
    /// - Throws: ``WireError`` when they are none, or a part is longer than ``WireLimits`` says.
    public static func decodeEnvelope(_ bytes: [UInt8]) throws(WireError) -> Envelope {
        let fields = try Fields(bytes, limit: WireLimits.state + 1024, "envelope")
        let clusterID = try fields.text(2) ?? ""
        guard clusterID.utf8.count <= WireLimits.clusterID else { throw .outOfRange("cluster_id") }
        var redirect: Redirect?
        let content = try content(fields, &redirect)
        return Envelope(
            version: try fields.uint32(1) ?? 0, clusterID: clusterID,
            epoch: try fields.uint64(3) ?? 0, session: try fields.fixed64(4) ?? 0,
            sequence: try fields.uint64(5) ?? 0, acknowledged: try fields.uint64(6) ?? 0,
            content: content, redirect: redirect)
    }

    private static func content(
        _ fields: Fields, _ redirect: inout Redirect?
    ) throws(WireError) -> Envelope.Content {
        guard let choice = try fields.choice(among: 10...14) else { throw .missing("content") }
        if choice.number == 13 { return .message(choice.parts.last.map { Array($0) } ?? []) }
        guard let body = try fields.merged(choice.parts) else { throw .missing("content") }
        switch choice.number {
        case 10:
            let credential = try body.data(1) ?? []
            guard credential.count <= WireLimits.credential else {
                throw .outOfRange("credential")
            }
            return .open(credential: credential)
        case 11: return .accepted(leaseMilliseconds: try body.uint64(1) ?? 0)
        case 12:
            let reason = try body.text(1) ?? ""
            guard reason.utf8.count <= WireLimits.reason else { throw .outOfRange("reason") }
            if let leader = try body.fields(2) {
                let address = try leader.text(1) ?? ""
                let publicKey = try leader.text(2) ?? ""
                guard address.utf8.count <= WireLimits.reason,
                    publicKey.utf8.count <= WireLimits.reason
                else { throw .outOfRange("leader") }
                redirect = Redirect(address: address, publicKey: publicKey)
            }
            return .closed(reason: reason)
        default: return .keepAlive
        }
    }

    /// The bytes of what an executor says.
    public static func encode(_ message: ExecutorMessage) -> [UInt8] {
        FieldWriter.bytes { fields in
            fields.one(1, message.executorID)
            fields.one(2, message.frameworkID)
            switch message.call {
            case .subscribe(let tasks, let updates):
                fields.kind(3, CallKind.subscribe)
                fields.message(4) { body in
                    body.list(1, tasks)
                    for status in updates { body.message(2) { $0.one(1, status) } }
                }
            case .update(let status):
                fields.kind(3, CallKind.update)
                fields.message(5) { $0.one(1, status) }
            case .message(let data):
                fields.kind(3, CallKind.message)
                fields.message(6) { $0.data(2, data) }
            case .heartbeat: fields.kind(3, CallKind.heartbeat)
            case .usage(let tasks):
                fields.kind(3, CallKind.usage)
                fields.message(1000) { $0.list(1, tasks) }
            }
        }
    }

    /// What an agent says to an executor in these bytes; `nil` for a kind that is not known here.
    ///
    /// - Throws: ``WireError`` when they are no such message, lack what its kind promises, or hold
    ///   a value that is out of range.
    public static func decodeEvent(_ bytes: [UInt8]) throws(WireError) -> ExecutorEvent? {
        let fields = try Fields(bytes, limit: WireLimits.message, "executor event")
        let kind: EventKind = try fields.kind(1) ?? .unknown
        switch kind {
        case .subscribed: return try subscribed(try body(fields.fields(2), "subscribed"))
        case .launch:
            let body = try body(fields.fields(4), "launch")
            return .launch(
                try body.required(body.one(1)), sandbox: try body.text(1000) ?? "",
                secrets: try body.list(1001))
        case .launchGroup:
            guard let body = try fields.fields(8) else { return .launchGroup([], sandboxes: []) }
            let group = try body.required(body.fields(1))
            return .launchGroup(
                try group.list(1), sandboxes: try body.texts(1000), secrets: try body.list(1001))
        case .kill:
            let body = try body(fields.fields(5), "kill")
            return .kill(try body.required(body.one(1)), policy: try body.one(2))
        case .acknowledged:
            let body = try body(fields.fields(3), "acknowledged")
            let id: TaskID = try body.required(body.one(1))
            guard let uuid = UpdateID(bytes: try body.required(body.data(2))) else {
                throw .outOfRange("acknowledged.uuid")
            }
            return .acknowledged(id, uuid: uuid)
        case .message:
            let body = try body(fields.fields(6), "message")
            return .message(try body.required(body.data(1)))
        case .error:
            guard let body = try fields.fields(7) else { return .error("") }
            return .error(try body.required(body.text(1)))
        case .shutdown: return .shutdown
        case .heartbeat: return .heartbeat
        case .unknown: return nil
        }
    }

    private static func subscribed(_ body: Fields) throws(WireError) -> ExecutorEvent {
        .subscribed(
            executor: try body.required(body.one(1)), framework: try body.required(body.one(2)),
            agent: try body.required(body.one(3)), container: try body.one(4))
    }

    /// The part of a message that its kind promises.
    private static func body(_ fields: Fields?, _ name: String) throws(WireError) -> Fields {
        guard let fields else { throw .missing(name) }
        return fields
    }
}
