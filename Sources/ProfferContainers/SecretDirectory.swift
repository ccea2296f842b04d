internal import CLinux
internal import Glibc
public import ProfferModel

/// Secrets as files of the node: one directory for each role, one file for each secret.
///
/// The file of a secret is `ROLE/NAME`, and `ROLE/NAME/KEY` of one with a key. In the name of a
/// role, `/` is written `%2F` and `%` is written `%25`, so that each role has a directory of its
/// own and none is within another's. Names and keys are letters, digits, `.`, `_` and `-`, and do
/// not begin with a dot. Nothing on the way may be a symbolic link. The directories must belong to
/// the agent's user or root and be writable for nobody else; the files must belong to one of them
/// and be neither readable nor writable for anybody else.
public struct SecretDirectory: Hashable, Sendable {
    /// Where it is.
    public let path: String

    /// Takes a directory, which is looked at anew for each secret.
    public init(_ path: String) { self.path = path }

    /// What is wrong with the directory itself, or `nil`.
    public var problem: SystemError? {
        do throws(SystemError) {
            close(try openDirectory("", path))
            return nil
        } catch {
            return error
        }
    }

    /// Reads a secret.
    ///
    /// - Parameters:
    ///   - reference: Which one.
    ///   - role: The role of the task that is to have it.
    /// - Returns: The bytes of the file, all of them.
    /// - Throws: ``SystemError`` that says what is wrong, and nothing of what is in the file.
    public func read(
        _ reference: SecretReference, role: String
    ) throws(SystemError) -> [UInt8] {
        for part in [reference.name] + (reference.key.map { [$0] } ?? []) {
            guard Self.isName(part) else {
                throw SystemError(
                    "find the secret", part, code: EINVAL,
                    hint: "names are letters, digits, '.', '_' and '-', not a dot first")
            }
        }
        var names = [Self.directory(of: role), reference.name]
        if let key = reference.key { names.append(key) }
        for count in 0..<names.count {
            close(
                try openDirectory(names.prefix(count).joined(separator: "/"), path, role: role))
        }
        return try readFile(names.joined(separator: "/"), reference)
    }

    /// The name of a role's directory.
    public static func directory(of role: String) -> String {
        role.unicodeScalars.reduce(into: "") { text, scalar in
            switch scalar {
            case "/": text += "%2F"
            case "%": text += "%25"
            default: text.unicodeScalars.append(scalar)
            }
        }
    }

    private static func isName(_ text: String) -> Bool {
        !text.isEmpty && !text.hasPrefix(".") && text.utf8.count <= SecretReference.longestName
            && text.utf8.allSatisfy {
                (0x30...0x39).contains($0) || (0x41...0x5A).contains($0)
                    || (0x61...0x7A).contains($0) || [0x2D, 0x2E, 0x5F].contains($0)
            }
    }

    private func openTop() throws(SystemError) -> Int32 {
        // The operator's own path: where it leads to is the operator's wish.
        let top = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard top >= 0 else { throw SystemError("open", path, code: errno) }
        return top
    }

    private func openBelow(_ name: String, _ flags: Int32) throws(SystemError) -> Int32 {
        let top = try openTop()
        if name.isEmpty { return top }
        defer { close(top) }
        let found = linux_open_below(top, name, UInt64(flags | O_CLOEXEC))
        guard found >= 0 else {
            let code = errno
            throw SystemError(
                "find the secret", name, code: code,
                hint: code == ELOOP ? "no link is followed" : nil)
        }
        return found
    }

    private func openDirectory(
        _ name: String, _ path: String, role: String? = nil
    ) throws(SystemError) -> Int32 {
        let directory = try openBelow(name, O_RDONLY | O_DIRECTORY)
        var status = stat()
        guard fstat(directory, &status) == 0, Self.isOurs(status), status.st_mode & 0o022 == 0
        else {
            close(directory)
            throw SystemError(
                "use", name.isEmpty ? path : "\(path)/\(name)", code: EPERM,
                hint: "it must belong to the agent's user and be writable for nobody else:"
                    + " chmod go-w")
        }
        return directory
    }

    private static func isOurs(_ status: stat) -> Bool {
        status.st_uid == geteuid() || status.st_uid == 0
    }

    private func readFile(
        _ name: String, _ reference: SecretReference
    ) throws(SystemError) -> [UInt8] {
        // A pipe in the file's place must not make anybody wait.
        let file = try openBelow(name, O_RDONLY | O_NONBLOCK)
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw SystemError("read the secret", name, code: EINVAL, hint: "it is no file")
        }
        guard Self.isOurs(status), status.st_mode & 0o077 == 0 else {
            throw SystemError(
                "read the secret", name, code: EPERM,
                hint: "the file must be the agent's alone: chmod 0600")
        }
        let limit = SecretValue.longest
        var bytes = [UInt8](repeating: 0, count: limit + 1)
        var count = 0
        while count < bytes.count {
            let taken = bytes[count...].withUnsafeMutableBytes {
                Glibc.read(file, $0.baseAddress, $0.count)
            }
            guard taken >= 0 else { throw SystemError("read the secret", name, code: errno) }
            if taken == 0 { return Array(bytes.prefix(count)) }
            count += taken
        }
        throw SystemError(
            "read the secret", name, code: EFBIG, hint: "it has more than \(limit) bytes")
    }
}
