/// A file in the cache of fetched files.
public struct CacheEntry: Hashable, Sendable {
    /// Its name in the cache.
    public var key: String
    /// How large it is.
    public var bytes: Int64
    /// When it was used last; any unit, the same for all.
    public var lastUse: Int64
    /// How many tasks take a copy of it now.
    public var uses: Int

    /// Describes a file.
    public init(key: String, bytes: Int64, lastUse: Int64, uses: Int = 0) {
        self.key = key
        self.bytes = bytes
        self.lastUse = lastUse
        self.uses = uses
    }
}

/// Decides what leaves the cache when something comes in.
public struct CachePolicy: Hashable, Sendable {
    /// How much the cache may hold, in bytes.
    public var limit: Int64

    /// Sets the limit.
    public init(limit: Int64) { self.limit = limit }

    /// The files to remove, so that one more has room; those used longest ago go first, and none
    /// that is in use goes.
    ///
    /// - Parameters:
    ///   - bytes: How large the new one is.
    ///   - entries: What is there.
    /// - Returns: The keys; `nil` when there can be no room, and the file is not to be kept.
    /// - Complexity: O(n log n).
    public func victims(toFit bytes: Int64, among entries: [CacheEntry]) -> [String]? {
        guard bytes >= 0, bytes <= limit else { return nil }
        var excess = bytes - limit
        for entry in entries {
            let (sum, isTooMuch) = excess.addingReportingOverflow(max(0, entry.bytes))
            if isTooMuch { return nil }
            excess = sum
        }
        var victims: [String] = []
        let unused = entries.filter { $0.uses == 0 }
            .sorted { ($0.lastUse, $0.key) < ($1.lastUse, $1.key) }
        for entry in unused {
            if excess <= 0 { break }
            victims.append(entry.key)
            excess -= entry.bytes
        }
        return excess <= 0 ? victims : nil
    }
}
