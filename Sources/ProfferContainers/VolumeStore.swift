internal import Glibc
public import ProfferModel

/// The data of an agent's persistent volumes.
///
/// A volume that is destroyed is first renamed, which takes no time and lets a later one have its
/// name; what is in it is removed afterwards. No link is followed and no mount crossed.
public struct VolumeStore: Sendable {
    private static let discarded = ".destroyed-"

    /// Makes a store.
    public init() {}

    /// Where something of this name has been put away, and did not belong to a volume.
    private static let aside = ".set-aside-"

    /// Puts the data of volumes out of reach.
    ///
    /// - Parameter places: Where they are.
    /// - Returns: What has been put where, for ``remove(_:)``.
    /// - Throws: ``SystemError`` of the first that cannot be moved; those after it are moved.
    public func discard(_ places: [VolumePlace]) throws(SystemError) -> [String] {
        var moved: [String] = []
        var problem: SystemError?
        for place in places {
            for path in contents(of: place) {
                do throws(SystemError) {
                    if let name = try Self.move(path, Self.discarded) { moved.append(name) }
                } catch {
                    problem = problem ?? error
                }
            }
        }
        if let problem { throw problem }
        return moved
    }

    /// Lets new volumes begin without data: what is in their places, left by a volume that the
    /// agent has no record of, is renamed and kept for the operator.
    ///
    /// - Returns: What has been renamed, and is now called so.
    /// - Throws: ``SystemError`` of the first that cannot be moved.
    public func setAside(_ places: [VolumePlace]) throws(SystemError) -> [String] {
        var moved: [String] = []
        // A whole file system is the operator's, with what is on it.
        for place in places where !place.names.isEmpty {
            if let name = try Self.move(place.path, Self.aside) { moved.append(name) }
        }
        return moved
    }

    /// What goes with a volume: its directory, or what is in it when it is a whole file system.
    private func contents(of place: VolumePlace) -> [String] {
        if !place.names.isEmpty { return [place.path] }
        return DirectoryNames.list(place.top).filter {
            $0 != "lost+found" && !$0.hasPrefix(Self.discarded)
        }
        .map { "\(place.top)/\($0)" }
    }

    private static func move(_ path: String, _ prefix: String) throws(SystemError) -> String? {
        guard let slash = path.lastIndex(of: "/") else { return nil }
        let name = path[path.index(after: slash)...]
        for number in 0..<10_000 {
            let fresh = "\(path[..<slash])/\(prefix)\(number)-\(name.prefix(220))"
            var status = stat()
            if lstat(fresh, &status) == 0 { continue }
            if rename(path, fresh) == 0 { return fresh }
            if errno == ENOENT { return nil }
            throw SystemError("move away", path, code: errno)
        }
        throw SystemError("move away", path, code: EEXIST)
    }

    /// Removes what was discarded.
    ///
    /// - Returns: The paths of those that are not gone.
    /// - Complexity: O(files).
    public func remove(_ paths: [String]) -> [String] {
        paths.filter { path in
            // A file in the top of a file system is no directory.
            unlink(path) != 0 && !FileTree.remove(path)
        }
    }

    /// Removes what an earlier run has discarded and not removed.
    ///
    /// - Parameter directory: Where volumes of the root disk are.
    /// - Returns: The paths of those that are not gone.
    public func removeDiscarded(below directory: String) -> [String] {
        var found: [String] = []
        var waiting = ["\(directory)/roles"]
        // Roles, and names too long for one level, are the levels above volumes.
        while let path = waiting.popLast() {
            for name in DirectoryNames.list(path) {
                if name.hasPrefix(Self.discarded) {
                    found.append("\(path)/\(name)")
                } else if path == "\(directory)/roles" || name.hasSuffix("+") {
                    waiting.append("\(path)/\(name)")
                }
            }
        }
        return remove(found)
    }
}
