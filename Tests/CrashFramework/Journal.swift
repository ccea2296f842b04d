import Foundation
import Proffer

/// What the framework writes down before it acts on it, one line each.
enum Entry: Sendable, Hashable {
    /// It has been started.
    case started
    /// It is this framework.
    case id(FrameworkID)
    /// It is about to launch a task.
    case intent(TaskID)
    /// It was handed an update it had not kept.
    case update(TaskID, uuid: String, state: String)
    /// It was handed an update it had kept.
    case again(TaskID, uuid: String)
    /// A task that it has seen alive is unknown to the master.
    case vanished(TaskID, state: String)

    var line: String {
        switch self {
        case .started: "started"
        case .id(let id): "id \(id)"
        case .intent(let task): "intent \(task)"
        case .update(let task, let uuid, let state): "update \(task) \(uuid) \(state)"
        case .again(let task, let uuid): "again \(task) \(uuid)"
        case .vanished(let task, let state): "vanished \(task) \(state)"
        }
    }

    init?(_ line: Substring) {
        let words = line.split(separator: " ").map(String.init)
        switch (words.first, words.count) {
        case ("started", 1): self = .started
        case ("id", 2): self = .id(FrameworkID(words[1]))
        case ("intent", 2): self = .intent(TaskID(words[1]))
        case ("update", 4): self = .update(TaskID(words[1]), uuid: words[2], state: words[3])
        case ("again", 3): self = .again(TaskID(words[1]), uuid: words[2])
        case ("vanished", 3): self = .vanished(TaskID(words[1]), state: words[2])
        default: return nil
        }
    }
}

/// A file of entries; each is on the disk when `append` returns.
struct Journal {
    private let file: FileHandle
    let before: [Entry]

    init(_ path: String) throws {
        if !FileManager.default.fileExists(atPath: path) {
            try Data().write(to: URL(fileURLWithPath: path))
        }
        // A line that a crash has cut short was never acted upon.
        let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        let whole = bytes.prefix((bytes.lastIndex(of: 0x0A) ?? -1) + 1)
        before = String(decoding: whole, as: UTF8.self).split(separator: "\n").compactMap {
            Entry($0)
        }
        file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
        try file.truncate(atOffset: UInt64(whole.count))
        try file.seekToEnd()
    }

    func append(_ entries: [Entry]) throws {
        try file.write(contentsOf: Data(entries.map { $0.line + "\n" }.joined().utf8))
        try file.synchronize()
    }
}
