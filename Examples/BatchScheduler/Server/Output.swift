internal import ArgumentParser
internal import Foundation
internal import Glibc

/// Writes a line to standard output at once, also into a pipe.
func say(_ text: String) { say(Data((text + "\n").utf8)) }

/// Writes to standard output as it is; ends the process when nobody takes it, in silence when the
/// reader went away as `head` does.
func say(_ bytes: Data) {
    let code = deliver(bytes, to: STDOUT_FILENO)
    guard code != 0 else { return }
    guard code != EPIPE else { exit(0) }
    note(
        Problem(
            .failed, "the result cannot be written", because: String(cString: strerror(code)),
            try: "look at where standard output goes"
        ).description)
    exit(1)
}

/// Writes a line of progress, a hint or a warning: never part of the result.
func note(_ text: String) { progress(text + "\n") }

/// Writes to standard error as it is.
func progress(_ text: String) { _ = deliver(Data(text.utf8), to: STDERR_FILENO) }

/// - Returns: Zero, or the number of the error that ended it early.
private func deliver(_ data: Data, to descriptor: Int32) -> Int32 {
    var bytes = Array(data)[...]
    while !bytes.isEmpty {
        let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
        if count < 0, errno == EINTR || errno == EAGAIN { continue }
        guard count > 0 else { return count < 0 ? errno : EIO }
        bytes = bytes.dropFirst(count)
    }
    return 0
}

/// How results are written.
enum OutputFormat: String, ExpressibleByArgument, CaseIterable {
    case table
    case json
}

/// Columns as wide as their widest cell.
struct Table {
    private var rows: [[String]]

    init(_ header: [String]) { rows = [header] }

    mutating func add(_ row: [String]) { rows.append(row) }

    var text: String {
        var widths: [Int] = []
        for row in rows {
            for (column, cell) in row.enumerated() {
                if column == widths.count { widths.append(0) }
                widths[column] = max(widths[column], cell.count)
            }
        }
        return rows.map { row in
            row.enumerated().map { column, cell in
                column == row.count - 1
                    ? cell : cell + String(repeating: " ", count: widths[column] - cell.count)
            }.joined(separator: "  ")
        }.joined(separator: "\n")
    }
}

/// Runs a command; what goes wrong is written as every error is, and decides the exit code.
func reportingProblems(_ body: () async throws -> Void) async throws {
    do {
        try await body()
    } catch let problem as Problem {
        note("\(problem)")
        throw ExitCode(problem.code.rawValue)
    } catch let problems as JobFileProblems {
        note(problems.text(file: "job"))
        throw ExitCode(Problem.Code.invalidFile.rawValue)
    } catch let code as ExitCode {
        throw code
    } catch {
        note(
            "\(Problem(.failed, "it failed", because: "\(error)", try: "look at the lines above"))")
        throw ExitCode(Problem.Code.failed.rawValue)
    }
}
