/// Where a server is, and which key it has: `tcp://host:port`, or `tcp://host:port=KEY`.
///
/// Servers that share one key pair need not name it with each address.
public struct ServerAddress: Hashable, Sendable, CustomStringConvertible {
    /// The address for a socket.
    public var address: String
    /// The public key, Z85; `nil` is the one that is given for all.
    public var key: String?

    /// Names a server.
    public init(_ address: String, key: String? = nil) {
        self.address = address
        self.key = key
    }

    /// Reads an address; without `tcp://` it is put before.
    ///
    /// A key may itself contain the sign that separates it, so the first one counts.
    public init(text: String) {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let place = String(parts[0])
        address = place.contains("://") ? place : "tcp://" + place
        key = parts.count == 2 ? String(parts[1]) : nil
    }

    /// Reads addresses that are separated by commas, which no key contains.
    public static func list(_ text: String) -> [ServerAddress] {
        text.split(separator: ",").map { ServerAddress(text: String($0)) }
    }

    /// Whether it is an address of the kind `tcp://host:port`.
    public var isTCP: Bool {
        guard address.hasPrefix("tcp://"), let colon = address.lastIndex(of: ":"),
            let port = UInt16(address[address.index(after: colon)...])
        else { return false }
        return port > 0 && colon > address.index(address.startIndex, offsetBy: 6)
    }

    /// The text it is read from.
    public var description: String { key.map { "\(address)=\($0)" } ?? address }
}
