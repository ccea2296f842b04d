internal import Glibc
internal import ProfferTransport
public import ProfferZeroMQ

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// How a framework reaches the master.
public struct MasterConnection: Sendable {
    let addresses: [String]
    let security: DialSecurity
    let context: Context

    /// Over TCP with CURVE.
    ///
    /// - Parameters:
    ///   - addresses: Of every master, such as `tcp://10.0.0.1:5060`; the leader is found. Where
    ///     the masters have keys of their own, each with its key: `tcp://10.0.0.1:5060=KEY`.
    ///   - masterKey: The public key, Z85, of masters whose address names none.
    ///   - keys: The framework's own pair; its public key must be in the masters' allow-list.
    /// - Throws: ``ConnectionProblem`` when the master's key is no key.
    public init(addresses: [String], masterKey: String, keys: KeyPair) throws {
        let servers = addresses.map { ServerAddress(text: $0) }
        let needed = servers.contains { $0.key == nil } ? [masterKey] : []
        for key in needed + servers.compactMap(\.key)
        where !KeyPair.isKey(key) || KeyPair.isPublicTestKey(key) {
            throw ConnectionProblem(
                what: "the master's key '\(key)' is no key",
                advice: "copy the 40 characters that the master printed when it started")
        }
        self.addresses = servers.map(\.description)
        security = .curve(keys, serverKey: masterKey)
        context = try Context()
    }

    /// Within one process, as in the embedded cluster.
    public init(inProcess address: String, context: Context) {
        addresses = [address]
        security = .local
        self.context = context
    }

    /// The connection that the environment describes.
    ///
    /// Either `PROFFER_MASTER` (addresses, separated by commas, each with its key after `=` where
    /// the masters have keys of their own), `PROFFER_MASTER_KEY` and `PROFFER_KEY_FILE`, or the
    /// file named by `PROFFER_CONTEXT`, or `~/.proffer/context.json`, which `proffer dev` writes.
    ///
    /// - Throws: ``ConnectionProblem`` when there is none of these or it cannot be used.
    public static func fromEnvironment() throws -> MasterConnection {
        if let master = variable("PROFFER_MASTER") {
            let servers = ServerAddress.list(master)
            let isKeyed = servers.allSatisfy { $0.key != nil }
            guard let key = variable("PROFFER_MASTER_KEY") ?? (isKeyed ? "" : nil),
                let file = variable("PROFFER_KEY_FILE")
            else {
                throw ConnectionProblem(
                    what: "PROFFER_MASTER is set, but not all it needs",
                    advice: "set PROFFER_MASTER_KEY to the master's public key and "
                        + "PROFFER_KEY_FILE to this framework's key file")
            }
            return try MasterConnection(
                addresses: servers.map(\.description), masterKey: key,
                keys: load(file))
        }
        let path =
            variable("PROFFER_CONTEXT") ?? (variable("HOME") ?? "/root") + "/.proffer/context.json"
        return try fromContext(path)
    }

    /// The connection that a cluster file describes.
    public static func fromContext(_ path: String) throws -> MasterConnection {
        struct Contents: Decodable {
            var master: [String]
            var masterKey: String
            var keyFile: String
        }
        guard let data = read(path) else {
            throw ConnectionProblem(
                what: "no cluster is known: there is no file \(path)",
                advice: "start one with 'proffer dev', name its file in PROFFER_CONTEXT, or set "
                    + "PROFFER_MASTER, PROFFER_MASTER_KEY and PROFFER_KEY_FILE")
        }
        let contents: Contents
        do {
            contents = try JSONDecoder().decode(Contents.self, from: data)
        } catch {
            throw ConnectionProblem(
                what: "the cluster file \(path) cannot be understood: \(Self.told(error))",
                advice: "delete it and start 'proffer dev' again")
        }
        return try MasterConnection(
            addresses: contents.master, masterKey: contents.masterKey,
            keys: load(contents.keyFile))
    }

    /// What is wrong with a cluster file, in words for people.
    private static func told(_ error: any Error) -> String {
        guard let error = error as? DecodingError else { return "it is not JSON" }
        switch error {
        case .keyNotFound(let key, _): return "'\(key.stringValue)' is missing"
        case .typeMismatch(_, let context), .valueNotFound(_, let context):
            let path = context.codingPath.map(\.stringValue).joined(separator: ".")
            return "'\(path)' has another kind of value than it should"
        case .dataCorrupted: return "it is not JSON"
        @unknown default: return "it is not a cluster file"
        }
    }

    private static func load(_ file: String) throws -> KeyPair {
        do {
            return try KeyPair.load(file)
        } catch {
            throw ConnectionProblem(
                what: "the key file cannot be used: \(error)",
                advice: "give it mode 0600 and the user who runs the framework as owner")
        }
    }

    private static func variable(_ name: String) -> String? {
        guard let text = getenv(name) else { return nil }
        let value = String(cString: text)
        return value.isEmpty ? nil : value
    }

    private static func read(_ path: String) -> Data? {
        try? Data(contentsOf: URL(filePath: path))
    }
}

/// Why the master cannot be reached at all, and what to do.
public struct ConnectionProblem: Error, CustomStringConvertible, Sendable {
    /// What is wrong.
    public let what: String
    /// What to do.
    public let advice: String

    /// Two lines.
    public var description: String { "\(what)\n  try: \(advice)" }
}
