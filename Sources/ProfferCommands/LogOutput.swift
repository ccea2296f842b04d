internal import Foundation
internal import ProfferAPI

/// What a task wrote, for programs.
///
/// What is not UTF-8 is replaced.
struct LogObject: Codable, Sendable {
    /// Always `log`.
    var kind = "log"
    var framework: String
    var task: String
    /// `stdout` or `stderr`.
    var file: String
    /// Where the text begins in the file, in bytes.
    var offset: Int64
    var text: String
}

/// Writes what a task wrote, piece by piece, in the format that was asked for.
struct LogOutput {
    private let format: OutputFormat
    private let task: TaskObject
    private let file: String
    private let follows: Bool
    private let write: (Data) -> Bool
    private var gathered = Data()
    private var offset: Int64?

    init(
        _ format: OutputFormat, of task: TaskObject, file: String, follows: Bool,
        write: @escaping (Data) -> Bool = { say($0) }
    ) {
        self.format = format
        self.task = task
        self.file = file
        self.follows = follows
        self.write = write
    }

    /// Takes the bytes at a place of the file.
    ///
    /// - Returns: Whether somebody still reads.
    mutating func take(_ bytes: Data, at place: Int64) -> Bool {
        guard format == .json else { return write(bytes) }
        if offset == nil { offset = place }
        guard follows else {
            gathered += bytes
            return true
        }
        if bytes.isEmpty, gathered.isEmpty { return true }
        if gathered.isEmpty { offset = place }
        gathered += bytes
        // A character that is cut in two waits for its other half.
        let whole = bytes.isEmpty ? gathered.count : Self.wholeCharacters(gathered)
        if whole == 0 { return true }
        let isRead = emit(gathered.prefix(whole))
        gathered = Data(gathered.dropFirst(whole))
        offset = (offset ?? 0) + Int64(whole)
        return isRead
    }

    /// Writes what is left.
    mutating func finish() {
        guard format == .json, !follows || !gathered.isEmpty else { return }
        _ = emit(gathered)
        gathered = Data()
    }

    private func emit(_ bytes: Data) -> Bool {
        let object = LogObject(
            framework: task.framework, task: task.id, file: file, offset: offset ?? 0,
            text: String(decoding: bytes, as: UTF8.self))
        guard let data = try? APICoding.encode(object, pretty: !follows) else { return false }
        return write(data + Data("\n".utf8))
    }

    /// How many bytes there are up to the last character that may not be whole.
    private static func wholeCharacters(_ bytes: Data) -> Int {
        let tail = bytes.suffix(3)
        for (back, byte) in tail.reversed().enumerated() {
            if byte & 0b1100_0000 == 0b1000_0000 { continue }
            let length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1
            return back + 1 < length ? bytes.count - back - 1 : bytes.count
        }
        return bytes.count
    }
}
