internal import Yams

/// A YAML document in which keys that were given twice are marked instead of refused.
///
/// The YAML library stops at the first mapping with a repeated key. To find every other problem
/// of the file too, the earlier key is overwritten by a name of equal length that nobody uses, and
/// the file is read again; so all positions stay what they are.
struct YAMLDocument {
    let root: Node
    /// The original names of overwritten keys.
    private(set) var repeatedKeys: [String: String] = [:]

    init(_ text: String) throws(JobFileProblems) {
        var text = Self.joiningSurrogates(text)
        while true {
            do {
                guard let root = try compose(yaml: text) else {
                    throw JobFileProblems([Self.problem("the file is empty")])
                }
                guard Self.isSmall(root) else {
                    throw JobFileProblems([Self.problem("the file is too large when expanded")])
                }
                self.root = root
                return
            } catch YamlError.duplicatedKeysInMapping(let names, let context) {
                guard repeatedKeys.count < 20,
                    let name = names.first,
                    let changed = Self.overwrite(
                        name, at: context.mark, with: Self.mark(repeatedKeys.count), in: text)
                else {
                    throw JobFileProblems([
                        JobFileProblem(
                            line: context.mark.line, column: context.mark.column,
                            what: "keys are given twice: \(names.joined(separator: ", "))",
                            because: "a key can have one value only",
                            advice: "remove one of each")
                    ])
                }
                repeatedKeys[changed.key] = name
                text = changed.text
            } catch let problems as JobFileProblems {
                throw problems
            } catch {
                throw JobFileProblems([Self.problem(error)])
            }
        }
    }

    /// JSON writes characters beyond U+FFFF as two escapes, which YAML does not know; the escape of
    /// YAML has eight digits.
    private static func joiningSurrogates(_ text: String) -> String {
        guard text.utf8.first(where: { $0 > 0x20 }) == UInt8(ascii: "{") else { return text }
        let bytes = Array(text.utf8)
        var joined: [UInt8] = []
        joined.reserveCapacity(bytes.count)
        var index = 0
        while index < bytes.count {
            let rest = bytes[index...]
            if let high = unit(rest), 0xD800..<0xDC00 ~= high,
                let low = unit(rest.dropFirst(6)), 0xDC00..<0xE000 ~= low
            {
                let scalar = 0x10000 + (high - 0xD800) << 10 + (low - 0xDC00)
                let digits = String(scalar, radix: 16)
                joined += "\\U\(String(repeating: "0", count: 8 - digits.count))\(digits)".utf8
                index += 12
            } else {
                // An escaped backslash begins no further escape.
                let step = rest.starts(with: #"\\"#.utf8) ? 2 : 1
                joined += rest.prefix(step)
                index += step
            }
        }
        return String(decoding: joined, as: UTF8.self)
    }

    /// The number in an escape such as `\ud83d` at the beginning of `bytes`.
    private static func unit(_ bytes: ArraySlice<UInt8>) -> Int? {
        guard bytes.starts(with: #"\u"#.utf8), bytes.count >= 6 else { return nil }
        let digits = bytes.dropFirst(2).prefix(4)
        return Int(String(decoding: digits, as: UTF8.self), radix: 16)
    }

    /// A character of the private use area: not in any known key.
    private static func mark(_ number: Int) -> Unicode.Scalar {
        Unicode.Scalar(UInt16(0xE000 + number)) ?? "?"
    }

    private static func overwrite(
        _ name: String, at mark: Mark, with scalar: Unicode.Scalar, in text: String
    ) -> (text: String, key: String)? {
        guard !name.isEmpty else { return nil }
        var scalars = Array(text.unicodeScalars)
        var index = 0
        var line = 1
        while line < mark.line, index < scalars.count {
            if scalars[index] == "\n" { line += 1 }
            index += 1
        }
        index += mark.column - 1
        if index < scalars.count, scalars[index] == "\"" || scalars[index] == "'" { index += 1 }
        let old = Array(name.unicodeScalars)
        guard index >= 0, index + old.count <= scalars.count,
            Array(scalars[index..<(index + old.count)]) == old
        else { return nil }
        for offset in old.indices { scalars[index + offset] = scalar }
        var changed = String.UnicodeScalarView()
        changed.append(contentsOf: scalars)
        var key = String.UnicodeScalarView()
        key.append(contentsOf: old.map { _ in scalar })
        return (String(changed), String(key))
    }

    /// Whether the document stays small although aliases repeat parts of it.
    private static func isSmall(_ root: Node) -> Bool {
        var left = 2_000_000
        var pending = [root]
        while let node = pending.popLast() {
            left -= 1
            guard left > 0 else { return false }
            switch node {
            case .scalar, .alias: break
            case .sequence(let items): pending.append(contentsOf: items)
            case .mapping(let pairs):
                for (key, value) in pairs {
                    pending.append(key)
                    pending.append(value)
                }
            }
        }
        return true
    }

    private static func problem(_ what: String) -> JobFileProblem {
        JobFileProblem(
            line: 1, column: 1, what: what, because: "a job with a name and tasks is needed",
            advice: "begin with 'name: ...' and 'tasks:'")
    }

    private static func problem(_ error: any Error) -> JobFileProblem {
        var place = (line: 1, column: 1)
        var what = "\(error)"
        switch error as? YamlError {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            place = (mark.line, mark.column)
            what = problem
        case .reader(let problem, _, _, _): what = problem
        case _: break
        }
        return JobFileProblem(
            line: place.line, column: place.column, what: "this is not YAML or JSON: \(what)",
            because: "indentation, quotes, brackets or colons do not fit together",
            advice: "put text with ': ', '#' or a leading '*', '&', '!', '{', '[' in quotes")
    }
}

/// A place in a job file, from 1.
struct FilePosition {
    var line: Int
    var column: Int
}

extension Node {
    /// Where it begins; the beginning of the file when that is not known.
    var position: FilePosition {
        FilePosition(line: mark?.line ?? 1, column: mark?.column ?? 1)
    }
}
