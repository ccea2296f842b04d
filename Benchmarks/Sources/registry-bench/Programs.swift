import Foundation
import ProfferZeroMQ

/// A program that is killed at the end.
final class Program {
    let process = Process()
    private let log: String

    init(_ path: String, _ arguments: [String], log: String) throws {
        self.log = log
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = arguments
        process.environment = ["PATH": "/usr/bin:/bin"]
        if !FileManager.default.fileExists(atPath: log) {
            _ = FileManager.default.createFile(atPath: log, contents: nil)
        }
        let file = FileHandle(forWritingAtPath: log)
        try file?.seekToEnd()
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = file
        process.standardError = file
        try process.run()
    }

    deinit { kill() }

    var text: String { (try? String(contentsOfFile: log, encoding: .utf8)) ?? "" }

    func kill() {
        guard process.isRunning else { return }
        Glibc.kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }
}

struct Endpoints: Decodable {
    var pid: Int32
    var http: String
    var frameworks: String
    var agents: String
    var publicKey: String
}

/// A master in a directory of its own.
final class MasterProgram {
    let directory: String
    private let binaries: String
    private let arguments: [String]
    private(set) var program: Program
    private(set) var endpoints: Endpoints

    init(_ binaries: String, _ directory: String, _ arguments: [String] = []) throws {
        self.binaries = binaries
        self.directory = directory
        self.arguments = arguments
        program = try Self.start(binaries, directory, ["0", "0", "0"], arguments)
        endpoints = try Self.wait(directory, program)
    }

    private static func start(
        _ binaries: String, _ directory: String, _ ports: [String], _ arguments: [String]
    ) throws -> Program {
        try Program(
            binaries + "/proffer-master",
            [
                "--data-dir", directory, "--http-port", ports[0], "--framework-port", ports[1],
                "--agent-port", ports[2], "--log-level", "warning",
            ] + arguments, log: directory + ".log")
    }

    private static func wait(_ directory: String, _ program: Program) throws -> Endpoints {
        for _ in 0..<40_000 {
            if let data = FileManager.default.contents(atPath: directory + "/endpoints.json"),
                let endpoints = try? JSONDecoder().decode(Endpoints.self, from: data),
                endpoints.pid == program.process.processIdentifier
            {
                return endpoints
            }
            guard program.process.isRunning else { break }
            // Small beside what is measured.
            usleep(500)
        }
        throw BenchProblem("a master does not come up: \(program.text)")
    }

    /// Kills it and starts it again at once, on the same ports, as a supervisor does.
    func restart() throws {
        let ports = [endpoints.http, endpoints.frameworks, endpoints.agents].map {
            String($0.split(separator: ":").last ?? "0")
        }
        program.kill()
        program = try Self.start(binaries, directory, ports, arguments)
    }

    /// Prepares the directory of a master.
    static func prepare(_ directory: String, frameworks: [KeyPair], agents: [KeyPair]) throws {
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o700])
        for (name, keys) in [("frameworks", frameworks), ("agents", agents)] {
            try keys.map { $0.publicKey + "\n" }.joined().write(
                toFile: "\(directory)/\(name).allow", atomically: true, encoding: .utf8)
        }
    }
}

/// An etcd cluster on free ports.
final class Etcd {
    private let scratch: Scratch
    private var members: [Program] = []
    private let ports: [(client: UInt16, peer: UInt16)]

    init(members count: Int) throws {
        scratch = try Scratch()
        ports = (0..<count).map { _ in (Self.freePort(), Self.freePort()) }
        let cluster = ports.enumerated().map { "m\($0)=http://127.0.0.1:\($1.peer)" }
        for (index, own) in ports.enumerated() {
            let (client, peer) = (
                "http://127.0.0.1:\(own.client)", "http://127.0.0.1:\(own.peer)"
            )
            members.append(
                try Program(
                    "/usr/bin/etcd",
                    [
                        "--name", "m\(index)", "--data-dir", scratch.path + "/m\(index)",
                        "--listen-client-urls", client, "--advertise-client-urls", client,
                        "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                        "--initial-cluster", cluster.joined(separator: ","), "--logger", "zap",
                        "--log-outputs", "stderr",
                    ], log: scratch.path + "/m\(index).log"))
        }
    }

    var registry: String {
        "etcd://" + ports.map { "127.0.0.1:\($0.client)" }.joined(separator: ",")
    }

    func wait() throws {
        for own in ports {
            var isUp = false
            for _ in 0..<6000 where !isUp {
                isUp = Self.accepts(own.client)
                if !isUp { usleep(5000) }
            }
            guard isUp else { throw BenchProblem("etcd does not come up: \(members[0].text)") }
        }
    }

    func stop() { for member in members { member.kill() } }

    private static func address(_ port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return address
    }

    private static func freePort() -> UInt16 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var own = address(0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &own) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                _ = bind(descriptor, $0, length)
                _ = getsockname(descriptor, $0, &length)
            }
        }
        return UInt16(bigEndian: own.sin_port)
    }

    private static func accepts(_ port: UInt16) -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var other = address(port)
        return withUnsafePointer(to: &other) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
    }
}
