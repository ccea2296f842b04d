import ProfferModel
import ProfferSession
import ProfferWire
import Testing

/// One message with its bytes and the way back.
struct Sample: Sendable, CustomTestStringConvertible {
    let name: String
    let bytes: [UInt8]
    /// Whether the bytes are read as the message they were made from.
    let survives: @Sendable () throws -> Bool
    /// Reads bytes as a message of this kind and throws what the decoder throws.
    let decode: @Sendable ([UInt8]) throws -> Void

    var testDescription: String { name }

    init<Kind: Equatable & Sendable>(
        _ name: String, _ message: Kind, encode: (Kind) -> [UInt8],
        decode: @escaping @Sendable ([UInt8]) throws -> Kind?
    ) {
        self.name = name
        let bytes = encode(message)
        self.bytes = bytes
        survives = { try decode(bytes) == message }
        self.decode = { _ = try decode($0) }
    }
}

extension Sample {
    static func call(_ name: String, _ call: SchedulerCall, from id: FrameworkID? = "f") -> Sample {
        Sample(
            name, FrameworkCall(frameworkID: id, call: call), encode: { WireCodec.encode($0) },
            decode: { try WireCodec.decodeFrameworkCall($0) })
    }

    static func event(_ name: String, _ event: SchedulerEvent) -> Sample {
        Sample(
            name, event, encode: { WireCodec.encode($0) },
            decode: { try WireCodec.decodeSchedulerEvent($0) })
    }

    static func executorCall(_ name: String, _ call: ExecutorCall) -> Sample {
        Sample(
            name, ExecutorMessage(frameworkID: "f", executorID: "e", call: call),
            encode: { WireCodec.encode($0) },
            decode: { try WireCodec.decodeExecutorMessage($0) })
    }

    static func executorEvent(_ name: String, _ event: ExecutorEvent) -> Sample {
        Sample(
            name, event, encode: { WireCodec.encode($0) },
            decode: { try WireCodec.decodeExecutorEvent($0) })
    }

    static func toMaster(_ name: String, _ message: AgentToMaster) -> Sample {
        Sample(
            name, message, encode: { WireCodec.encode($0) },
            decode: { try WireCodec.decodeAgentToMaster($0) })
    }

    static func toAgent(_ name: String, _ message: MasterToAgent) -> Sample {
        Sample(
            name, message, encode: { WireCodec.encode($0) },
            decode: { try WireCodec.decodeMasterToAgent($0) })
    }

    static func operatorCall(_ name: String, _ call: OperatorCall) -> Sample {
        Sample(
            name, call, encode: { WireCodec.encode($0) },
            decode: { try WireCodec.decodeOperatorCall($0) })
    }

    static func answer(_ name: String, _ answer: OperatorAnswer) -> Sample {
        Sample(
            name, answer, encode: { WireCodec.encode($0) },
            decode: { try WireCodec.decodeOperatorAnswer($0) })
    }

    static func clusterEvent(_ name: String, _ event: ClusterEvent) -> Sample {
        Sample(
            name, event, encode: { WireCodec.encode($0) },
            decode: { try WireCodec.decodeClusterEvent($0) })
    }

    static func envelope(_ name: String, _ envelope: Envelope) -> Sample {
        Sample(
            name, envelope, encode: { EnvelopeCodec.encode($0) },
            decode: { try EnvelopeCodec.decode($0) })
    }

    static func record(_ name: String, _ record: MasterRecord) -> Sample {
        let stored = WireCodec.encode(record)
        return Sample(
            name, record, encode: { _ in stored.value ?? [] },
            decode: { bytes in
                try WireCodec.decodeMasterRecord(
                    StoredRecord(kind: stored.kind, key: stored.key, value: bytes))
            })
    }

    static func record(_ name: String, _ record: AgentRecord) -> Sample {
        let stored = WireCodec.encode(record)
        return Sample(
            name, record, encode: { _ in stored.value ?? [] },
            decode: { bytes in
                try WireCodec.decodeAgentRecord(
                    StoredRecord(kind: stored.kind, key: stored.key, value: bytes))
            })
    }
}
