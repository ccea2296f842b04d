internal import ProfferModel

/// What `--resources` may say, beyond its form: nothing twice, and only ports that there are.
///
/// Two entries of one name would be added up, and a range that is the wrong way round or given
/// twice is a slip of the pen; either way the agent would offer what its machine does not have.
enum ResourcesFlag {
    private static let highestPort: UInt64 = 65_535

    /// Reads the flag.
    ///
    /// - Throws: ``DaemonProblem`` that names the part that is wrong.
    static func read(_ text: String) throws -> Resources {
        var names: Set<String> = []
        var given: [String: [ClosedRange<UInt64>]] = [:]
        for part in text.split(separator: ";") {
            // What has no such form is left to the parser, which says so.
            guard let colon = part.firstIndex(of: ":") else { continue }
            let head = word(part[..<colon])
            let unreserved = head.hasSuffix("(*)") ? String(head.dropLast(3)) : head
            guard names.insert(unreserved).inserted else {
                throw problem(
                    part, "'\(head)' is given twice",
                    "write it once, with everything it is to have")
            }
            let name = String(unreserved.prefix { $0 != "(" })
            for range in try ranges(part, word(part[part.index(after: colon)...])) {
                if let other = given[name, default: []].first(where: { $0.overlaps(range) }) {
                    throw problem(
                        part, "\(shown(range)) and \(shown(other)) overlap",
                        "give each of them once, such as \(name):[31000-31099,31200-31299]")
                }
                if name == "ports", range.upperBound > highestPort {
                    throw problem(
                        part, "there is no port \(range.upperBound)",
                        "ports end at \(highestPort)")
                }
                given[name, default: []].append(range)
            }
        }
        do throws(ResourceTextProblem) {
            return try Resources(text: text)
        } catch {
            throw DaemonProblem(
                .configuration, "--resources is not valid", because: "\(error)",
                try: "write for example 'cpus:2;mem:1024;ports:[31000-31999]'")
        }
    }

    private static func ranges(
        _ part: Substring, _ value: String
    ) throws -> [ClosedRange<UInt64>] {
        guard value.hasPrefix("["), value.hasSuffix("]") else { return [] }
        return try value.dropFirst().dropLast().split(separator: ",").compactMap { range in
            let ends = range.split(separator: "-", omittingEmptySubsequences: false).map(word)
            guard ends.count == 2, let low = UInt64(ends[0]), let high = UInt64(ends[1]) else {
                return nil
            }
            guard low <= high else {
                throw problem(
                    part, "\(word(range)) begins behind its end", "write \(high)-\(low)")
            }
            return low...high
        }
    }

    private static func shown(_ range: ClosedRange<UInt64>) -> String {
        "\(range.lowerBound)-\(range.upperBound)"
    }

    private static func word(_ text: Substring) -> String {
        String(text.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }

    private static func problem(
        _ part: Substring, _ because: String, _ advice: String
    ) -> DaemonProblem {
        DaemonProblem(
            .configuration, "--resources is not valid", because: "'\(part)': \(because)",
            try: advice)
    }
}
