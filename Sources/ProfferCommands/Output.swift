public import ArgumentParser
internal import Foundation
internal import ProfferAPI

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
    FileHandle.standardOutput.write(Data((text + "\n").utf8))
}

/// Writes progress, hints and warnings: never part of the result.
func note(_ text: String) {
    FileHandle.standardError.write(Data((text + "\n").utf8))
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
