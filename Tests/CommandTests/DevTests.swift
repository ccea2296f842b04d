import Foundation
import Glibc
import ProfferZeroMQ
import Testing

@testable import ProfferCommands

@Suite("Machine share")
struct MachineShareTests {
    @Test("shares are equal and do not exceed the machine")
    func even() {
        let shares = MachineShare.split(
            cores: 2, memory: 8192, disk: 20_480, ports: 31_000...31_999, into: 3)
        #expect(shares.map(\.milliCPUs) == [666, 666, 666])
        #expect(shares.map(\.memory) == [2389, 2389, 2389])
        #expect(shares.map(\.disk) == [5120, 5120, 5120])
    }

    @Test("the ports of two shares do not overlap", arguments: [1, 2, 3, 7, 32])
    func ports(count: Int) {
        let shares = MachineShare.split(
            cores: 2, memory: 8192, disk: 20_480, ports: 31_000...31_999, into: count)
        let all = shares.flatMap { Array($0.ports) }
        #expect(Set(all).count == all.count)
        #expect(all.allSatisfy { (31_000...31_999).contains($0) })
        #expect(shares.allSatisfy { !$0.ports.isEmpty })
    }

    @Test("a small machine keeps half of its memory and disk for itself")
    func small() {
        let shares = MachineShare.split(
            cores: 1, memory: 2000, disk: 4000, ports: 31_000...31_999, into: 1)
        #expect(shares.map(\.memory) == [1000])
        #expect(shares.map(\.disk) == [2000])
    }

    @Test(
        "cores are exact decimal text",
        arguments: [
            (666, "0.666"), (1000, "1"), (2000, "2"), (1500, "1.5"), (62, "0.062"), (10, "0.01"),
        ])
    func decimals(milli: Int, text: String) {
        let share = MachineShare(milliCPUs: milli, memory: 1, disk: 1, ports: 1...2)
        #expect(share.cpus == text)
    }

    @Test("the agent gets them as one flag")
    func flag() {
        let share = MachineShare(milliCPUs: 500, memory: 64, disk: 32, ports: 31_000...31_099)
        #expect(share.flag == "cpus:0.5;mem:64;disk:32;ports:[31000-31099]")
    }
}

@Suite("Local ports")
struct LocalPortsTests {
    /// A listening socket on a port that the system chose.
    private func listener() throws -> (descriptor: Int32, port: UInt16) {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(descriptor, address, size) + listen(descriptor, 1)
                    + getsockname(descriptor, address, &size)
            }
        }
        try #require(result == 0)
        return (descriptor, UInt16(bigEndian: address.sin_port))
    }

    @Test("a port that is taken is left to be chosen by the program")
    func taken() throws {
        let (descriptor, port) = try listener()
        defer { close(descriptor) }
        #expect(!LocalPorts.isFree(port))
        #expect(LocalPorts.choose(port) == 0)
    }

    @Test("the same port of another loopback address is free")
    func otherAddress() throws {
        let (descriptor, port) = try listener()
        defer { close(descriptor) }
        #expect(LocalPorts.choose(port, host: "127.0.0.2") == port)
    }

    @Test("an address of no machine has no free port")
    func noAddress() {
        #expect(!LocalPorts.isFree(0, host: "no address"))
    }
}

@Suite("Dev directory")
struct DevDirectoryTests {
    @Test("keys are made once, readable by their owner only")
    func keys() async throws {
        try await withTemporaryDirectory { parent in
            let directory = try DevDirectory(parent + "/dev", .run)
            let made = try directory.keys("client.key")
            #expect(try directory.keys("client.key") == made)
            #expect(try KeyPair.load(directory.path + "/client.key") == made)
            #expect(try mode(of: directory.path + "/client.key") == 0o600)
            #expect(try mode(of: directory.path) == 0o700)
            #expect(try directory.keys("other.key") != made)
            directory.release()
        }
    }

