import ClusterProbe
import Foundation
import Glibc
import Proffer
import ProfferRuntime
import ProfferZeroMQ
import Testing

@Suite("Refusals of daemons", .serialized, .timeLimit(.minutes(5)))
struct RefusalTests {
    @Test("a second daemon on a data directory is refused, and the first is named")
    func secondOwner() async throws {
        try await withProcesses { cluster in
            let master = try await cluster.startMaster()
            let agent = try await cluster.startAgent()
            let free = ["--http-port", "0", "--framework-port", "0", "--agent-port", "0"]
            let secondMaster = try cluster.start(
                "proffer-master", ["--data-dir", cluster.data("master")] + free, log: "second")
            #expect(try await secondMaster.exitCode() == 100)
            #expect(secondMaster.output.contains("process \(master.pid) has it"))
            let secondAgent = try cluster.start(
                "proffer-agent", try cluster.agentArguments(0), log: "second-agent")
            #expect(try await secondAgent.exitCode() == 100)
            #expect(secondAgent.output.contains("process \(agent.pid) has it"))
            // The refused ones have taken nothing away from the first.
            try await cluster.endpoints("master", of: master)
            try await cluster.endpoints("agent-0", of: agent)
            let probe = try cluster.probe()
            try await probe.run("t", "sleep 600")
            await probe.stop(teardown: true)
        }
    }

    @Test("a port that is in use is refused with the flag to give another", arguments: 0..<3)
    func portInUse(which: Int) async throws {
        try await withProcesses { cluster in
            _ = try await cluster.startMaster()
            let flags = ["--http-port", "--framework-port", "--agent-port"]
            let master = try cluster.master
            let address = [master.http, master.frameworks, master.agents][which]
            let port = try #require(address?.split(separator: ":").last)
            var arguments = ["--data-dir", cluster.data("other")]
            for (index, flag) in flags.enumerated() {
                arguments += [flag, index == which ? String(port) : "0"]
            }
            let other = try cluster.start("proffer-master", arguments, log: "other")
            #expect(try await other.exitCode() == 102)
            #expect(other.output.contains(flags[which]))
            let file = cluster.data("other") + "/endpoints.json"
            #expect(!FileManager.default.fileExists(atPath: file))
        }
    }

    @Test("a data directory that cannot be one is refused", arguments: ["file/x", "file"])
    func badDirectory(name: String) async throws {
        try await withProcesses { cluster in
            try TextFile.write("", to: cluster.data("file"))
            for program in ["proffer-master", "proffer-agent"] {
                var arguments = ["--data-dir", cluster.data(name)]
                if program == "proffer-agent" {
                    arguments += ["--master", "tcp://127.0.0.1:1", "--master-key", "x"]
                }
                let daemon = try cluster.start(program, arguments, log: program)
                #expect(try await daemon.exitCode() == 100)
                #expect(daemon.output.contains(cluster.data(name)))
            }
        }
    }

    @Test("a database that is none of ours is refused and left as it is")
    func foreignDatabase() async throws {
        try await withProcesses { cluster in
            let path = cluster.data("master") + "/registry.sqlite"
            try TextFile.write("not a database, but somebody's text", to: path)
            let master = try cluster.start(
                "proffer-master", cluster.masterArguments(), log: "master")
            #expect(try await master.exitCode() == 100)
            #expect(master.output.contains(path))
            #expect(TextFile.read(path) == "not a database, but somebody's text")
        }
    }

    @Test(
        "settings that are not valid are refused with what to do",
        arguments: [
            ["--http-port", "many"], ["--offer-timeout", "0s"], ["--log-level", "loud"],
            ["--config", "/no/such/file"],
        ])
    func badSettings(flags: [String]) async throws {
        try await withProcesses { cluster in
            let arguments = ["--data-dir", cluster.data("master")] + flags
            let master = try cluster.start("proffer-master", arguments, log: "master")
            #expect(try await master.exitCode() == 78)
            #expect(master.output.contains("try: "))
        }
    }

    @Test("a daemon that is told nothing says what it needs")
    func nothing() async throws {
        try await withProcesses { cluster in
            for program in ["proffer-master", "proffer-agent"] {
                let daemon = try cluster.start(program, [], log: program)
                #expect(try await daemon.exitCode() == 78)
                #expect(daemon.output.contains("--data-dir is missing"))
            }
        }
    }

    @Test("a key that begins with a dash is taken for a key")
    func keyWithDash() async throws {
        try await withProcesses { cluster in
            // No key of CURVE has only 5 characters: the agent judges it, not the parser of flags.
            let arguments = [
                "--data-dir", cluster.data("agent-0"), "--master", "tcp://127.0.0.1:1",
                "--master-key", "-key-",
            ]
            let agent = try cluster.start("proffer-agent", arguments, log: "agent-0")
            #expect(try await agent.exitCode() == 101)
            #expect(agent.output.contains("'-key-'"))
        }
    }

