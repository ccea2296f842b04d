internal import Glibc
public import ProfferModel

/// Finds out what a node has.
public enum NodeProbe {
    /// What an agent has to offer unless its operator says otherwise.
    ///
    /// All cores, the memory without 1 GiB for the node itself (half of it when there is less than
    /// 2 GiB), the free disk without 5 GiB (half of it when there is less than 10 GiB), and the
    /// ports 31000 to 32000. Memory and disk are in MiB.
    ///
    /// - Parameter path: A path on the file system of the sandboxes.
    /// - Returns: The resources, none of them reserved.
    public static func resources(diskAt path: String) -> Resources {
        let mebibyte: Int64 = 1_048_576
        let memory = memoryBytes / mebibyte
        let disk = (UsageProbe.disk(at: path)?.free ?? 0) / mebibyte
        var resources = Resources(
            cpus: cpus,
            mem: Milli(Int(memory > 2048 ? memory - 1024 : memory / 2)),
            disk: Milli(Int(disk > 10_240 ? disk - 5120 : disk / 2)))
        resources += Resource("ports", .ranges(IntervalSet([31_000...32_000])))
        return resources
    }

    /// The cores that this process may use: its affinity, and less when its cgroup has a quota.
    public static var cpus: Milli {
        let lines = (ProcFile.text("/proc/self/status") ?? "").split(separator: "\n")
        let mask = lines.first { $0.hasPrefix("Cpus_allowed:") }?.dropFirst(13) ?? ""
        let cores = mask.reduce(0) { $0 + ($1.hexDigitValue?.nonzeroBitCount ?? 0) }
        let affinity = Milli(max(1, cores))
        return cpuQuota.map { min($0, affinity) } ?? affinity
    }

    /// The memory that this process may use: the node's, and less when its cgroup has a limit.
    public static var memoryBytes: Int64 {
        let total = UsageProbe.memory().total
        let files = cgroupDirectories.flatMap {
            ["\($0)/memory.max", "\($0)/memory.limit_in_bytes"]
        }
        let limits = files.compactMap { ProcFile.text($0, limit: 64).flatMap { Int64($0) } }
        return min(total, limits.filter { $0 > 0 }.min() ?? total)
    }

    /// Names the present boot of the node; empty when it cannot be read.
    public static var bootID: String {
        ProcFile.text("/proc/sys/kernel/random/boot_id", limit: 64) ?? ""
    }

    /// The node's name.
    public static var hostname: String {
        var name = [UInt8](repeating: 0, count: 256)
        let result = name.withUnsafeMutableBytes { bytes in
            bytes.baseAddress.map { gethostname($0.assumingMemoryBound(to: CChar.self), 255) }
        }
        guard result == 0 else { return "localhost" }
        return String(decoding: name.prefix { $0 != 0 }, as: UTF8.self)
    }

    private static var cpuQuota: Milli? {
        var quotas: [Milli] = []
        for directory in cgroupDirectories {
            if let text = ProcFile.text("\(directory)/cpu.max", limit: 64) {
                let fields = text.split(separator: " ").map { Int64($0) }
                if fields.count == 2 { quotas += quota(fields[0], per: fields[1]) }
            }
            let quota = ProcFile.text("\(directory)/cpu.cfs_quota_us", limit: 64)
            let period = ProcFile.text("\(directory)/cpu.cfs_period_us", limit: 64)
            quotas += self.quota(quota.flatMap { Int64($0) }, per: period.flatMap { Int64($0) })
        }
        return quotas.min()
    }

    private static func quota(_ quota: Int64?, per period: Int64?) -> [Milli] {
        guard let quota, let period, quota > 0, period > 0, quota < 1_000_000_000_000 else {
            return []
        }
        return [Milli(thousandths: max(1, quota * 1000 / period))]
    }

    /// The directories of the cgroups that this process is in, and of those above them.
    private static var cgroupDirectories: [String] {
        var directories: [String] = []
        for line in (ProcFile.text("/proc/self/cgroup") ?? "").split(separator: "\n") {
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { continue }
            let controllers = fields[1]
            let isUnified = controllers.isEmpty
            let wanted = controllers.split(separator: ",").contains {
                $0 == "cpu" || $0 == "memory"
            }
            guard isUnified || wanted else { continue }
            let root = "/sys/fs/cgroup" + (isUnified ? "" : "/\(controllers)")
            var path = ""
            directories.append(root)
            for name in fields[2].split(separator: "/") {
                path += "/" + name
                directories.append(root + path)
            }
        }
        return directories
    }
}
