internal import Glibc
public import ProfferIsolation

/// The users of the node.
public enum NodeUsers {
    /// Finds a user with its groups.
    ///
    /// - Parameter name: The name; without one it is whoever runs this process.
    /// - Returns: The user.
    /// - Throws: ``SystemError`` when there is none of this name.
    public static func find(_ name: String?) throws(SystemError) -> ContainerUser {
        guard let name, !name.isEmpty else {
            return ContainerUser(id: geteuid(), group: getegid())
        }
        var entry = passwd()
        var found: UnsafeMutablePointer<passwd>?
        var buffer = [CChar](repeating: 0, count: 16_384)
        let code = getpwnam_r(name, &entry, &buffer, buffer.count, &found)
        guard code == 0, found != nil else {
            throw SystemError(
                "run as", name, code: code == 0 ? EINVAL : code, hint: "no such user")
        }
        let group = entry.pw_gid
        var count: Int32 = 64
        var groups = [gid_t](repeating: group, count: Int(count))
        if getgrouplist(name, group, &groups, &count) < 0 {
            groups = [gid_t](repeating: group, count: max(1, Int(count)))
            _ = getgrouplist(name, group, &groups, &count)
        }
        return ContainerUser(
            id: entry.pw_uid, group: group, groups: Array(groups.prefix(max(1, Int(count)))))
    }

    /// Gives a sandbox, and the files that a task writes to, to a user.
    ///
    /// - Throws: ``SystemError`` that names the path.
    public static func give(_ sandbox: String, to user: ContainerUser) throws(SystemError) {
        for name in ["stdout", "stderr"] {
            let path = "\(sandbox)/\(name)"
            let flags = O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK
            let descriptor = open(path, flags, 0o600)
            guard descriptor >= 0 else { throw SystemError("open", path, code: errno) }
            defer { close(descriptor) }
            guard fchown(descriptor, user.id, user.group) == 0 else {
                throw SystemError("give away", path, code: errno)
            }
        }
        guard lchown(sandbox, user.id, user.group) == 0 else {
            throw SystemError("give away", sandbox, code: errno)
        }
    }
}
