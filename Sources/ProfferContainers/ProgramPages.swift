internal import Glibc

/// The pages of program code that the kernel has mapped into this process.
public enum ProgramPages {
    /// Gives back every page of executable code; those that are used again come back from the page
    /// cache one by one.
    ///
    /// Starting a Swift program touches most of its code and of its libraries once (relocations,
    /// look-ups of conformances, option parsing), and the kernel maps 15 neighbours of each page
    /// touched. A daemon that does this when it begins to serve holds about half as much from then
    /// on. Only mappings that nobody can have written to are given back.
    ///
    /// - Complexity: O(mappings), some 200 of them; each page that comes back costs about 0.5 µs.
    public static func release() {
        guard let maps = ProcFile.text("/proc/self/maps") else { return }
        for line in maps.split(separator: "\n") {
            let fields = line.split(separator: " ", maxSplits: 5)
            guard fields.count == 6, fields[1] == "r-xp", fields[5].contains("/") else { continue }
            let ends = fields[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
            guard ends.count == 2, ends[0] < ends[1],
                let start = UnsafeMutableRawPointer(bitPattern: ends[0])
            else { continue }
            madvise(start, Int(ends[1] - ends[0]), MADV_DONTNEED)
        }
    }
}
