internal import CLinux
internal import Glibc
internal import ProfferKernel

/// Sockets in the network of a task.
enum TaskNetwork {
    /// Opens a socket for TCP over IPv4 that does not block.
    ///
    /// A socket belongs to the network in which it was opened, so that the thread is there for no
    /// longer than that.
    ///
    /// - Parameter namespace: Such as `/proc/1/ns/net`; the present one when absent.
    /// - Returns: The socket, which is the caller's.
    /// - Throws: ``SystemError`` when it cannot be entered, for instance because the task is gone.
    static func openSocket(in namespace: String?) throws(SystemError) -> Int32 {
        guard let namespace else { return try openSocket() }
        let home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)
        guard home >= 0 else { throw SystemError("open", "own network", code: errno) }
        defer { close(home) }
        let target = open(namespace, O_RDONLY | O_CLOEXEC)
        guard target >= 0 else { throw SystemError("open", namespace, code: errno) }
        defer { close(target) }
        guard linux_enter_namespace(target) == 0 else {
            throw SystemError("enter", namespace, code: errno)
        }
        let descriptor = Result(catching: openSocket)
        invariant(linux_enter_namespace(home) == 0, "the way back into the node's network")
        return try descriptor.get()
    }

    private static func openSocket() throws(SystemError) -> Int32 {
        let flags = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        let descriptor = socket(AF_INET, flags, 0)
        guard descriptor >= 0 else { throw SystemError("open", "socket", code: errno) }
        return descriptor
    }
}