    @Test("an allow-list has a key and a name on each line, readable by its owner only")
    func allowList() async throws {
        try await withTemporaryDirectory { parent in
            let directory = try DevDirectory(parent + "/dev", .run)
            let keys = try directory.keys("a.key")
            try directory.allow([(keys, "agent-1")], in: "agents.allow")
            let path = directory.path + "/agents.allow"
            let text = try String(contentsOfFile: path, encoding: .utf8)
            #expect(text == "\(keys.publicKey) agent-1\n")
            #expect(try mode(of: path) == 0o600)
            directory.release()
        }
    }

    @Test("two clusters cannot have the same directory at once")
    func exclusive() async throws {
        try await withTemporaryDirectory { parent in
            let first = try DevDirectory(parent + "/dev", .run)
            let problem = #expect(throws: CommandProblem.self) {
                try DevDirectory(parent + "/dev", .run)
            }
            #expect(problem?.code == .conflict)
            first.release()
            try DevDirectory(parent + "/dev", .run).release()
        }
    }

    @Test("a directory with files of somebody else is refused and stays as it is")
    func foreign() async throws {
        try await withTemporaryDirectory { parent in
            let file = parent + "/letter"
            try Data("dear".utf8).write(to: URL(fileURLWithPath: file))
            let problem = #expect(throws: CommandProblem.self) { try DevDirectory(parent, .run) }
            #expect(problem?.code == .refused)
            #expect(try FileManager.default.contentsOfDirectory(atPath: parent) == ["letter"])
        }
    }

    @Test("a directory that was made goes, one that was there stays, empty")
    func removal() async throws {
        try await withTemporaryDirectory { parent in
            let made = try DevDirectory(parent + "/dev", .run)
            _ = try made.member("master")
            made.release()
            #expect(!FileManager.default.fileExists(atPath: parent + "/dev"))
            let given = try DevDirectory(parent, .run)
            _ = try given.keys("client.key")
            given.release()
            #expect(try FileManager.default.contentsOfDirectory(atPath: parent).isEmpty)
        }
    }

    @Test("what is to be continued is there the next time, whatever is asked for then")
    func continued() async throws {
        try await withTemporaryDirectory { parent in
            let first = try DevDirectory(parent + "/dev", .continued)
            let keys = try first.keys("client.key")
            first.release()
            let second = try DevDirectory(parent + "/dev", .run)
            #expect(try second.keys("client.key") == keys)
            second.release()
            let third = try DevDirectory(parent + "/dev", .continued)
            #expect(try third.keys("client.key") == keys)
            third.release()
        }
    }

    @Test("what a demo left is there to be looked at until the next start")
    func left() async throws {
        try await withTemporaryDirectory { parent in
            let first = try DevDirectory(parent + "/dev", .left)
            let keys = try first.keys("client.key")
            first.release()
            #expect(FileManager.default.fileExists(atPath: parent + "/dev/client.key"))
            let second = try DevDirectory(parent + "/dev", .left)
            #expect(try second.keys("client.key") != keys)
            second.release()
        }
    }

    @Test("a temporary directory is new each time and goes")
    func temporary() throws {
        let first = try DevDirectory(nil, .run)
        let second = try DevDirectory(nil, .run)
        #expect(first.path != second.path)
        first.release()
        second.release()
        #expect(!FileManager.default.fileExists(atPath: first.path))
        #expect(!FileManager.default.fileExists(atPath: second.path))
    }

    @Test("the end of a log is quoted")
    func lastLines() async throws {
        try await withTemporaryDirectory { parent in
            let directory = try DevDirectory(parent + "/dev", .run)
            try Data("one\ntwo\nthree\n".utf8).write(
                to: URL(fileURLWithPath: directory.log(of: "master")))
            #expect(directory.lastLines(of: "master", count: 2) == "    | two\n    | three")
            #expect(directory.lastLines(of: "absent") == "")
            directory.release()
        }
    }
}
