/// A regular expression whose matching takes time in proportion to the text, whatever it is.
///
/// Strangers may give patterns: an engine that backtracks can be kept busy for years by one of 30
/// characters. This one follows all alternatives at once (Thompson, "Regular Expression Search
/// Algorithm", 1968). It knows literals, `.`, classes such as `[a-z0-9]` and `[^,]`, `\d` `\w` `\s`
/// and their opposites in ASCII, groups, `|`, `*`, `+`, `?`, `{m}`, `{m,}` and `{m,n}`, `^` and
/// `$`. Everything else is refused, not taken for something similar.
public struct TextPattern: Hashable, Sendable {
    /// The longest pattern, in bytes of UTF-8.
    public static let byteLimit = 4096
    /// The largest ``size``.
    public static let sizeLimit = 5000

    /// What one step of a match does.
    enum Step: Hashable, Sendable {
        case scalar(Unicode.Scalar)
        /// Any but a line feed.
        case any
        case oneOf(ScalarClass)
        /// Goes on at both places.
        case fork(Int, Int)
        case jump(Int)
        case atStart
        case atEnd
        case accept
    }

    private let steps: [Step]
    /// How many parts it has, repetitions written out; a match looks at each once per character
    /// at most.
    public let size: Int

    /// Reads a pattern.
    ///
    /// - Throws: ``TextPatternProblem`` when it is none, or too large.
    public init(_ pattern: String) throws(TextPatternProblem) {
        guard pattern.utf8.count <= Self.byteLimit else {
            throw TextPatternProblem("it has more than \(Self.byteLimit) bytes")
        }
        var reader = PatternReader(pattern)
        var writer = PatternWriter()
        try writer.write(try reader.readAll())
        try writer.append(.accept)
        (steps, size) = (writer.steps, writer.size)
    }

    /// Whether the whole of `text` matches.
    ///
    /// O(length of the text × ``size``).
    public func matches(_ text: String) -> Bool {
        let scalars = Array(text.unicodeScalars)
        var current = Places(capacity: steps.count)
        var next = Places(capacity: steps.count)
        follow(from: 0, at: 0, of: scalars.count, into: &current)
        for (index, scalar) in scalars.enumerated() {
            if current.isEmpty { return false }
            for place in current.list where steps[place].takes(scalar) {
                follow(from: place + 1, at: index + 1, of: scalars.count, into: &next)
            }
            swap(&current, &next)
            next.removeAll()
        }
        return current.list.contains { steps[$0] == .accept }
    }

    /// Notes every place that is reached from `start` without taking a character.
    private func follow(from start: Int, at index: Int, of end: Int, into places: inout Places) {
        var open = [start]
        while let place = open.popLast() {
            guard places.insert(place) else { continue }
            switch steps[place] {
            case .jump(let target): open.append(target)
            case .fork(let first, let second): open += [second, first]
            case .atStart: if index == 0 { open.append(place + 1) }
            case .atEnd: if index == end { open.append(place + 1) }
            case .scalar, .any, .oneOf, .accept: break
            }
        }
    }
}

/// Why a text is not a ``TextPattern``.
public struct TextPatternProblem: Error, Hashable, Sendable, CustomStringConvertible {
    /// In words for whoever wrote the pattern.
    public let description: String

    init(_ description: String) { self.description = description }
}

extension TextPattern.Step {
    fileprivate func takes(_ scalar: Unicode.Scalar) -> Bool {
        switch self {
        case .scalar(let wanted): scalar == wanted
        case .any: scalar != "\n"
        case .oneOf(let wanted): wanted.contains(scalar)
        case .fork, .jump, .atStart, .atEnd, .accept: false
        }
    }
}

/// A class of characters.
struct ScalarClass: Hashable, Sendable {
    var ranges: [ClosedRange<Unicode.Scalar>] = []
    var isNegated = false

    func contains(_ scalar: Unicode.Scalar) -> Bool {
        ranges.contains { $0.contains(scalar) } != isNegated
    }

    /// The class that a letter after a backslash means, not negated.
    static func named(_ letter: Unicode.Scalar) -> [ClosedRange<Unicode.Scalar>]? {
        switch letter {
        case "d": ["0"..."9"]
        case "w": ["0"..."9", "A"..."Z", "_"..."_", "a"..."z"]
        case "s": ["\t"..."\n", "\u{C}"..."\r", " "..." "]
        default: nil
        }
    }
}

/// Some places of a pattern; each is added once, and all are forgotten in O(1).
private struct Places {
    private(set) var list: [Int] = []
    private var marks: [UInt32]
    private var mark: UInt32 = 1

    init(capacity: Int) { marks = Array(repeating: 0, count: capacity) }

    var isEmpty: Bool { list.isEmpty }

    mutating func insert(_ place: Int) -> Bool {
        if marks[place] == mark { return false }
        marks[place] = mark
        list.append(place)
        return true
    }

    mutating func removeAll() {
        list.removeAll(keepingCapacity: true)
        mark &+= 1
    }
}
