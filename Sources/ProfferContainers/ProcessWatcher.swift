internal import CLinux
internal import Glibc
public import ProfferModel

/// The end of a process.
public struct ProcessEnd: Hashable, Sendable {
    /// The number under which it was watched.
    public var token: UInt64
    /// The process.
    public var process: ProcessIdentity
    /// How it ended; `nil` when it was no child, and for a child that somebody else reaped.
    public var exit: TaskExit?
}

/// Watches processes and reaps those that are children of the caller, each by its own id.
///
/// Children that others in this process have started are left alone, and no signal handling is
/// changed, so a program may embed any number of watchers. One descriptor for all processes can
/// be waited for in a poll loop. Needs Linux 5.3 or newer (pidfd).
public struct ProcessWatcher: ~Copyable, Sendable {
    private struct Entry {
        var process: ProcessIdentity
        var descriptor: Int32
        var isChild: Bool
    }

    private let events: EventSet
    private var entries: [UInt64: Entry] = [:]

    /// Makes a watcher without processes.
    public init() throws(SystemError) { events = try EventSet() }

    deinit {
        for entry in entries.values {
            if entry.isChild { WatchedChildren.remove(entry.process.pid) }
            close(entry.descriptor)
        }
    }

    /// Becomes readable when ``takeEnds(within:)`` has something to say.
    public var fileDescriptor: Int32 { events.descriptor }

    /// How many processes are watched.
    public var count: Int { entries.count }

    /// The process watched under this number.
    public func process(_ token: UInt64) -> ProcessIdentity? { entries[token]?.process }

    /// Watches a child of the caller that leads its own process group.
    ///
    /// - Throws: ``SystemError`` when there are no descriptors left; the child is killed and
    ///   reaped then, because its end would never be noticed.
    public mutating func watchChild(
        _ process: ProcessIdentity, token: UInt64
    ) throws(SystemError) {
        do throws(SystemError) {
            _ = try watch(process, token: token, isChild: true)
        } catch {
            kill(-process.pid, SIGKILL)
            _ = Self.reap(process.pid)
            throw error
        }
    }

    /// Watches any process; its exit status will not be known.
    ///
    /// - Returns: Whether it is alive; otherwise nothing is watched.
    /// - Throws: ``SystemError`` when there are no descriptors left.
    public mutating func watchStranger(
        _ process: ProcessIdentity, token: UInt64
    ) throws(SystemError) -> Bool {
        try watch(process, token: token, isChild: false)
    }

    private mutating func watch(
        _ process: ProcessIdentity, token: UInt64, isChild: Bool
    ) throws(SystemError) -> Bool {
        let descriptor = linux_pidfd_open(process.pid)
        if descriptor < 0 {
            if !isChild, errno == ESRCH { return false }
            throw SystemError("watch", "process \(process.pid)", code: errno)
        }
        // The descriptor is bound to whatever has the id now: look only after it was opened.
        if !isChild, !process.isAlive {
            close(descriptor)
            return false
        }
        do throws(SystemError) {
            try events.add(descriptor, token: token)
        } catch {
            close(descriptor)
            throw error
        }
        if isChild { WatchedChildren.insert(process.pid) }
        entries[token] = Entry(process: process, descriptor: descriptor, isChild: isChild)
        return true
    }

    /// Sends a signal to the process alone.
    ///
    /// - Returns: Whether there was one to send it to.
    @discardableResult
    public func signal(_ token: UInt64, _ number: Int32) -> Bool {
        guard let entry = entries[token] else { return false }
        return linux_pidfd_send_signal(entry.descriptor, number) == 0
    }

    /// Sends a signal to the whole process group of a child.
    ///
    /// - Returns: Whether there was one to send it to.
    @discardableResult
    public func signalGroup(_ token: UInt64, _ number: Int32) -> Bool {
        guard let entry = entries[token] else { return false }
        // Until a child is reaped, nobody else can have its id. A stranger may be gone already.
        if !entry.isChild, !entry.process.isAlive { return false }
        return kill(-entry.process.pid, number) == 0
    }

    /// Stops watching without waiting for the end.
    public mutating func forget(_ token: UInt64) {
        guard let entry = entries.removeValue(forKey: token) else { return }
        events.remove(entry.descriptor)
        if entry.isChild { WatchedChildren.remove(entry.process.pid) }
        close(entry.descriptor)
    }

    /// Reaps every child that has ended and reports all ends.
    ///
    /// What is left of a child's process group is killed first, as long as the group's id cannot
    /// be somebody else's.
    ///
    /// - Parameter milliseconds: How long to wait for the first end; -1 is for ever.
    /// - Returns: The ends, in the order in which they were noticed.
    public mutating func takeEnds(within milliseconds: Int32 = 0) -> [ProcessEnd] {
        var ends: [ProcessEnd] = []
        var ready = events.ready(within: milliseconds)
        while !ready.isEmpty {
            for token in ready {
                guard let entry = entries[token] else { continue }
                if entry.isChild { kill(-entry.process.pid, SIGKILL) }
                let exit = entry.isChild ? Self.reap(entry.process.pid) : nil
                forget(token)
                ends.append(ProcessEnd(token: token, process: entry.process, exit: exit))
            }
            ready = events.ready()
        }
        return ends
    }

    private static func reap(_ pid: Int32) -> TaskExit? {
        var status: Int32 = 0
        var usage = rusage()
        var result: Int32 = -1
        repeat { result = wait4(pid, &status, 0, &usage) } while result < 0 && errno == EINTR
        guard result == pid else { return nil }
        let user = duration(usage.ru_utime) + duration(usage.ru_stime)
        // The kernel counts ru_maxrss in KiB.
        let peak = Int64(usage.ru_maxrss) * 1024
        let signal = Int(status & 0x7F)
        if signal == 0 {
            return TaskExit(
                code: Int(status >> 8) & 0xFF, cpuTime: user, peakMemoryBytes: peak)
        }
        return TaskExit(
            signal: signal, isCoreDumped: status & 0x80 != 0, cpuTime: user,
            peakMemoryBytes: peak)
    }

    private static func duration(_ time: timeval) -> Duration {
        .seconds(time.tv_sec) + .microseconds(time.tv_usec)
    }
}
