internal import CZeroMQ

/// A ZeroMQ context: the I/O threads and the `inproc://` name space of its sockets.
///
/// One per process is usual. It ends when the last reference goes; every socket holds one.
public final class Context: @unchecked Sendable {
    // libzmq documents contexts as usable from any number of threads without locking; the pointer
    // never changes after init.
    let handle: UnsafeMutableRawPointer

    /// Makes a context.
    ///
    /// - Parameter ioThreads: How many threads move bytes; one is enough for about a gigabyte a
    ///   second.
    /// - Throws: When no more descriptors are to be had.
    public init(ioThreads: Int32 = 1) throws(ZeroMQError) {
        guard let handle = zmq_ctx_new() else { throw .last("make a context") }
        self.handle = handle
        zmq_ctx_set(handle, ZMQ_IO_THREADS, ioThreads)
        zmq_ctx_set(handle, ZMQ_MAX_SOCKETS, 4096)
    }

    /// Makes every operation on its sockets fail from now on, waiting ones included, with
    /// `isTerminated`; usable from any thread.
    public func shutDown() { zmq_ctx_shutdown(handle) }

    deinit {
        // Sockets keep their context alive, so nothing is open here: this waits for the linger of
        // unsent messages at most.
        zmq_ctx_term(handle)
    }
}
