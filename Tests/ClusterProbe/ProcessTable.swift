internal import Foundation
internal import Glibc

/// The processes of this machine as tests look at them.
public enum ProcessTable {
    /// Whether a process exists and is not merely waiting to be reaped.
    public static func isAlive(_ pid: Int) -> Bool {
        guard let text = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8),
            let end = text.lastIndex(of: ")")
        else { return false }
        return !text[end...].dropFirst(2).hasPrefix("Z")
    }

    /// The processes that have a variable in their environment whose value is `path` or lies
    /// below it.
    public static func having(_ variable: String, below path: String) -> [Int] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        let (exact, inside) = (Data("\(variable)=\(path)".utf8), Data("\(variable)=\(path)/".utf8))
        return names.compactMap { Int($0) }.filter { pid in
            guard isAlive(pid),
                let data = FileManager.default.contents(atPath: "/proc/\(pid)/environ")
            else { return false }
            return data.split(separator: 0).contains { $0 == exact || $0.starts(with: inside) }
        }.sorted()
    }

    /// Kills a process as a crash would.
    public static func kill(_ pid: Int) { Glibc.kill(Int32(clamping: pid), SIGKILL) }
}
