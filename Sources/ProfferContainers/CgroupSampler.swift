internal import Glibc

/// Reads the counters of the same cgroups again and again, and keeps their files open for that:
/// most of what a reading costs is finding and opening the file.
///
/// At most a third of the descriptors that the process may have are used; cgroups beyond that are
/// read as a ``CgroupProbe`` does.
public final class CgroupSampler {
    private let probe: CgroupProbe
    private let limit: Int
    private var rows: [String: [Int32]] = [:]
    private var descriptors = 0

    /// Makes a sampler without open files.
    public init(_ probe: CgroupProbe) {
        self.probe = probe
        var bound = rlimit()
        let most = getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &bound) == 0
        limit = most ? Int(min(bound.rlim_cur, 300_000)) / 3 : 0
    }

    deinit {
        for row in rows.values { Self.close(row) }
    }

    /// How many cgroups have their files open.
    var openCount: Int { rows.count }

    /// What ``CgroupProbe/sample(_:)`` reads.
    ///
    /// - Complexity: at most seven reads of a small file of the kernel, once the files are open.
    public func sample(_ name: String) -> CgroupUsage {
        let files = probe.counters(name)
        let count = files.count { $0 != nil }
        if rows[name] == nil, descriptors + count <= limit { open(name, files) }
        guard let row = rows[name] else { return probe.sample(name) }
        let texts = row.map { Self.text($0) }
        // The group is gone, or another one has its name by now.
        if texts.allSatisfy({ $0 == nil }) {
            forget(name)
            return probe.sample(name)
        }
        return probe.usage(of: texts)
    }

    /// Closes the files of a cgroup that is to be removed.
    public func forget(_ name: String) {
        guard let row = rows.removeValue(forKey: name) else { return }
        descriptors -= row.count { $0 >= 0 }
        Self.close(row)
    }

    private func open(_ name: String, _ files: [String?]) {
        let row = files.map { file in
            file.map { Glibc.open($0, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) } ?? -1
        }
        guard row.contains(where: { $0 >= 0 }) else { return }
        rows[name] = row
        descriptors += row.count { $0 >= 0 }
    }

    private static func close(_ row: [Int32]) {
        for descriptor in row where descriptor >= 0 { Glibc.close(descriptor) }
    }

    private static func text(_ descriptor: Int32) -> String? {
        guard descriptor >= 0 else { return nil }
        let size = 2048
        return withUnsafeTemporaryAllocation(byteCount: size, alignment: 1) { buffer in
            let got = pread(descriptor, buffer.baseAddress, size, 0)
            guard got > 0 else { return nil }
            return String(decoding: buffer[..<got], as: UTF8.self)
        }
    }
}
