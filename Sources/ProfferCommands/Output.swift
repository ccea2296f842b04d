public import ArgumentParser
internal import Foundation
internal import Glibc
internal import ProfferAPI
internal import Synchronization

/// How results are written.
public enum OutputFormat: String, ExpressibleByArgument, CaseIterable, Sendable {
    /// Columns for people.
    case table
    /// One JSON document for programs.
    case json
}

/// Options of every command that asks a cluster.
public struct ClusterOptions: ParsableArguments, Sendable {
    /// The cluster file.
    @Option(
        name: .long,
        help: ArgumentHelp(
            "The cluster file (default: $PROFFER_CONTEXT or ~/.proffer/context.json).",
            valueName: "path"))
    public var context: String?

    /// The format of the result.
    @Option(name: [.customShort("o"), .long], help: "Format of the result: table or json.")
    public var output: OutputFormat = .table

    /// Made by the argument parser.
    public init() {}

    func load() throws -> ClusterContext { try ClusterContext.load(context) }
    func client() throws -> Client { Client(try load()) }
}

/// Writes to standard output at once, also into a pipe.
func say(_ text: String) {
    say(Data((text + "\n").utf8))
}

/// Writes to standard output as it is.
///
/// - Returns: Whether somebody takes it. A reader that went away, such as `head`, has what it
///   wanted; anything else is remembered as the ``outputProblem``.
@discardableResult
func say(_ bytes: Data) -> Bool {
    let code = deliver(bytes, to: STDOUT_FILENO)
    if code != 0, code != EPIPE { outputError.withLock { $0 = code } }
    return code == 0
}

/// Writes progress, hints and warnings: never part of the result.
func note(_ text: String) {
    deliver(Data((text + "\n").utf8), to: STDERR_FILENO)
}

/// Why a part of the result could not be written.
var outputProblem: CommandProblem? {
    let code = outputError.withLock { $0 }
    guard code != 0 else { return nil }
    return CommandProblem(
        .failed, "the result cannot be written", because: String(cString: strerror(code)),
        try: "look at where standard output goes")
}

private let outputError = Mutex<Int32>(0)

/// - Returns: Zero, or the number of the error that ended it early.
@discardableResult
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

func show<Item: Codable & Sendable>(
    _ list: ObjectList<Item>, _ format: OutputFormat, header: [String],
    row: (Item) -> [String]
) throws {
    switch format {
    case .json:
        say(String(decoding: try APICoding.encode(list, pretty: true), as: UTF8.self))
    case .table:
        var table = Table(header)
        for item in list.items { table.add(row(item)) }
        say(table.text)
        if list.items.isEmpty { note("(none)") }
    }
}

func amounts(_ resources: [String: String]) -> String {
    let wellKnown = ["cpus", "mem", "disk", "gpus"]
    let names = resources.keys.sorted().filter { $0 != "ports" && !$0.hasPrefix("ports(") }
    return names.isEmpty
        ? "none"
        : names.sorted {
            (wellKnown.firstIndex(of: $0) ?? 9, $0) < (wellKnown.firstIndex(of: $1) ?? 9, $1)
        }.map { "\($0) \(resources[$0] ?? "")" }.joined(separator: ", ")
}
