internal import CLinux
internal import Glibc

/// SIGTERM as something to poll, for a program that is an executor.
struct SignalDescriptor {
    let fileDescriptor: Int32

    /// Changes how the whole process handles signals; for its first thread, before any other.
    static func takeOver() -> SignalDescriptor? {
        signal(SIGHUP, SIG_IGN)
        signal(SIGINT, SIG_IGN)
        signal(SIGPIPE, SIG_IGN)
        var mask = sigset_t()
        sigemptyset(&mask)
        sigaddset(&mask, SIGTERM)
        pthread_sigmask(SIG_BLOCK, &mask, nil)
        let descriptor = linux_signal_descriptor(1 << UInt64(SIGTERM - 1))
        return descriptor < 0 ? nil : SignalDescriptor(fileDescriptor: descriptor)
    }

    /// Takes out what is pending, so that the descriptor is not readable any more.
    func clear() {
        var buffer = [UInt8](repeating: 0, count: 128)
        while read(fileDescriptor, &buffer, buffer.count) > 0 {}
    }
}
