internal import ProfferSchema
internal import SwiftProtobuf

/// Bytes of a generated message, or nothing at all: our own messages always have what they need.
func bytes(_ message: some Message) -> [UInt8] {
    var options = BinaryEncodingOptions()
    // Maps in one order, so that equal messages are equal bytes.
    options.useDeterministicOrdering = true
    let coded: [UInt8]? = try? message.serializedBytes(partial: true, options: options)
    return coded ?? []
}

/// A generated message of bytes from outside.
func parse<Proto: Message>(
    _ type: Proto.Type, _ bytes: [UInt8], limit: Int = WireLimits.message, _ name: String
) throws(WireError) -> Proto {
    guard bytes.count <= limit else { throw .tooLarge(size: bytes.count, limit: limit) }
    var options = BinaryDecodingOptions()
    options.discardUnknownFields = true
    options.messageDepthLimit = 32
    do {
        return try Proto(serializedBytes: bytes, partial: false, options: options)
    } catch BinaryDecodingError.missingRequiredFields {
        throw .missing("a required field of \(name)")
    } catch {
        throw .malformed(name)
    }
}

/// The part of a message that its kind promises.
func body<Body>(_ body: Body, _ isPresent: Bool, _ name: String) throws(WireError) -> Body {
    guard isPresent else { throw .missing(name) }
    return body
}

/// A name from outside, short enough for an error.
func shown(_ name: String) -> String { name.utf8.count <= 64 ? name : name.prefix(32) + "..." }

extension Array {
    func tryMap<Output>(
        _ transform: (Element) throws(WireError) -> Output
    ) throws(WireError) -> [Output] {
        var result: [Output] = []
        result.reserveCapacity(count)
        for element in self { result.append(try transform(element)) }
        return result
    }
}
