internal import CLinux
internal import Glibc

/// Descriptors to wait for (epoll), each with a number of its own.
struct EventSet: ~Copyable, Sendable {
    /// Becomes readable when any of the descriptors is ready; can be watched itself.
    let descriptor: Int32

    init() throws(SystemError) {
        descriptor = linux_epoll_create()
        guard descriptor >= 0 else { throw SystemError("create", "epoll", code: errno) }
    }

    deinit { close(descriptor) }

    func add(_ other: Int32, token: UInt64, writable: Bool = false) throws(SystemError) {
        try control(LINUX_EVENT_ADD, other, token, writable)
    }

    func change(_ other: Int32, token: UInt64, writable: Bool) throws(SystemError) {
        try control(LINUX_EVENT_CHANGE, other, token, writable)
    }

    func remove(_ other: Int32) {
        _ = linux_epoll_control(descriptor, Int32(LINUX_EVENT_REMOVE), other, 0, 0)
    }

    private func control(
        _ operation: Int, _ other: Int32, _ token: UInt64, _ writable: Bool
    ) throws(SystemError) {
        let events = UInt32(writable ? LINUX_EVENT_WRITABLE : LINUX_EVENT_READABLE)
        if linux_epoll_control(descriptor, Int32(operation), other, events, token) != 0 {
            throw SystemError("watch", "descriptor \(other)", code: errno)
        }
    }

    /// The numbers of at most 128 descriptors that are ready now, or within `milliseconds`.
    func ready(within milliseconds: Int32 = 0) -> [UInt64] {
        withUnsafeTemporaryAllocation(of: linux_event.self, capacity: 128) { buffer in
            let count = linux_epoll_wait(descriptor, buffer.baseAddress, 128, milliseconds)
            return (0..<max(0, Int(count))).map { buffer[$0].token }
        }
    }
}
