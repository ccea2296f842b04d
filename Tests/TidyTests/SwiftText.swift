/// A word or a mark of Swift code.
typealias Token = Substring

/// Swift code without what is not code: comments and the contents of string literals.
///
/// No parser: enough to match words instead of parts of words, and to pair brackets.
struct SwiftText {
    private let source: [UInt8]
    private var position = 0
    private var blanked: [UInt8]

    init(_ text: String) {
        source = Array(text.utf8)
        blanked = source
        code(untilParenthesis: false)
    }

    /// The words and marks of each line.
    func tokens(lineCount: Int) -> [[Token]] {
        let text = String(decoding: blanked, as: UTF8.self)
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(Self.split)
        while lines.count > lineCount { lines.removeLast() }
        return lines
    }

    private static func split(_ line: Substring) -> [Token] {
        var tokens: [Token] = []
        let bytes = line.utf8
        var index = bytes.startIndex
        while index < bytes.endIndex {
            let start = index
            bytes.formIndex(after: &index)
            if isWord(bytes[start]) {
                while index < bytes.endIndex, isWord(bytes[index]) {
                    bytes.formIndex(after: &index)
                }
                tokens.append(line[start..<index])
            } else if bytes[start] > UInt8(ascii: " ") {
                tokens.append(line[start..<index])
            }
        }
        return tokens
    }

    private static func isWord(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), 128...:
            true
        default: false
        }
    }

    private func starts(_ text: StaticString, at index: Int) -> Bool {
        text.withUTF8Buffer { wanted in
            index + wanted.count <= source.count
                && source[index..<(index + wanted.count)].elementsEqual(wanted)
        }
    }

    private mutating func blank(_ count: Int = 1) {
        for index in position..<min(position + count, source.count)
        where source[index] != UInt8(ascii: "\n") {
            blanked[index] = UInt8(ascii: " ")
        }
        position += count
    }

    /// Goes over code, to the end of the file or of an interpolation.
    private mutating func code(untilParenthesis: Bool) {
        var depth = 0
        while position < source.count {
            if starts("//", at: position) {
                while position < source.count, source[position] != UInt8(ascii: "\n") { blank() }
            } else if starts("/*", at: position) {
                blockComment()
            } else if let hashes = stringDelimiter() {
                string(hashes: hashes)
            } else {
                if source[position] == UInt8(ascii: "(") { depth += 1 }
                if source[position] == UInt8(ascii: ")") {
                    depth -= 1
                    if untilParenthesis, depth < 0 { return }
                }
                position += 1
            }
        }
    }

    private mutating func blockComment() {
        var depth = 0
        repeat {
            if starts("/*", at: position) {
                depth += 1
                blank(2)
            } else if starts("*/", at: position) {
                depth -= 1
                blank(2)
            } else {
                blank()
            }
        } while depth > 0 && position < source.count
    }

    /// How many number signs stand before the quote that begins here, if one does.
    private func stringDelimiter() -> Int? {
        var index = position
        while index < source.count, source[index] == UInt8(ascii: "#") { index += 1 }
        guard index < source.count, source[index] == UInt8(ascii: "\"") else { return nil }
        return index - position
    }

    private mutating func string(hashes: Int) {
        position += hashes
        let quotes = starts("\"\"\"", at: position) ? 3 : 1
        position += quotes
        while position < source.count {
            if source[position] == UInt8(ascii: "\\"), hasHashes(hashes, at: position + 1) {
                blank(1 + hashes)
                let isInterpolation = starts("(", at: position)
                blank()
                if isInterpolation {
                    code(untilParenthesis: true)
                    if position < source.count { blank() }
                }
            } else if isEnd(quotes: quotes, hashes: hashes) {
                position += quotes + hashes
                return
            } else {
                blank()
            }
        }
    }

    private func isEnd(quotes: Int, hashes: Int) -> Bool {
        let isQuoted =
            quotes == 3 ? starts("\"\"\"", at: position) : starts("\"", at: position)
        return isQuoted && hasHashes(hashes, at: position + quotes)
    }

    private func hasHashes(_ count: Int, at index: Int) -> Bool {
        index + count <= source.count
            && source[index..<(index + count)].allSatisfy { $0 == UInt8(ascii: "#") }
    }
}
