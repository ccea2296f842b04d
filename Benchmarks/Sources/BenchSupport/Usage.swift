internal import CMalloc
internal import Glibc

/// What this process has used.
public enum Usage {
    /// CPU time of the calling thread, in seconds.
    public static func threadSeconds() -> Double { seconds(CLOCK_THREAD_CPUTIME_ID) }

    /// The monotonic clock, in seconds.
    public static func wallSeconds() -> Double { seconds(CLOCK_MONOTONIC) }

    /// Resident memory in bytes.
    public static func residentBytes() -> Int { status("VmRSS:") }

    /// The most memory that was ever resident, in bytes.
    public static func peakResidentBytes() -> Int { status("VmHWM:") }

    /// What is allocated and not freed, in bytes, as the C library counts it.
    public static func heapBytes() -> Int {
        let counts = mallinfo2()
        return Int(clamping: counts.uordblks) + Int(clamping: counts.hblkhd)
    }

    /// The name of the processor, or nothing where the system does not tell.
    public static func processorName() -> String {
        for line in lines("/proc/cpuinfo") where line.hasPrefix("model name") {
            return String(line.drop { $0 != ":" }.dropFirst(2))
        }
        return ""
    }

    /// Ends this process by `SIGXCPU` when it has used so many seconds of CPU time.
    public static func limitCPU(seconds: Int) {
        var limit = rlimit(
            rlim_cur: rlim_t(clamping: seconds), rlim_max: rlim_t(clamping: seconds + 5))
        setrlimit(__rlimit_resource_t(RLIMIT_CPU.rawValue), &limit)
    }

    private static func seconds(_ clock: clockid_t) -> Double {
        var time = timespec()
        clock_gettime(clock, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// An entry of `/proc/self/status` that counts KiB, in bytes.
    private static func status(_ name: String) -> Int {
        for line in lines("/proc/self/status") where line.hasPrefix(name) {
            return (Int(line.filter(\.isNumber)) ?? 0) * 1024
        }
        return 0
    }

    private static func lines(_ path: String) -> [String] {
        guard let file = fopen(path, "r") else { return [] }
        defer { fclose(file) }
        var found: [String] = []
        var line = [CChar](repeating: 0, count: 4096)
        while fgets(&line, Int32(line.count), file) != nil {
            found.append(
                String(
                    decoding: line.prefix { $0 != 0 && $0 != 10 }.map(UInt8.init(bitPattern:)),
                    as: UTF8.self))
        }
        return found
    }
}
