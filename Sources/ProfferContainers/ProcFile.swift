internal import Glibc

/// Small files of the kernel, read in one piece.
enum ProcFile {
    /// Reads at most `limit` bytes of a file.
    static func bytes(_ path: String, in directory: Int32 = AT_FDCWD, limit: Int = 4096)
        -> [UInt8]?
    {
        let descriptor = openat(directory, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var isReadable = true
        let bytes = [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
            while count < limit {
                let got = read(descriptor, buffer.baseAddress.map { $0 + count }, limit - count)
                if got <= 0 {
                    isReadable = got == 0
                    break
                }
                count += got
            }
        }
        return isReadable ? bytes : nil
    }

    /// Reads a small file as text without the white space at its end.
    static func text(_ path: String, limit: Int = 65_536) -> String? {
        guard var bytes = bytes(path, limit: limit) else { return nil }
        while let last = bytes.last, last == 0x0A || last == 0x20 { bytes.removeLast() }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Where a link of the kernel leads.
    static func link(_ path: String) -> String? {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink(path, &buffer, buffer.count)
        guard count > 0 else { return nil }
        return String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Calls `body` with the id of every process there is, in no order.
    static func forEachProcess(_ body: (_ pid: Int32, _ directory: Int32) -> Void) {
        guard let stream = opendir("/proc") else { return }
        defer { closedir(stream) }
        let directory = dirfd(stream)
        while let entry = readdir(stream) {
            let pid = withUnsafeBytes(of: &entry.pointee.d_name) { number(in: $0) }
            if let pid { body(pid, directory) }
        }
    }

    private static func number(in name: UnsafeRawBufferPointer) -> Int32? {
        var value: Int32 = 0
        for (index, byte) in name.enumerated() {
            if byte == 0 { return index == 0 ? nil : value }
            guard (0x30...0x39).contains(byte), index < 9 else { return nil }
            value = value * 10 + Int32(byte - 0x30)
        }
        return nil
    }
}

/// The interesting part of `/proc/PID/stat`.
struct ProcessStat {
    var state: UInt8
    var parent: Int32
    var group: Int32
    var session: Int32
    /// User and system time, its own and that of children it has waited for, in clock ticks.
    var cpuTicks: UInt64
    /// Since boot, in clock ticks.
    var startTicks: UInt64
    var residentPages: Int64

    /// Whether it still executes something.
    var isRunning: Bool { state != UInt8(ascii: "Z") && state != UInt8(ascii: "X") }

    /// Reads the stat file of a process; `nil` when there is none.
    init?(pid: Int32, in directory: Int32 = AT_FDCWD) {
        let path = directory == AT_FDCWD ? "/proc/\(pid)/stat" : "\(pid)/stat"
        guard let bytes = ProcFile.bytes(path, in: directory, limit: 1024) else { return nil }
        self.init(bytes)
    }

    /// Parses the text of a stat file.
    init?(_ bytes: [UInt8]) {
        // The second field is the program's name in brackets and may hold anything.
        guard let bracket = bytes.lastIndex(of: UInt8(ascii: ")")), bytes.count > bracket + 2
        else { return nil }
        state = bytes[bracket + 2]
        var values: [Int64] = []
        values.reserveCapacity(24)
        var value: Int64 = 0
        var isNegative = false
        for byte in bytes[(bracket + 4)...] {
            switch byte {
            case 0x30...0x39: value = value &* 10 &+ Int64(byte - 0x30)
            case 0x2D: isNegative = true
            case _:
                values.append(isNegative ? -value : value)
                value = 0
                isNegative = false
            }
            if values.count > 20 { break }
        }
        // values[0] is field 4 of proc(5).
        guard values.count > 20 else { return nil }
        parent = Int32(truncatingIfNeeded: values[0])
        group = Int32(truncatingIfNeeded: values[1])
        session = Int32(truncatingIfNeeded: values[2])
        cpuTicks = UInt64(clamping: values[10] &+ values[11] &+ values[12] &+ values[13])
        startTicks = UInt64(clamping: values[18])
        residentPages = values[20]
    }
}

/// A process, told from others that had or will have the same id.
public struct ProcessIdentity: Hashable, Sendable {
    /// Its id; also that of its session and process group when it was started here.
    public var pid: Int32
    /// When it started, in clock ticks since boot.
    public var startTicks: UInt64

    /// Names a process by what was kept of it.
    public init(pid: Int32, startTicks: UInt64) {
        self.pid = pid
        self.startTicks = startTicks
    }

    /// Looks at the process that has this id now; `nil` when there is none.
    public init?(pid: Int32) {
        guard pid > 0, let stat = ProcessStat(pid: pid) else { return nil }
        self.init(pid: pid, startTicks: stat.startTicks)
    }

    /// The clock of ``startTicks``: a process that starts later has no smaller number.
    static var presentTicks: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_BOOTTIME, &time)
        let perSecond = max(1, sysconf(Int32(_SC_CLK_TCK)))
        return UInt64(time.tv_sec * perSecond + time.tv_nsec / (1_000_000_000 / perSecond))
    }

    /// Whether it still executes something (a zombie does not).
    public var isAlive: Bool {
        guard pid > 0, let stat = ProcessStat(pid: pid) else { return false }
        return stat.startTicks == startTicks && stat.isRunning
    }
}
