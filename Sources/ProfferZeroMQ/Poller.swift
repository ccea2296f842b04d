internal import CZeroMQ
internal import Glibc

/// Waits for sockets and descriptors of one thread.
public struct Poller: ~Copyable {
    private var items: [zmq_pollitem_t] = []

    /// Waits for nothing yet.
    public init() {}

    /// Forgets everything.
    public mutating func removeAll() { items.removeAll(keepingCapacity: true) }

    /// Waits for messages at a socket from now on; returns its position in the result.
    @discardableResult
    public mutating func add(_ socket: borrowing Socket) -> Int {
        var item = zmq_pollitem_t()
        item.socket = socket.handle
        item.events = Int16(ZMQ_POLLIN)
        items.append(item)
        return items.count - 1
    }

    /// Waits for bytes at a descriptor from now on; returns its position in the result.
    @discardableResult
    public mutating func add(descriptor: Int32) -> Int {
        var item = zmq_pollitem_t()
        item.fd = descriptor
        item.events = Int16(ZMQ_POLLIN)
        items.append(item)
        return items.count - 1
    }

    /// Waits until something is ready, at most `milliseconds` (-1: for ever).
    ///
    /// - Returns: Whether anything is ready; a signal counts as nothing.
    public mutating func wait(milliseconds: Int) throws(ZeroMQError) -> Bool {
        let count = zmq_poll(&items, Int32(items.count), milliseconds)
        if count >= 0 { return count > 0 }
        if zmq_errno() == EINTR { return false }
        throw .last("wait")
    }

    /// Whether the entry at `position` was ready when ``wait(milliseconds:)`` returned.
    public func isReady(_ position: Int) -> Bool {
        items[position].revents & Int16(ZMQ_POLLIN | ZMQ_POLLERR) != 0
    }
}

/// Wakes a thread that waits in a ``Poller``, from any other thread.
public final class WakeUp: Sendable {
    /// The descriptor to wait for.
    public let descriptor: Int32

    /// Opens an event descriptor.
    public init() throws(ZeroMQError) {
        descriptor = proffer_eventfd()
        guard descriptor >= 0 else {
            throw ZeroMQError(code: errno, operation: "open an event descriptor")
        }
    }

    deinit { close(descriptor) }

    /// Makes the descriptor ready.
    public func signal() {
        var one: UInt64 = 1
        _ = write(descriptor, &one, 8)
    }

    /// Makes it not ready again.
    public func clear() {
        var count: UInt64 = 0
        _ = read(descriptor, &count, 8)
    }
}

/// Names the calling thread for tools such as `top`; 15 characters are kept.
public func nameThread(_ name: String) { proffer_name_thread(name) }
