internal import Glibc
internal import Synchronization

/// Which failpoints are on in this process, and what they do.
///
/// `PROFFER_FAILPOINTS` is a list such as `agent.run.received=kill,master.run.after=stop@2`: a
/// point, what happens there (`kill` is SIGKILL, `stop` is SIGSTOP, `abort` is SIGABRT), and the
/// how-many-eth time it happens, 1 unless said. `PROFFER_FAILPOINTS_DIRECTORY` names a directory
/// into which each point puts an empty file of its name before it acts; one whose file is there
/// does nothing, so that a program which is started again is not ended again.
public enum Failpoints {
    /// Whether any failpoint may be on in this process.
    public static let isArmed = getenv(variable) != nil

    /// What an agent has to hand to its executors, so that their failpoints are on too.
    public static var environment: [(name: String, value: String)] {
        guard isArmed else { return [] }
        return [variable, directoryVariable].compactMap { name in text(name).map { (name, $0) } }
    }

    enum Action: String {
        case kill
        case stop
        case abort
    }

    struct Armed {
        var action: Action
        var number: Int
    }

    private struct State {
        var armed: [Failpoint: Armed]
        var hits: [Failpoint: Int] = [:]
        var postponed: [Failpoint] = []
    }

    private static let variable = "PROFFER_FAILPOINTS"
    private static let directoryVariable = "PROFFER_FAILPOINTS_DIRECTORY"
    private static let state = Mutex(State(armed: armed()))

    static func reach(_ point: Failpoint) {
        let action = state.withLock { state -> Action? in
            guard let armed = state.armed[point] else { return nil }
            state.hits[point, default: 0] += 1
            return state.hits[point] == armed.number ? armed.action : nil
        }
        guard let action, mark(point) else { return }
        switch action {
        case .kill: kill(getpid(), SIGKILL)
        case .stop: kill(getpid(), SIGSTOP)
        case .abort: abort()
        }
    }

    static func postpone(_ point: Failpoint) {
        state.withLock { state in
            if state.armed[point] != nil { state.postponed.append(point) }
        }
    }

    static func reachPostponed() {
        let points = state.withLock { state in
            defer { state.postponed = [] }
            return state.postponed
        }
        for point in points { reach(point) }
    }

    /// Leaves the point's file behind; `false` when it was there.
    private static func mark(_ point: Failpoint) -> Bool {
        guard let directory = text(directoryVariable) else { return true }
        let file = open(
            "\(directory)/\(point.rawValue)", O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0o600)
        guard file >= 0 else { return false }
        close(file)
        return true
    }

    private static func armed() -> [Failpoint: Armed] {
        do throws(FailpointProblem) {
            return try read(text(variable) ?? "")
        } catch {
            let line = Array("\(variable) is not valid: \(error)\n".utf8)
            _ = line.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
            exit(78)
        }
    }

    static func read(_ text: String) throws(FailpointProblem) -> [Failpoint: Armed] {
        var found: [Failpoint: Armed] = [:]
        for item in text.split(separator: ",") {
            let sides = item.split(separator: "=", omittingEmptySubsequences: false)
            guard sides.count == 2, let point = Failpoint(rawValue: String(sides[0])) else {
                throw FailpointProblem(description: "'\(item)' names no failpoint")
            }
            let words = sides[1].split(separator: "@", omittingEmptySubsequences: false)
            guard let action = words.first.flatMap({ Action(rawValue: String($0)) }),
                let number = words.count == 1 ? 1 : Int(words[1]), words.count <= 2, number > 0
            else {
                throw FailpointProblem(
                    description: "'\(item)' is not of the form point=kill|stop|abort[@number]")
            }
            found[point] = Armed(action: action, number: number)
        }
        return found
    }

    private static func text(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
}

struct FailpointProblem: Error, CustomStringConvertible {
    let description: String
}
