import Foundation
import Proffer
import ProfferZeroMQ

/// A master and agents as processes over TCP and CURVE, in a temporary directory.
package final class Cluster {
    package struct Endpoints: Decodable {
        var pid: Int32
        var http: String
        var frameworks: String?
        var agents: String?
        var publicKey: String?
    }

    package let scratch: ScratchDirectory
    package let connection: MasterConnection
    package let master: Process
    package private(set) var agents: [Process]
    private var agentCommands: [[String]] = []

    package init(
        binaries: String, agents count: Int, resources: String, isolation: String = "process",
        more: [String] = []
    ) throws {
        let scratch = try ScratchDirectory()
        self.scratch = scratch
        let directory = scratch.path
        try FileManager.default.createDirectory(
            atPath: directory + "/master", withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o700])
        let framework = try KeyPair.generate()
        try "\(framework.publicKey)\n".write(
            toFile: directory + "/master/frameworks.allow", atomically: true, encoding: .utf8)
        var allowed = ""
        for index in 0..<count {
            let folder = directory + "/agent-\(index)"
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700])
            let keys = try KeyPair.generate()
            try keys.save(folder + "/agent.key")
            allowed += keys.publicKey + "\n"
        }
        try allowed.write(
            toFile: directory + "/master/agents.allow", atomically: true, encoding: .utf8)
        master = try Self.start(
            binaries + "/proffer-master",
            [
                "--data-dir", directory + "/master", "--http-port", "0", "--framework-port", "0",
                "--agent-port", "0",
            ], log: directory + "/master.log")
        let endpoints = try Self.wait(for: directory + "/master", master)
        guard let key = endpoints.publicKey, let agentAddress = endpoints.agents,
            let address = endpoints.frameworks
        else { throw BenchProblem("the master's endpoints.json is not complete") }
        agentCommands = (0..<count).map { index in
            [
                binaries + "/proffer-agent", "--data-dir", directory + "/agent-\(index)",
                "--http-port", "0", "--hostname", "agent-\(index)", "--master", agentAddress,
                "--master-key", key, "--resources", resources, "--isolation", isolation,
            ] + more
        }
        connection = try MasterConnection(addresses: [address], masterKey: key, keys: framework)
        agents = []
        for index in 0..<count { agents.append(try startAgent(index)) }
        for (index, agent) in agents.enumerated() {
            _ = try Self.wait(for: directory + "/agent-\(index)", agent)
        }
    }

    private func startAgent(_ index: Int) throws -> Process {
        let command = agentCommands[index]
        return try Self.start(command[0], Array(command.dropFirst()), log: agentLog(index))
    }

    /// The file that an agent logs to; a new one for each of its processes.
    package func agentLog(_ index: Int) -> String { "\(scratch.path)/agent-\(index).log" }

    /// Kills an agent by force and starts it again with the same data.
    package func restartAgent(_ index: Int) throws {
        kill(agents[index].processIdentifier, SIGKILL)
        agents[index].waitUntilExit()
        agents[index] = try startAgent(index)
    }

    private static func start(_ path: String, _ arguments: [String], log: String) throws -> Process
    {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = arguments
        _ = FileManager.default.createFile(atPath: log, contents: nil)
        process.standardError = FileHandle(forWritingAtPath: log)
        process.standardOutput = FileHandle(forWritingAtPath: log)
        try process.run()
        return process
    }

    private static func wait(for folder: String, _ process: Process) throws -> Endpoints {
        let end = Clock.now() + 20
        while Clock.now() < end, process.isRunning {
            if let data = FileManager.default.contents(atPath: folder + "/endpoints.json") {
                return try JSONDecoder().decode(Endpoints.self, from: data)
            }
            usleep(5000)
        }
        let log = (try? String(contentsOfFile: folder + ".log", encoding: .utf8)) ?? ""
        throw BenchProblem("\(folder) does not come up:\n\(log)")
    }

    /// The resident size of a process in bytes.
    package static func residentBytes(_ pid: Int32) -> Int64 {
        let text = (try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)) ?? ""
        for line in text.split(separator: "\n") where line.hasPrefix("VmRSS:") {
            let fields = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
            return (fields.count > 1 ? Int64(fields[1]) ?? 0 : 0) * 1024
        }
        return 0
    }

    /// The processes whose parent is an agent: its executors.
    package var executors: [Int32] {
        let parents = Set(agents.map(\.processIdentifier))
        let entries = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return entries.compactMap { Int32($0) }.filter { pid in
            let text = (try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)) ?? ""
            let tail = text.split(separator: ")").last?.split(separator: " ") ?? []
            return tail.count > 1 && parents.contains(Int32(tail[1]) ?? -1)
        }
    }

    /// The processor time that master, agents, executors and the processes of tasks have used.
    package var processorTime: ProcessorTime {
        var time = ProcessorTime()
        time.framework = ProcessorTime.of(getpid()).own
        time.master = ProcessorTime.of(master.processIdentifier).own
        for agent in agents { time.agents += ProcessorTime.of(agent.processIdentifier).own }
        for executor in executors {
            let (own, children) = ProcessorTime.of(executor)
            time.executors += own
            time.tasks += children
        }
        return time
    }

    package func stop() {
        for agent in agents { kill(agent.processIdentifier, SIGUSR1) }
        for agent in agents { agent.waitUntilExit() }
        master.terminate()
        master.waitUntilExit()
        scratch.remove()
    }
}
