import ClusterSupport
import Foundation

/// What the kernel and the container runtime take for what an agent does, without an agent.
enum Raw {
    /// The mount points of the trees of cgroups that an agent uses on this machine.
    static let trees: [String] = {
        let wanted: Set<Substring> = ["cpu", "cpuacct", "memory", "pids"]
        let text = (try? String(contentsOfFile: "/proc/self/mountinfo", encoding: .utf8)) ?? ""
        return text.split(separator: "\n").compactMap { line in
            let fields = line.split(separator: " ")
            guard fields.count > 6, let dash = fields.firstIndex(of: "-"),
                fields.indices.contains(dash + 3)
            else { return nil }
            let controllers = fields[dash + 3].split(separator: ",")
            let isWanted =
                fields[dash + 1] == "cgroup2"
                || fields[dash + 1] == "cgroup" && !wanted.isDisjoint(with: controllers)
            return isWanted ? String(fields[4]) : nil
        }
    }()

    /// Why no cgroups can be made; `nil` when they can.
    static var cgroupGap: String? {
        if geteuid() != 0 { return "it needs root" }
        return trees.isEmpty ? "no cgroups are mounted" : nil
    }

    /// Why no containers can be run; `nil` when they can.
    static var containerGap: String? {
        if let gap = cgroupGap { return gap }
        if Image.runtime == nil { return "neither runc nor crun is installed" }
        return Image.busybox == nil ? "it needs busybox-static" : nil
    }

    /// Makes a group in every tree and removes it, for so many seconds; groups per second.
    static func cgroups(seconds: Double) -> Double {
        let paths = trees.map { "\($0)/proffer-node-bench-\(getpid())" }
        let begin = Clock.now()
        var count = 0
        while Clock.now() < begin + seconds {
            for path in paths { mkdir(path, 0o755) }
            for path in paths { rmdir(path) }
            count += 1
        }
        return Double(count) / (Clock.now() - begin)
    }

    /// An unpacked image that holds busybox only, and a bundle that runs `true` in it.
    struct Image {
        static let runtime = find(["/usr/sbin/runc", "/usr/bin/runc", "/usr/bin/crun"])
        static let busybox = find(["/bin/busybox", "/usr/bin/busybox"])
        let directory: String
        var root: String { directory + "/rootfs" }
        var runtimeName: String {
            (Self.runtime ?? "").split(separator: "/").last.map(String.init) ?? ""
        }

        private static func find(_ paths: [String]) -> String? {
            paths.first { access($0, X_OK) == 0 }
        }

        init() throws {
            guard let busybox = Self.busybox, Self.runtime != nil else {
                throw BenchProblem("there is no busybox or no container runtime")
            }
            directory = "/tmp/proffer-node-bench-\(getpid())"
            let files = FileManager.default
            for name in ["bin", "dev", "proc", "sys", "tmp", "run", "mnt"] {
                try files.createDirectory(
                    atPath: root + "/" + name, withIntermediateDirectories: true)
            }
            try files.copyItem(atPath: busybox, toPath: root + "/bin/busybox")
            for name in ["sh", "true", "sleep"] {
                try files.createSymbolicLink(
                    atPath: root + "/bin/" + name, withDestinationPath: "busybox")
            }
            try files.createDirectory(
                atPath: directory + "/sandbox", withIntermediateDirectories: true)
        }

        /// Takes over what an agent has written for a container whose program has this name.
        func adopt(after program: String) async throws {
            let files = FileManager.default
            let end = Clock.now() + 20
            while Clock.now() < end {
                for agent in (try? files.contentsOfDirectory(atPath: "/run/proffer")) ?? [] {
                    let top = "/run/proffer/" + agent
                    for name in (try? files.contentsOfDirectory(atPath: top)) ?? [] {
                        let path = "\(top)/\(name)/config.json"
                        guard let text = try? String(contentsOfFile: path, encoding: .utf8),
                            text.contains("\"/bin/\(program)\"")
                        else { continue }
                        try text.replacingOccurrences(of: "\(top)/\(name)", with: directory)
                            .replacingOccurrences(of: name, with: "proffer-bench")
                            .replacingOccurrences(
                                of: "\"args\":[\"/bin/\(program)\",\"2\"]",
                                with: "\"args\":[\"/bin/true\"]"
                            )
                            .write(
                                toFile: directory + "/config.json", atomically: true,
                                encoding: .utf8)
                        return
                    }
                }
                try await Task.sleep(for: .milliseconds(5))
            }
            throw BenchProblem("no container of the agent was seen")
        }

        /// Runs the bundle so often, one run after the other; the median in seconds.
        func runs(_ count: Int) throws -> Double {
            var times: [Double] = []
            for index in 0..<count {
                let begin = Clock.now()
                let code = try call(
                    Self.runtime ?? "",
                    ["run", "--bundle", directory, "proffer-bench-\(getpid())-\(index)"])
                times.append(Clock.now() - begin)
                if code != 0 { throw BenchProblem("\(runtimeName) ends with code \(code)") }
            }
            return percentile(times, 50)
        }

        private func call(_ program: String, _ arguments: [String]) throws -> Int32 {
            var pid: pid_t = 0
            var words = ([program] + arguments).map { strdup($0) } + [nil]
            defer { for word in words { free(word) } }
            let code = posix_spawn(&pid, program, nil, nil, &words, environ)
            guard code == 0 else { throw BenchProblem("\(program) cannot be started") }
            var status: Int32 = 0
            waitpid(pid, &status, 0)
            return status & 0x7F == 0 ? status >> 8 : 128
        }

        func remove() { try? FileManager.default.removeItem(atPath: directory) }
    }
}
