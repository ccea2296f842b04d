internal import CZeroMQ
internal import Glibc

/// A CURVE key pair in Z85 text: 40 characters each.
public struct KeyPair: Sendable, Equatable {
    /// Names its owner; may be told to everybody.
    public let publicKey: String
    /// Proves the owner; must never leave it.
    public let secretKey: String

    /// The key pairs that libzmq's manual and test suite print; whoever can read has them.
    private static let wellKnown: Set<String> = [
        "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID", "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs",
        "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7", "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6",
    ]

    /// Makes a fresh pair.
    ///
    /// - Throws: When libzmq was built without CURVE.
    public static func generate() throws(ZeroMQError) -> KeyPair {
        var publicText = [CChar](repeating: 0, count: 41)
        var secretText = [CChar](repeating: 0, count: 41)
        guard zmq_curve_keypair(&publicText, &secretText) == 0 else {
            throw .last("make a key pair")
        }
        return KeyPair(uncheckedPublic: text(publicText), secret: text(secretText))
    }

    /// Checks a pair and makes it usable.
    ///
    /// - Throws: ``KeyProblem`` when a text is no key, the two do not belong together, or the pair
    ///   is one that manuals print.
    public init(publicKey: String, secretKey: String) throws(KeyProblem) {
        guard Self.isKey(publicKey), Self.isKey(secretKey) else { throw .notAKey }
        guard !Self.wellKnown.contains(publicKey), !Self.wellKnown.contains(secretKey) else {
            throw .publicTestKey
        }
        var derived = [CChar](repeating: 0, count: 41)
        guard zmq_curve_public(&derived, secretKey) == 0, Self.text(derived) == publicKey else {
            throw .mismatch
        }
        self.publicKey = publicKey
        self.secretKey = secretKey
    }

    private init(uncheckedPublic: String, secret: String) {
        publicKey = uncheckedPublic
        secretKey = secret
    }

    private static func text(_ characters: [CChar]) -> String {
        String(decoding: characters.prefix(40).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Whether `text` can be a key: 40 characters of Z85 that stand for 32 bytes.
    public static func isKey(_ text: String) -> Bool {
        // C sees no further than a zero byte.
        guard text.utf8.count == 40, !text.utf8.contains(0) else { return false }
        var bytes = [UInt8](repeating: 0, count: 32)
        return zmq_z85_decode(&bytes, text) != nil
    }

    /// Whether manuals print this key.
    public static func isPublicTestKey(_ text: String) -> Bool { wellKnown.contains(text) }

    /// Reads a pair from a file that only its owner can read.
    ///
    /// - Throws: ``KeyProblem`` when the path names a symbolic link or no plain file, when others
    ///   can read it, or when it holds no usable pair.
    public static func load(_ path: String) throws(KeyProblem) -> KeyPair {
        // Without waiting: a pipe with nobody at the other end would hold up the start for ever.
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard file >= 0 else { throw .unreadable(path, errno) }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0 else { throw .unreadable(path, errno) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw .notAFile(path) }
        guard status.st_mode & 0o077 == 0 else { throw .tooOpen(path) }
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = read(file, &bytes, bytes.count)
        guard count > 0 else { throw .unreadable(path, errno) }
        let lines = String(decoding: bytes.prefix(count), as: UTF8.self).split(separator: "\n")
        var values: [Substring: String] = [:]
        for line in lines where !line.hasPrefix("#") {
            let parts = line.split(separator: " ", maxSplits: 1)
            if parts.count == 2 { values[parts[0]] = String(parts[1]) }
        }
        guard let publicKey = values["public"], let secretKey = values["secret"] else {
            throw .notAKey
        }
        return try KeyPair(publicKey: publicKey, secretKey: secretKey)
    }

    /// Writes the pair into a new file with mode 0600.
    ///
    /// - Throws: ``KeyProblem`` when there is something at the path already, or the file cannot be
    ///   written whole; nothing is left of it then.
    public func save(_ path: String) throws(KeyProblem) {
        let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else { throw .unreadable(path, errno) }
        defer { close(file) }
        let text = "# CURVE key pair, Z85\npublic \(publicKey)\nsecret \(secretKey)\n"
        let bytes = Array(text.utf8)
        guard write(file, bytes, bytes.count) == bytes.count, fsync(file) == 0 else {
            let code = errno
            unlink(path)
            throw .unreadable(path, code)
        }
    }
}

/// Why a key cannot be used.
public enum KeyProblem: Error, Equatable, CustomStringConvertible {
    /// The text is not 40 characters of Z85.
    case notAKey
    /// The public key does not belong to the secret one.
    case mismatch
    /// The pair is printed in manuals.
    case publicTestKey
    /// Others than the owner can read the file.
    case tooOpen(String)
    /// The path names no plain file.
    case notAFile(String)
    /// The file cannot be read or written.
    case unreadable(String, Int32)

    /// One sentence.
    public var description: String {
        switch self {
        case .notAKey: "this is no key: a key is 40 characters of Z85 text"
        case .mismatch: "the public key does not belong to the secret key"
        case .publicTestKey: "this key pair is printed in manuals, so everybody has it"
        case .tooOpen(let path): "\(path) can be read by others; its mode must be 0600"
        case .notAFile(let path): "\(path) is no plain file; name the file with the key pair"
        case .unreadable(let path, let code):
            "\(path): \(String(cString: strerror(code)))"
        }
    }
}
