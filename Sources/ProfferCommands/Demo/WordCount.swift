internal import Foundation

/// How often each word occurs: a word is a run of ASCII letters, in lower case.
struct WordCount: Equatable, Sendable {
    private(set) var counts: [String: Int] = [:]

    init() {}

    /// Reads `word<TAB>count` lines.
    init?(table: some StringProtocol) {
        for line in table.split(separator: "\n") {
            let fields = line.split(separator: "\t", omittingEmptySubsequences: false)
            guard fields.count == 2, let count = Int(fields[1]), count > 0 else { return nil }
            guard counts.updateValue(count, forKey: String(fields[0])) == nil else { return nil }
        }
    }

    /// Adds the words of a text.
    mutating func add(_ text: some Sequence<UInt8>) {
        var word: [UInt8] = []
        for byte in text {
            let lowered = byte | 0x20
            if (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(lowered) {
                word.append(lowered)
            } else if !word.isEmpty {
                counts[String(decoding: word, as: UTF8.self), default: 0] += 1
                word.removeAll(keepingCapacity: true)
            }
        }
        if !word.isEmpty { counts[String(decoding: word, as: UTF8.self), default: 0] += 1 }
    }

    /// All words.
    var total: Int { counts.values.reduce(0, +) }

    /// The most frequent words, the first of the alphabet first among equals.
    func top(_ limit: Int) -> [(word: String, count: Int)] {
        let sorted = counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
        return sorted.prefix(limit).map { ($0.key, $0.value) }
    }

    /// A word whose counts differ; `nil` when both are the same.
    func difference(from other: WordCount) -> String? {
        let words = Set(counts.keys).union(other.counts.keys).sorted()
        guard let word = words.first(where: { counts[$0] != other.counts[$0] }) else { return nil }
        return "'\(word)' occurs \(counts[word] ?? 0) times in one count "
            + "and \(other.counts[word] ?? 0) times in the other"
    }
}

/// The files whose words are counted.
enum Corpus {
    static let fileLimit = 500

    /// Every readable file below a directory, once, links to files resolved, in order of names.
    ///
    /// - Throws: ``CommandProblem`` when there is no file, or too many.
    static func files(in directory: String) throws -> [String] {
        let root = URL(fileURLWithPath: directory)
        let keys: [URLResourceKey] = [.isRegularFileKey]
        guard
            let found = FileManager.default.enumerator(
                at: root, includingPropertiesForKeys: keys, options: [.skipsHiddenFiles])
        else { throw unusable(directory, "it cannot be read") }
        var files: Set<String> = []
        for case let url as URL in found {
            let real = url.resolvingSymlinksInPath()
            let values = try? real.resourceValues(forKeys: Set(keys))
            guard values?.isRegularFile == true,
                FileManager.default.isReadableFile(atPath: real.path)
            else { continue }
            files.insert(real.path)
            guard files.count <= fileLimit else {
                throw unusable(directory, "there are more than \(fileLimit) files in it")
            }
        }
        guard !files.isEmpty else { throw unusable(directory, "there is no file in it") }
        return files.sorted()
    }

    /// The directory given, or the first usual one there is.
    static func directory(_ given: String?) throws -> String {
        if let given { return given }
        let usual = ["/usr/share/common-licenses", "Docs"]
        guard let first = usual.first(where: { (try? files(in: $0)) != nil }) else {
            throw unusable(usual.joined(separator: " or "), "there are no texts in it")
        }
        return first
    }

    private static func unusable(_ directory: String, _ why: String) -> CommandProblem {
        CommandProblem(
            .failed, "the words of \(directory) cannot be counted", because: why,
            try: "name a directory of text files with --files")
    }
}
