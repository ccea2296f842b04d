internal import CLinux
internal import Foundation
internal import Glibc
internal import Synchronization

/// The processes that this one started, and those that they left behind.
///
/// This process adopts every descendant that loses its parent: an executor outlives its agent by
/// design, and here it must not outlive the cluster.
final class ProcessTree: Sendable {
    /// How a process ended.
    enum End: Sendable, Equatable {
        case code(Int32)
        case signal(Int32)

        init(status: Int32) {
            let signal = status & 0x7F
            self = signal == 0 ? .code(status >> 8 & 0xFF) : .signal(signal)
        }

        var text: String {
            switch self {
            case .code(let code): "ended with code \(code)"
            case .signal(let number): "was ended by signal \(number)"
            }
        }
    }

    private struct State {
        var ends: [Int32: End] = [:]
        var started: Set<Int32> = []
    }

    private let state = Mutex(State())

    init() {
        // Without it orphans go to init, and those are looked for in vain at the end.
        _ = linux_adopt_orphans()
    }

    /// Starts a program as the leader of a session, so that a Ctrl-C of the terminal misses it.
    ///
    /// - Parameters:
    ///   - program: Its path.
    ///   - arguments: Without the program's name.
    ///   - environment: All of it; nothing is inherited.
    ///   - input: A descriptor to read from; `/dev/null` when absent.
    ///   - log: A file for its output, which is appended to.
    /// - Returns: Its id.
    /// - Throws: ``CommandProblem`` when it cannot be started.
    func start(
        _ program: String, _ arguments: [String], environment: [String: String],
        input: Int32? = nil, log: String
    ) throws -> Int32 {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        if let input {
            posix_spawn_file_actions_adddup2(&actions, input, 0)
        } else {
            posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        }
        posix_spawn_file_actions_addopen(
            &actions, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        linux_spawn_add_close_from(&actions, 3)

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        // sigfillset leaves out two that the C library would have the process ignore.
        memset(&signals, 0xFF, MemoryLayout<sigset_t>.size)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        let flags =
            Int32(LINUX_SPAWN_NEW_SESSION) | Int32(POSIX_SPAWN_SETSIGMASK)
            | Int32(POSIX_SPAWN_SETSIGDEF)
        posix_spawnattr_setflags(&attributes, Int16(flags))

        var words = ([program] + arguments).map { strdup($0) } + [nil]
        var variables = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for pointer in words + variables { free(pointer) } }
        return try state.withLock { state in
            var pid: Int32 = 0
            let code = posix_spawn(&pid, program, &actions, &attributes, &words, &variables)
            guard code == 0 else {
                throw CommandProblem(
                    .failed, "\(program) cannot be started",
                    because: String(cString: strerror(code)),
                    try: "install all of proffer's programs into one directory")
            }
            state.started.insert(pid)
            return pid
        }
    }

    /// Takes note of every child that has ended.
    func reap() {
        state.withLock { state in
            var status: Int32 = 0
            while true {
                let pid = waitpid(-1, &status, WNOHANG)
                guard pid > 0 else { return }
                if state.started.contains(pid) { state.ends[pid] = End(status: status) }
            }
        }
    }

    /// How a process that was started here ended; `nil` while it runs.
    func end(of pid: Int32) -> End? { state.withLock { $0.ends[pid] } }

    /// Sends a signal to a process that was started here, unless it has ended.
    func signal(_ number: Int32, to pid: Int32) {
        state.withLock { state in
            // It cannot be another process of that id: it stays a zombie until it is reaped here.
            if state.started.contains(pid), state.ends[pid] == nil { _ = kill(pid, number) }
        }
    }

    /// Kills every child there is, and theirs, until there is none.
    ///
    /// - Returns: Whether none is left.
    func killAll(within limit: Duration = .seconds(5)) async -> Bool {
        let clock = ContinuousClock()
        let end = clock.now + limit
        while true {
            reap()
            let left = children()
            if left.isEmpty { return true }
            // Only children are killed: until they are reaped, which happens here, their ids are
            // theirs. Their children come to us next.
            state.withLock { _ in
                for pid in left where parent(of: pid) == getpid() { _ = kill(pid, SIGKILL) }
            }
            guard clock.now < end else { return false }
            // Not cancellable: this is the clean-up after a cancellation.
            await Task.detached { try? await Task.sleep(for: .milliseconds(5)) }.value
        }
    }

    /// The children of this process, zombies included.
    func children() -> [Int32] {
        let own = getpid()
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return names.compactMap { Int32($0) }.filter { parent(of: $0) == own }
    }
}

/// The parent of a process, by `/proc/PID/stat`.
private func parent(of pid: Int32) -> Int32? {
    guard let data = FileManager.default.contents(atPath: "/proc/\(pid)/stat") else { return nil }
    let text = String(decoding: data, as: UTF8.self)
    // The second field is the program's name in brackets and may hold anything.
    guard let bracket = text.lastIndex(of: ")") else { return nil }
    let fields = text[text.index(after: bracket)...].split(separator: " ")
    return fields.count > 1 ? Int32(fields[1]) : nil
}
