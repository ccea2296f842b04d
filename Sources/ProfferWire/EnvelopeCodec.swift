internal import ProfferSchema
public import ProfferSession

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// Bytes of session envelopes.
public enum EnvelopeCodec {
    /// The bytes of an envelope.
    public static func encode(_ envelope: Envelope) -> [UInt8] {
        QuickWriter.bytes(of: envelope) ?? encodeGenerally(envelope)
    }

    static func encodeGenerally(_ envelope: Envelope) -> [UInt8] {
        var coded = PBInternalEnvelope()
        coded.version = envelope.version
        if !envelope.clusterID.isEmpty { coded.clusterID = envelope.clusterID }
        if envelope.epoch != 0 { coded.epoch = envelope.epoch }
        coded.session = envelope.session
        if envelope.sequence != 0 { coded.sequence = envelope.sequence }
        if envelope.acknowledged != 0 { coded.acknowledged = envelope.acknowledged }
        switch envelope.content {
        case .open(let credential):
            coded.open = .init()
            if !credential.isEmpty { coded.open.credential = Data(credential) }
        case .accepted(let lease): coded.accepted.leaseMilliseconds = lease
        case .closed(let reason):
            // A character that is cut in two becomes another of at most two bytes more.
            coded.closed.reason = String(
                decoding: reason.utf8.prefix(WireLimits.reason - 2), as: UTF8.self)
            if let redirect = envelope.redirect {
                coded.closed.leader.address = redirect.address
                coded.closed.leader.publicKey = redirect.publicKey
            }
        case .message(let body): coded.message = Data(body)
        case .keepAlive: coded.keepAlive = .init()
        }
        return bytes(coded)
    }

    /// The envelope in these bytes.
    public static func decode(_ data: [UInt8]) throws(WireError) -> Envelope {
        if let envelope = QuickReader.envelope(data) { return envelope }
        return try decodeGenerally(data)
    }

    static func decodeGenerally(_ data: [UInt8]) throws(WireError) -> Envelope {
        let coded = try parse(
            PBInternalEnvelope.self, data, limit: WireLimits.state + 1024, "envelope")
        guard coded.clusterID.utf8.count <= WireLimits.clusterID else {
            throw .outOfRange("cluster_id")
        }
        let content: Envelope.Content
        var redirect: Redirect?
        switch coded.content {
        case .open(let open):
            guard open.credential.count <= WireLimits.credential else {
                throw .outOfRange("credential")
            }
            content = .open(credential: [UInt8](open.credential))
        case .accepted(let accepted):
            content = .accepted(leaseMilliseconds: accepted.leaseMilliseconds)
        case .closed(let closed):
            guard closed.reason.utf8.count <= WireLimits.reason else { throw .outOfRange("reason") }
            content = .closed(reason: closed.reason)
            if closed.hasLeader {
                guard closed.leader.address.utf8.count <= WireLimits.reason,
                    closed.leader.publicKey.utf8.count <= WireLimits.reason
                else { throw .outOfRange("leader") }
                redirect = Redirect(
                    address: closed.leader.address, publicKey: closed.leader.publicKey)
            }
        case .message(let body): content = .message([UInt8](body))
        case .keepAlive: content = .keepAlive
        case nil: throw .missing("content")
        }
        return Envelope(
            version: coded.version, clusterID: coded.clusterID, epoch: coded.epoch,
            session: coded.session, sequence: coded.sequence, acknowledged: coded.acknowledged,
            content: content, redirect: redirect)
    }
}
