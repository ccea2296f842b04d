/// Guesses what was meant by a word that there is not.
public enum Spelling {
    private static let longest = 64

    /// The candidate with the fewest edits from `word`, the first of equals, whatever its case;
    /// `nil` when all are too far away to be a slip.
    ///
    /// O(candidates · length²), with words of at most 64 bytes.
    public static func nearest(to word: String, in candidates: [String]) -> String? {
        let wanted = Array(word.lowercased().utf8)
        guard wanted.count <= longest else { return nil }
        var best: (distance: Int, candidate: String)?
        for candidate in candidates {
            let bytes = Array(candidate.lowercased().utf8)
            guard bytes.count <= longest else { continue }
            let distance = distance(wanted, bytes)
            guard distance <= max(2, bytes.count / 3), distance < max(wanted.count, bytes.count)
            else { continue }
            if distance < best?.distance ?? .max { best = (distance, candidate) }
        }
        return best?.candidate
    }

    /// Insertions, deletions and replacements from one word to the other (Levenshtein 1966, by
    /// the method of Wagner and Fischer 1974).
    static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
        var row = Array(0...right.count)
        for (line, byte) in left.enumerated() {
            var diagonal = row[0]
            row[0] = line + 1
            for (column, other) in right.enumerated() {
                let replaced = diagonal + (byte == other ? 0 : 1)
                diagonal = row[column + 1]
                row[column + 1] = min(replaced, row[column] + 1, diagonal + 1)
            }
        }
        return row[right.count]
    }
}
