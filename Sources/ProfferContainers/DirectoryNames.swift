internal import Glibc

/// What is in directories.
enum DirectoryNames {
    /// The names in a directory but `.` and `..`, sorted; none when it cannot be read.
    ///
    /// - Parameters:
    ///   - path: The directory.
    ///   - isDirectory: Whether only those of directories are wanted; a link to one is none.
    /// - Returns: The names.
    /// - Complexity: O(n · log n).
    static func list(_ path: String, directoriesOnly isDirectory: Bool = false) -> [String] {
        guard let stream = opendir(path) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            if isDirectory, entry.pointee.d_type != UInt8(DT_DIR) { continue }
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }
}
