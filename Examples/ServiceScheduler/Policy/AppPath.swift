/// The id of an app or a group: segments separated by slashes, `/` for the root.
struct AppPath: Hashable, Comparable, Sendable, CustomStringConvertible {
    static let root = AppPath(segments: [])

    let segments: [String]

    init(segments: [String]) { self.segments = segments }

    /// Reads a path; one without a leading slash is relative to `base`.
    ///
    /// Repeated slashes count as one, `.` is the base and `..` its parent. The segments are not
    /// checked, see ``problem``.
    init(_ text: String, in base: AppPath = .root) {
        var segments = text.hasPrefix("/") ? [] : base.segments
        for part in text.split(separator: "/") {
            switch part {
            case ".": break
            case "..": if !segments.isEmpty { segments.removeLast() }
            default: segments.append(String(part))
            }
        }
        self.segments = segments
    }

    static func < (left: AppPath, right: AppPath) -> Bool {
        left.segments.lexicographicallyPrecedes(right.segments) {
            $0.utf8.lexicographicallyPrecedes($1.utf8)
        }
    }

    var description: String { "/" + segments.joined(separator: "/") }

    var isRoot: Bool { segments.isEmpty }
    var parent: AppPath { AppPath(segments: segments.dropLast()) }

    /// Every group above, the root first.
    var ancestors: [AppPath] { segments.indices.map { AppPath(segments: Array(segments[..<$0])) } }

    /// Whether this lies in `group`, at any depth, or is it.
    func isWithin(_ group: AppPath) -> Bool { segments.starts(with: group.segments) }

    /// `/prod/web` as `web.prod`: the name of its tasks.
    var reversedName: String { segments.reversed().joined(separator: ".") }

    /// `/prod/web` as `prod_web`: the beginning of its task ids.
    var flatName: String { segments.joined(separator: "_") }

    /// What forbids this as the id of an app, or `nil`.
    var problemAsApp: String? {
        if isRoot { return "an app id may not be empty" }
        if let last = segments.last, ["restart", "tasks", "versions"].contains(last) {
            return "an app id may not end in '\(last)': that is a name of this API"
        }
        return problem
    }

    /// What forbids this as an id, or `nil`.
    var problem: String? {
        if flatName.utf8.count > 180 { return "the id is longer than 180 bytes" }
        for segment in segments where !Self.isSegment(segment) {
            return "the part '\(segment)' of the id may only hold lower-case letters, digits, "
                + "and inside also '-' and '.'"
        }
        return nil
    }

    private static func isSegment(_ text: String) -> Bool {
        func isPlain(_ byte: UInt8) -> Bool {
            (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte)
        }
        guard let first = text.utf8.first, let last = text.utf8.last else { return false }
        return isPlain(first) && isPlain(last)
            && text.utf8.allSatisfy { isPlain($0) || $0 == 0x2D || $0 == 0x2E }
    }
}
