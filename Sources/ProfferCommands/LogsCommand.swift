internal import ArgumentParser
internal import Foundation
internal import ProfferAPI

struct LogsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logs", abstract: "Show what a task wrote.",
        discussion:
            "With '--output json' it is one object with the text; with '--follow' one on a line "
            + "for each piece, as it comes.")

    @OptionGroup
    var cluster: ClusterOptions

    @Argument(help: "The task: its id, a unique beginning of it, or its name.")
    var task: String

    @Flag(name: [.short, .long], help: "Go on as the task writes, until it ends.")
    var follow = false

    @Flag(name: .long, help: "Standard error instead of standard output.")
    var stderr = false

    @Option(
        name: .long,
        help: ArgumentHelp("Begin this far before the end (default: all).", valueName: "bytes"))
    var tail: Int64?

    func validate() throws {
        if let tail, tail < 0 { throw ValidationError("--tail must not be negative") }
    }

    func run() async throws {
        let client = try cluster.client()
        let found = try await findTask(task, client)
        let sandbox = try await SandboxClient(of: found, client)
        let path = sandbox.path + (stderr ? "/stderr" : "/stdout")
        var output = LogOutput(
            cluster.output, of: found, file: stderr ? "stderr" : "stdout", follows: follow)
        var cursor = LogCursor(tail: tail)
        var hasEnded = false
        while true {
            let answer = try await sandbox.client.send(.get, path + "?offset=\(cursor.offset)")
            let start = answer.number("X-File-Offset")
            guard output.take(answer.body, at: start ?? max(0, cursor.offset)) else { return }
            switch cursor.advance(
                count: answer.body.count, start: start, size: answer.number("X-File-Size"))
            {
            case .more: continue
            case .rotated(let place):
                guard try await catchUp(path, place, &cursor, &output, sandbox) else { return }
                continue
            case .atEnd: break
            }
            // One more look after the end: the last words come between a look and the news of it.
            if !follow || hasEnded { break }
            hasEnded = isTerminal(try await state(of: found, client))
            if !hasEnded { try await Task.sleep(for: .milliseconds(250)) }
        }
        output.finish()
    }

    /// Reads on where a file was rotated: first what was not read of its older part.
    ///
    /// - Returns: Whether somebody still reads.
    private func catchUp(
        _ path: String, _ place: Int64, _ cursor: inout LogCursor, _ output: inout LogOutput,
        _ sandbox: SandboxClient
    ) async throws -> Bool {
        var place = place
        while true {
            guard let answer = try? await sandbox.client.send(.get, path + ".1?offset=\(place)"),
                let size = answer.number("X-File-Size")
            else {
                cursor.resume(at: 0)
                return true
            }
            guard output.take(answer.body, at: place) else { return false }
            place += Int64(answer.body.count)
            if answer.body.isEmpty || place >= size {
                cursor.resume(at: max(0, place - size))
                return true
            }
        }
    }

    private func state(of task: TaskObject, _ client: Client) async throws -> String {
        let all = try await tasks(client, framework: task.framework).items
        return all.first { $0.id == task.id }?.state ?? "TASK_GONE"
    }
}

/// Where to go on reading a file that grows and may be rotated.
struct LogCursor {
    /// What to ask for next; negative counts from the end.
    private(set) var offset: Int64

    /// From the beginning, or from `tail` bytes before the end.
    init(tail: Int64?) {
        // "Nothing before the end" has no sign; the server takes too large a number for the end.
        offset = tail.map { $0 == 0 ? .max : -$0 } ?? 0
    }

    /// What comes after an answer.
    enum Next: Hashable {
        /// There is more already.
        case more
        /// There is nothing more now.
        case atEnd
        /// The file became shorter: what was at the front, read up to this place, is in `.1` now.
        case rotated(Int64)
    }

    /// Takes note of an answer.
    mutating func advance(count: Int, start: Int64?, size: Int64?) -> Next {
        let start = start ?? max(0, offset)
        let size = size ?? start + Int64(count)
        guard size >= offset || offset == .max else { return .rotated(offset) }
        offset = start + Int64(count)
        return count == 0 || offset >= size ? .atEnd : .more
    }

    /// Goes on at another place.
    mutating func resume(at place: Int64) { offset = place }
}
