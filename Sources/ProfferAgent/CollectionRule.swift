/// When the directories of tasks and executors that have ended are removed.
///
/// A directory is kept for `delay`, shortened as the disk fills up: what it is kept for is
/// `delay × max(0, 1 - headroom - use)`, `use` being the used part of the disk. With the standard
/// headroom of a tenth, a disk that is half full keeps directories for four tenths of the delay,
/// and one that is full to nine tenths keeps nothing that is not in use.
public struct CollectionRule: Hashable, Sendable {
    /// How long a directory is kept on an empty disk without headroom.
    public var delay: Duration
    /// The part of the disk that is to stay free, in thousandths.
    public var headroom: Int64

    /// Sets every field; what is left out has the default shown.
    public init(delay: Duration = .seconds(7 * 86_400), headroom: Int64 = 100) {
        self.delay = delay
        self.headroom = headroom
    }

    /// A directory that nobody may be using.
    public struct Candidate: Hashable, Sendable {
        /// Where it is.
        public var path: String
        /// How long ago it was changed or in use.
        public var age: Duration

        /// Describes a directory.
        public init(path: String, age: Duration) {
            self.path = path
            self.age = age
        }
    }

    /// How long directories are kept while so much of the disk is used.
    ///
    /// - Parameter use: The used part in thousandths.
    /// - Returns: The longest age.
    public func longest(use: Int64) -> Duration {
        let room = 1000 - bounded(headroom) - bounded(use)
        return room > 0 ? delay * Int(room) / 1000 : .zero
    }

    /// The directories to remove, the oldest first.
    ///
    /// - Complexity: O(n log n).
    public func due(_ candidates: [Candidate], use: Int64) -> [String] {
        let longest = longest(use: use)
        return candidates.filter { $0.age >= longest }
            .sorted { ($1.age, $0.path) < ($0.age, $1.path) }
            .map(\.path)
    }

    private func bounded(_ part: Int64) -> Int64 { min(1000, max(0, part)) }
}
