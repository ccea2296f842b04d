internal import Foundation

/// Where the registry of a master is.
public enum RegistryPlace: Hashable, Sendable {
    /// In SQLite; `nil` is the file in the data directory. The master always leads.
    case embedded(String?)
    /// In etcd, shared with other masters, one of which leads.
    case etcd(EtcdAddress)

    /// Reads `sqlite:`, `sqlite:/path` or `etcd://a:2379,b:2379,c:2379/prefix`.
    ///
    /// - Throws: ``StoreProblem`` when it is none of these.
    public init(_ text: String) throws(StoreProblem) {
        if text.hasPrefix("sqlite:") {
            let path = String(text.dropFirst("sqlite:".count))
            self = .embedded(path.isEmpty ? nil : path)
        } else {
            self = .etcd(try EtcdAddress(text))
        }
    }
}

extension EtcdAddress {
    /// What else is needed to be let in, by the names of the settings.
    public struct Access: Sendable {
        /// The user.
        public var user: String?
        /// A file with the user's password.
        public var passwordFile: String?
        /// A PEM file with the authority that vouches for the members.
        public var authorityFile: String?
        /// A PEM file with this client's certificate.
        public var certificateFile: String?
        /// A PEM file with the private key of that.
        public var keyFile: String?

        /// Describes an access; what is left out is not needed.
        public init(
            user: String? = nil, passwordFile: String? = nil, authorityFile: String? = nil,
            certificateFile: String? = nil, keyFile: String? = nil
        ) {
            self.user = user
            self.passwordFile = passwordFile
            self.authorityFile = authorityFile
            self.certificateFile = certificateFile
            self.keyFile = keyFile
        }

        var files: [String] { [authorityFile, certificateFile, keyFile].compactMap(\.self) }
    }

    /// Adds what is needed to be let in.
    ///
    /// - Throws: ``StoreProblem`` when something is missing or a file is not safe.
    public mutating func add(_ access: Access) throws(StoreProblem) {
        func problem(_ because: String) -> StoreProblem {
            StoreProblem(.address, path: description, because: because)
        }
        user = access.user
        if let file = access.passwordFile { password = try Self.password(file) }
        guard (user == nil) == (password == nil) else {
            throw problem("a user and a password file go together, and only one of them is given")
        }
        guard isTLS || access.files.isEmpty else {
            throw problem(
                "certificates are given, but the address begins with etcd://, not etcds://")
        }
        guard (access.certificateFile == nil) == (access.keyFile == nil) else {
            throw problem("a certificate and its key go together, and only one of them is given")
        }
        authorityFile = access.authorityFile
        certificateFile = access.certificateFile
        keyFile = access.keyFile
    }

    private static func password(_ file: String) throws(StoreProblem) -> String {
        let files = FileManager.default
        guard let data = files.contents(atPath: file) else {
            throw StoreProblem(.address, path: file, because: "it cannot be read")
        }
        let mode = (try? files.attributesOfItem(atPath: file))?[.posixPermissions] as? NSNumber
        guard let mode, mode.intValue & 0o077 == 0 else {
            throw StoreProblem(
                .address, path: file, because: "others than its owner can read it; chmod 600 it")
        }
        return String(decoding: data, as: UTF8.self).trimmingCharacters(in: .newlines)
    }
}
