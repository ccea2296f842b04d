internal import Glibc
internal import ProfferContainers

/// Threads for work that may wait, so many at a time.
final class BackgroundWork: @unchecked Sendable {
    // Every access is made with `lock` held.
    private var waiting: [@Sendable () -> Void] = []
    private var threads = 0
    private let limit: Int
    private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)

    init(threads limit: Int) {
        self.limit = limit
        pthread_mutex_init(lock, nil)
    }

    deinit {
        pthread_mutex_destroy(lock)
        lock.deallocate()
    }

    /// Has `body` run on another thread, in the order of the calls as far as there are threads.
    func submit(_ body: @escaping @Sendable () -> Void) {
        pthread_mutex_lock(lock)
        waiting.append(body)
        let isFresh = threads < limit
        if isFresh { threads += 1 }
        pthread_mutex_unlock(lock)
        guard isFresh else { return }
        DetachedThread.run { self.work() }
    }

    private func work() {
        while true {
            pthread_mutex_lock(lock)
            let next = waiting.isEmpty ? nil : waiting.removeFirst()
            if next == nil { threads -= 1 }
            pthread_mutex_unlock(lock)
            guard let next else { return }
            next()
        }
    }
}
