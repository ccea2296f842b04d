/// What a file is unpacked with, by its name.
public enum ArchiveKind: Hashable, Sendable {
    /// Many files, packed in any way that the tool for archives knows.
    case archive
    /// One file, compressed; it gets this name.
    case compressed(program: String, name: String)

    private static let archives = [
        ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".tzst",
        ".zip",
    ]

    /// The kind of a file; `nil` when it is not one to unpack.
    public init?(name: String) {
        let lower = name.lowercased()
        if Self.archives.contains(where: { lower.hasSuffix($0) && lower.count > $0.count }) {
            self = .archive
            return
        }
        for (suffix, program) in [(".gz", "gzip"), (".xz", "xz")]
        where lower.hasSuffix(suffix) && lower.count > suffix.count {
            self = .compressed(program: program, name: String(name.dropLast(suffix.count)))
            return
        }
        return nil
    }

    /// The same for a file that gets another name.
    func called(_ other: String) -> ArchiveKind {
        if case .compressed(let program, _) = self {
            return .compressed(program: program, name: other)
        }
        return self
    }
}

/// What is made of one entry of an archive.
public enum ArchiveItem: Hashable, Sendable {
    /// A directory at this path, with these permissions.
    case directory([String], mode: UInt32)
    /// A file at this path, with these permissions; its content follows.
    case file([String], mode: UInt32)
    /// A symbolic link at this path.
    case symbolicLink([String], target: String)
    /// A second name, at the first path, of the file at the second.
    case hardLink([String], of: [String])
}

/// Decides what of an archive is made, entry by entry, and refuses it for what must not be.
///
/// Refused are absolute paths, `..`, devices and pipes, symbolic links that could lead out of the
/// sandbox, and archives with more entries or bytes than allowed. The bits for running as the
/// owner or group, and the sticky bit, are dropped.
public struct ArchiveRule: Sendable {
    private let byteLimit: Int64
    private let entryLimit: Int
    private var bytes: Int64 = 0
    private var entries = 0

    /// Begins with an archive that may have so much in it.
    public init(byteLimit: Int64, entryLimit: Int) {
        self.byteLimit = byteLimit
        self.entryLimit = entryLimit
    }

    /// Whether archives of a format are unpacked.
    ///
    /// - Parameter line: What `bsdtar` says last of an archive: `Archive Format: …`.
    /// - Returns: Whether it is a tar or zip archive.
    public static func allows(_ line: String) -> Bool {
        let formats = ["GNU tar", "POSIX pax", "POSIX ustar", "tar (non-POSIX)", "ZIP"]
        return formats.contains { line.hasPrefix("Archive Format: " + $0) }
    }

    /// What is made of an entry; `nil` when it is the sandbox itself.
    ///
    /// - Throws: ``FetchRefusal`` when the whole archive is refused for it.
    public mutating func item(for entry: TarEntry) throws(FetchRefusal) -> ArchiveItem? {
        entries += 1
        if entries > entryLimit { throw FetchRefusal("it has more than \(entryLimit) entries") }
        let (sum, isTooMuch) = bytes.addingReportingOverflow(entry.size)
        guard entry.size >= 0, !isTooMuch, sum <= byteLimit else {
            throw FetchRefusal("it unpacks to more than \(byteLimit) bytes")
        }
        bytes = sum
        let steps = try SandboxPath.steps(entry.path)
        if steps.isEmpty {
            if entry.kind == .directory { return nil }
            throw FetchRefusal("an entry has no name")
        }
        try SandboxPath.checkReserved(steps)
        let mode = entry.mode & 0o777
        switch entry.kind {
        case .directory: return .directory(steps, mode: mode | 0o700)
        case .file: return .file(steps, mode: mode | 0o400)
        case .symbolicLink:
            try SandboxPath.checkLink(entry.target, depth: steps.count - 1)
            return .symbolicLink(steps, target: entry.target)
        case .hardLink:
            let target = try SandboxPath.steps(entry.target)
            if target.isEmpty { throw FetchRefusal("a link leads nowhere") }
            try SandboxPath.checkReserved(target)
            return .hardLink(steps, of: target)
        case .other(let type):
            throw FetchRefusal(
                "'\(SandboxPath.shown(entry.path))' is a device, a pipe or something else that is "
                    + "no file (type \(type))")
        }
    }
}
