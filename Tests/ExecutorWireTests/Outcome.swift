import ProfferExecutorWire
import ProfferModel
import ProfferSession
import ProfferWire
import Testing

/// What became of bytes from outside.
enum Outcome<Message: Equatable>: Equatable {
    case taken(Message)
    case refused(WireError)

    init(_ decode: () throws(WireError) -> Message) {
        do throws(WireError) {
            self = .taken(try decode())
        } catch {
            self = .refused(error)
        }
    }
}

extension Outcome where Message == ExecutorEvent? {
    init(ownEvent bytes: [UInt8]) {
        self.init { () throws(WireError) in try ExecutorCodec.decodeEvent(bytes) }
    }

    init(referenceEvent bytes: [UInt8]) {
        self.init { () throws(WireError) in try WireCodec.decodeExecutorEvent(bytes) }
    }
}

extension Outcome where Message == Envelope {
    init(ownEnvelope bytes: [UInt8]) {
        self.init { () throws(WireError) in try ExecutorCodec.decodeEnvelope(bytes) }
    }

    init(referenceEnvelope bytes: [UInt8]) {
        self.init { () throws(WireError) in try EnvelopeCodec.decode(bytes) }
    }
}

/// Checks that this codec reads damaged bytes as the reference does.
///
/// There is one difference: where the reference refuses a message because of a part that an
/// executor does not look at, this codec takes it. Whatever it takes has to be a message that the
/// reference can read once it is written out again, and a value out of range is refused by both.
func expectAgreement<Message: Equatable>(
    _ own: Outcome<Message>, _ reference: Outcome<Message>, rewritten: (Message) -> [UInt8]?,
    read: ([UInt8]) -> Outcome<Message>, bytes: [UInt8],
    at location: SourceLocation = #_sourceLocation
) {
    switch (own, reference) {
    case (.taken(let left), .taken(let right)):
        #expect(left == right, "\(bytes)", sourceLocation: location)
    case (.refused, .refused): break
    case (.refused(let error), .taken):
        Issue.record("only the reference takes \(bytes): \(error)", sourceLocation: location)
    case (.taken, .refused(.outOfRange(let field))):
        Issue.record("\(field) out of range was taken in \(bytes)", sourceLocation: location)
    case (.taken(let message), .refused):
        guard let copy = rewritten(message) else { return }
        if case .refused(let error) = read(copy) {
            Issue.record("\(error) in what was read from \(bytes)", sourceLocation: location)
        }
    }
}

func expectAgreement(
    onEvent bytes: [UInt8], at location: SourceLocation = #_sourceLocation
) {
    expectAgreement(
        Outcome(ownEvent: bytes), Outcome(referenceEvent: bytes),
        rewritten: { $0.map { WireCodec.encode($0) } }, read: { Outcome(referenceEvent: $0) },
        bytes: bytes, at: location)
}

func expectAgreement(
    onEnvelope bytes: [UInt8], at location: SourceLocation = #_sourceLocation
) {
    expectAgreement(
        Outcome(ownEnvelope: bytes), Outcome(referenceEnvelope: bytes),
        rewritten: { EnvelopeCodec.encode($0) }, read: { Outcome(referenceEnvelope: $0) },
        bytes: bytes, at: location)
}
