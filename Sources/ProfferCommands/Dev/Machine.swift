internal import Foundation
internal import Glibc

/// What this machine has, and the shares of it that the agents of a dev cluster get.
struct MachineShare: Sendable, Equatable {
    /// Thousandths of a core.
    var milliCPUs: Int
    /// MiB.
    var memory: Int
    /// MiB.
    var disk: Int
    /// For the tasks.
    var ports: ClosedRange<Int>

    /// Splits a machine evenly.
    ///
    /// 1 GiB of memory and 5 GiB of disk are left to the machine itself, half of either when there
    /// is less than twice as much.
    ///
    /// - Parameters:
    ///   - cores: The cores.
    ///   - memory: MiB.
    ///   - disk: Free space, MiB.
    ///   - ports: Shared out without overlap.
    ///   - count: How many shares; at least 1 and at most as many as there are ports.
    /// - Returns: As many shares.
    static func split(
        cores: Int, memory: Int, disk: Int, ports: ClosedRange<Int>, into count: Int
    ) -> [MachineShare] {
        let usableMemory = memory > 2048 ? memory - 1024 : memory / 2
        let usableDisk = disk > 10_240 ? disk - 5120 : disk / 2
        let width = ports.count / count
        return (0..<count).map { index in
            let first = ports.lowerBound + index * width
            return MachineShare(
                milliCPUs: cores * 1000 / count, memory: usableMemory / count,
                disk: usableDisk / count, ports: first...(first + width - 1))
        }
    }

    /// As the agent's flag `--resources` wants it.
    var flag: String {
        "cpus:\(cpus);mem:\(memory);disk:\(disk);ports:[\(ports.lowerBound)-\(ports.upperBound)]"
    }

    /// Cores as decimal text, without floating point.
    var cpus: String {
        let rest = String(milliCPUs % 1000)
        let padded = String(repeating: "0", count: 3 - rest.count) + rest
        let digits = padded.reversed().drop { $0 == "0" }.reversed()
        return "\(milliCPUs / 1000)" + (digits.isEmpty ? "" : "." + String(digits))
    }

    /// For people.
    var text: String { "\(cpus) cpus, \(String(format: "%.1f", Double(memory) / 1024)) GiB" }
}

/// The machine this runs on.
enum ThisMachine {
    static var cores: Int { ProcessInfo.processInfo.activeProcessorCount }

    /// MiB; less than the machine's when a cgroup limits it.
    static var memory: Int {
        let limits = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
            .compactMap { try? String(contentsOfFile: $0, encoding: .utf8) }
            .compactMap { UInt64($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
        let total = min(ProcessInfo.processInfo.physicalMemory, limits.min() ?? .max)
        return Int(total / 1_048_576)
    }

    /// Free space of the file system that holds `path`, MiB.
    static func freeDisk(at path: String) -> Int {
        var status = statvfs()
        guard statvfs(path, &status) == 0 else { return 0 }
        return Int(UInt64(status.f_bavail) * UInt64(status.f_frsize) / 1_048_576)
    }
}

/// Free TCP ports of loopback addresses.
enum LocalPorts {
    /// Whether a server can listen there now.
    static func isFree(_ port: UInt16, host: String = "127.0.0.1") -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var on: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        guard inet_pton(AF_INET, host, &address.sin_addr) == 1 else { return false }
        let isBound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
        return isBound && listen(descriptor, 1) == 0
    }

    /// `preferred` when it is free, else 0: the program takes any free one then and says which.
    static func choose(_ preferred: UInt16, host: String = "127.0.0.1") -> UInt16 {
        isFree(preferred, host: host) ? preferred : 0
    }
}
