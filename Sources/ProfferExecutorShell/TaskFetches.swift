internal import Glibc
internal import ProfferContainers
internal import ProfferExecutor
internal import ProfferModel

/// The tasks whose files are being fetched.
struct TaskFetches {
    private struct Entry {
        var launch: TaskLaunch
        var process: ProcessIdentity?
        var isKilled = false
    }

    private var entries: [UInt64: Entry] = [:]
    private var lastToken: UInt64 = 0

    /// Takes up a task.
    mutating func begin(_ launch: TaskLaunch) -> UInt64 {
        lastToken += 1
        entries[lastToken] = Entry(launch: launch)
        return lastToken
    }

    /// Takes note of a process, and kills it if its task was killed before.
    mutating func note(_ token: UInt64, _ process: ProcessIdentity) {
        entries[token]?.process = process
        if entries[token]?.isKilled == true { Self.kill(process) }
    }

    /// Ends the fetch of a task; its end is told as always.
    mutating func kill(_ id: TaskID) {
        for (token, entry) in entries where entry.launch.id == id {
            entries[token]?.isKilled = true
            if let process = entry.process { Self.kill(process) }
        }
    }

    /// Ends all.
    mutating func killAll() {
        for entry in entries.values { kill(entry.launch.id) }
    }

    /// Lets a task go, which has nothing to be fetched any more.
    mutating func end(_ token: UInt64) -> TaskLaunch? {
        guard var launch = entries.removeValue(forKey: token)?.launch else { return nil }
        launch.command.uris = []
        return launch
    }

    /// Kills a process that was started for a task, with its group.
    static func kill(_ process: ProcessIdentity) {
        // Another process may have its number by now, which was started later then.
        guard let now = ProcessIdentity(pid: process.pid),
            now.startTicks <= process.startTicks + 1
        else { return }
        Glibc.kill(-process.pid, SIGKILL)
    }
}
