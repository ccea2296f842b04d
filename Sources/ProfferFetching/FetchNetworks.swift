/// The networks from which files may be fetched.
///
/// Without a list these are all but those that lead back to the node or to its neighbours on the
/// wire, where services listen that trust whoever can reach them: loopback, link-local (with the
/// metadata services of clouds), multicast and unspecified addresses.
public struct FetchNetworks: Hashable, Sendable {
    private struct Network: Hashable, Sendable {
        var bytes: [UInt8]
        var bits: Int

        func contains(_ address: [UInt8]) -> Bool {
            guard address.count == bytes.count else { return false }
            for index in address.indices {
                let left = min(8, max(0, bits - index * 8))
                if left == 0 { return true }
                let mask = UInt8(truncatingIfNeeded: 0xFF00 >> left)
                if address[index] & mask != bytes[index] & mask { return false }
            }
            return true
        }
    }

    private static let closed = [
        Network(bytes: [0, 0, 0, 0], bits: 8), Network(bytes: [127, 0, 0, 0], bits: 8),
        Network(bytes: [169, 254, 0, 0], bits: 16), Network(bytes: [224, 0, 0, 0], bits: 3),
        Network(bytes: Array(repeating: 0, count: 16), bits: 127),
        Network(bytes: [0xFE, 0x80] + Array(repeating: 0, count: 14), bits: 10),
        Network(bytes: [0xFF] + Array(repeating: 0, count: 15), bits: 8),
    ]

    private var list: [Network]?

    /// All networks but those that are closed.
    public init() {}

    /// Only these networks.
    ///
    /// - Parameters:
    ///   - texts: Such as `10.0.0.0/8` or `2001:db8::/32`.
    ///   - parse: Makes the 4 or 16 bytes of an address from its text.
    /// - Throws: ``FetchRefusal`` for the first that is none.
    public init(_ texts: [String], parse: (String) -> [UInt8]?) throws(FetchRefusal) {
        var list: [Network] = []
        for text in texts {
            let parts = text.split(separator: "/", omittingEmptySubsequences: false)
            guard parts.count <= 2, let bytes = parse(String(parts[0])),
                bytes.count == 4 || bytes.count == 16,
                let bits = parts.count == 2 ? Int(parts[1]) : bytes.count * 8,
                (0...bytes.count * 8).contains(bits)
            else { throw FetchRefusal("'\(text)' is not a network such as 10.0.0.0/8") }
            list.append(Network(bytes: bytes, bits: bits))
        }
        self.list = list
    }

    /// Whether files may come from an address of 4 or 16 bytes.
    public func allows(_ address: [UInt8]) -> Bool {
        // An address of the old kind in one of the new kind is the old one.
        let isMapped =
            address.count == 16 && address.prefix(10).allSatisfy { $0 == 0 }
            && address[10] == 0xFF && address[11] == 0xFF
        let address = isMapped ? Array(address.suffix(4)) : address
        guard address.count == 4 || address.count == 16 else { return false }
        if let list { return list.contains { $0.contains(address) } }
        return !Self.closed.contains { $0.contains(address) }
    }
}
