internal import Foundation

/// Where an etcd cluster is, and how to be let in: `etcd://a:2379,b:2379,c:2379/prefix`, with
/// `etcds` in place of `etcd` for TLS.
public struct EtcdAddress: Hashable, Sendable, CustomStringConvertible {
    /// Its members, `host:port`.
    public var members: [String]
    /// Whether the members are spoken to over TLS.
    public var isTLS: Bool
    /// Where the registry lies: all its keys begin with it.
    public var prefix = "/proffer/"
    /// The user; `nil` where etcd knows none.
    public var user: String?
    /// The user's password.
    public var password: String?
    /// A PEM file with the certificates of those who may vouch for the members; `nil` are those
    /// that the system trusts.
    public var authorityFile: String?
    /// A PEM file with this client's certificate.
    public var certificateFile: String?
    /// A PEM file with the private key of that.
    public var keyFile: String?

    /// Reads an address.
    ///
    /// - Throws: ``StoreProblem`` when it is none.
    public init(_ text: String) throws(StoreProblem) {
        func problem(_ because: String) -> StoreProblem {
            StoreProblem(.address, path: text, because: because)
        }
        guard let colon = text.firstRange(of: "://") else {
            throw problem("it has no '://'")
        }
        switch text[..<colon.lowerBound] {
        case "etcd": isTLS = false
        case "etcds": isTLS = true
        default: throw problem("it begins neither with etcd:// nor with etcds://")
        }
        let rest = text[colon.upperBound...].split(
            separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        members = rest[0].split(separator: ",").map(String.init)
        guard !members.isEmpty else { throw problem("it names no member") }
        for (index, member) in members.enumerated() {
            if member.contains("@") {
                throw problem("a user does not belong into it; give --etcd-user")
            }
            guard let port = member.lastIndex(of: ":"), !member.hasSuffix("]") else {
                members[index] += ":2379"
                continue
            }
            guard let number = UInt16(member[member.index(after: port)...]), number > 0,
                port > member.startIndex
            else { throw problem("'\(member)' is not host:port") }
        }
        if rest.count == 2, !rest[1].isEmpty {
            guard !rest[1].contains("?"), !rest[1].contains("#") else {
                throw problem("it takes no options")
            }
            prefix = "/" + rest[1] + (rest[1].hasSuffix("/") ? "" : "/")
        }
    }

    /// The text it was read from, without secrets.
    public var description: String {
        (isTLS ? "etcds://" : "etcd://") + members.joined(separator: ",")
            + (prefix == "/proffer/" ? "" : String(prefix.dropLast()))
    }

    var bases: [String] { members.map { (isTLS ? "https://" : "http://") + $0 } }
}