    @Test("a key file that others can read is refused")
    func openKey() async throws {
        try await withProcesses { cluster in
            let keys = try KeyPair.generate()
            let path = cluster.data("master") + "/master.key"
            try keys.save(path)
            try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: path)
            let master = try cluster.start(
                "proffer-master", cluster.masterArguments(), log: "master")
            #expect(try await master.exitCode() == 101)
            #expect(master.output.contains(path))
        }
    }

    @Test("a key that is not listed is refused and counted, and let in once it is listed")
    func wrongKey() async throws {
        try await withProcesses { cluster in
            let master = try await cluster.startMaster()
            let keys = try KeyPair.generate()
            let probe = try cluster.probe(keys: keys)
            try await eventually("a refused handshake in the metrics") {
                let text = try await get("\(cluster.master.http)/metrics").body
                let line = text.split(separator: "\n").first {
                    $0.hasPrefix("proffer_handshakes_refused_total ")
                }
                return line.flatMap { $0.split(separator: " ").last.flatMap { Double($0) } } ?? 0
                    > 0
            }
            #expect(probe.history.subscriptions.isEmpty)
            let begin = String(keys.publicKey.prefix(8))
            try await eventually("a line about the key; the master wrote: \(master.output)") {
                master.output.split(separator: "\n").contains {
                    $0.contains("its key is on no allow-list") && $0.contains(begin)
                        && $0.contains("127.0.0.1") && !$0.contains(keys.publicKey)
                }
            }
            let list = cluster.data("master") + "/frameworks.allow"
            try TextFile.write(keys.publicKey + "\n", to: list)
            _ = try await probe.subscribed()
            #expect(master.isRunning)
            await probe.stop(teardown: true)
        }
    }

    @Test("an agent whose key is on no list says that it was refused, and so does the master")
    func unlistedAgent() async throws {
        try await withProcesses { cluster in
            try TextFile.write("", to: cluster.data("master") + "/agents.allow")
            let master = try await cluster.startMaster()
            let agent = try cluster.start(
                "proffer-agent", try cluster.agentArguments(0), log: "agent-0")
            try await eventually("a line of the agent, which wrote: \(agent.output)") {
                agent.output.contains("handshake refused")
                    && agent.output.contains("the key is on no allow-list")
            }
            try await eventually("a line of the master, which wrote: \(master.output)") {
                master.output.contains("its key is on no allow-list")
            }
        }
    }

    @Test("a framework says why it is not let in")
    func refusedFramework() async throws {
        try await withProcesses { cluster in
            _ = try await cluster.startMaster()
            let journal = LogJournal()
            let master = try cluster.master
            let probe = try Probe(
                FrameworkOptions(info: FrameworkInfo(name: "probe")),
                MasterConnection(
                    addresses: [try master.frameworks.orThrow("no address for frameworks")],
                    masterKey: try master.publicKey.orThrow("no key"), keys: KeyPair.generate()),
                logger: journal.logger)
            try await eventually("a line about it") {
                journal.count(
                    "handshake refused",
                    ["reason": "the key is on no allow-list of the other end"]) > 0
            }
            await probe.stop()
        }
    }

    @Test("a framework cannot come back under the id of another, whatever key it has")
    func foreignID() async throws {
        try await withProcesses { cluster in
            let stranger = try KeyPair.generate()
            let list = cluster.data("master") + "/frameworks.allow"
            try TextFile.write(
                "\(cluster.frameworkKeys.publicKey)\n\(stranger.publicKey)\n", to: list)
            let master = try await cluster.startMaster()
            let owner = try cluster.probe()
            let id = try await owner.subscribed()
            let thief = try cluster.probe(FrameworkInfo(name: "probe", id: id), keys: stranger)
            let reason = try await eventually("the end of the thief") { thief.history.ended }
            #expect(reason.contains("'\(id)'") && reason.contains("another key"))
            #expect(thief.history.subscriptions.isEmpty)
            #expect(
                try await get("\(cluster.master.http)/metrics").body
                    .contains("proffer_identities_refused_total 1"))
            // The owner goes on, and the registry remembers whose the id is.
            try await owner.settled()
            await owner.stop()
            try await master.crash()
            _ = try await cluster.startMaster()
            let again = try cluster.probe(FrameworkInfo(name: "probe", id: id), keys: stranger)
            _ = try await eventually("the end of the thief") { again.history.ended }
            let back = try cluster.probe(FrameworkInfo(name: "probe", id: id))
            #expect(try await back.subscribed() == id)
            await back.stop(teardown: true)
        }
    }

    @Test("garbage on the sockets leaves the master serving")
    func garbage() async throws {
        try await withProcesses { cluster in
            let master = try await cluster.startMaster()
            let endpoints = try cluster.master
            let address = try #require(endpoints.frameworks)
            let port = try #require(address.split(separator: ":").last.flatMap { UInt16($0) })
            var random = SystemRandomNumberGenerator()
            let noise = (0..<10_000).map { _ in UInt8.random(in: .min ... .max, using: &random) }
            let greeting: [UInt8] = [0xFF] + [UInt8](repeating: 0, count: 8) + [0x7F, 3, 1]
            let huge: [UInt8] = [0x06] + [UInt8](repeating: 0x7F, count: 8)
            for bytes in [noise, [0], greeting + noise, greeting + huge, Array("GET / \r\n".utf8)] {
                try RawConnection.send(bytes, port: port)
            }
            // A peer with a good key that speaks another language, and one that says too much.
            let context = try Context()
            for size in [0, 1, 5000, 40 << 20] {
                let socket = try Socket(.dealer, in: context)
                try socket.apply(SocketLimits(), isRouter: false)
                try socket.actAsClient(
                    cluster.frameworkKeys, server: try #require(endpoints.publicKey))
                try socket.connect(address)
                try await eventually("the socket to take a message") {
                    do {
                        try socket.send([UInt8](repeating: 0xAA, count: size))
                        return true
                    } catch { return false }
                }
            }
            _ = try await cluster.startAgent()
            let probe = try cluster.probe()
            try await probe.run("t", "sleep 600")
            #expect(master.isRunning)
            #expect(try await get("\(endpoints.http)/health").body == "ok\n")
            await probe.stop(teardown: true)
        }
    }
}

/// A TCP connection that speaks no protocol.
enum RawConnection {
    static func send(_ bytes: [UInt8], port: UInt16) throws {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let result = withUnsafePointer(to: address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else { throw NeverHappened(description: "no connection: \(errno)") }
        _ = Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    }
}
