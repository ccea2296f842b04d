import ClusterProbe
import Foundation
import Logging
import ProfferZeroMQ
import Testing

@testable import ProfferRuntime

@Suite("Data directory")
struct DirectoryTests {
    private let scratch: TemporaryDirectory

    init() throws { scratch = try TemporaryDirectory("directory") }

    private func mode(_ path: String) throws -> Int {
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        return try #require((attributes[.posixPermissions] as? NSNumber)?.intValue)
    }

    @Test("a directory that is missing is made for its owner alone")
    func made() throws {
        let directory = try DataDirectory(scratch.file("a/b"))
        #expect(try mode(directory.path) == 0o700)
        #expect(directory.file("x") == scratch.file("a/b/x"))
    }

    @Test("a file in its place is refused with its path")
    func notADirectory() throws {
        try TextFile.write("", to: scratch.file("file"))
        let problem = #expect(throws: DaemonProblem.self) {
            try DataDirectory(scratch.file("file"))
        }
        #expect(problem?.code == .dataDirectory)
        #expect(problem?.what.contains(scratch.file("file")) == true)
        #expect(problem?.advice.contains("--data-dir") == true)
    }

    @Test(
        "a directory that others can use is refused with its mode and what to do",
        arguments: [0o755, 0o770, 0o701])
    func openDirectory(mode: Int) throws {
        let path = scratch.file("open")
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: false, attributes: nil)
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
        let problem = #expect(throws: DaemonProblem.self) { try DataDirectory(path) }
        #expect(problem?.code == .dataDirectory)
        #expect(problem?.because.contains("0" + String(mode, radix: 8)) == true)
        #expect(problem?.advice.contains("chmod 700") == true)
        try FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: path)
        _ = try DataDirectory(path)
    }

    @Test(
        "a directory of another user is refused with both users",
        .enabled(if: geteuid() == 0, "only root can give a directory away"))
    func strangersDirectory() throws {
        let path = scratch.file("theirs")
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: false,
            attributes: [.posixPermissions: 0o700])
        try FileManager.default.setAttributes([.ownerAccountID: 12345], ofItemAtPath: path)
        let problem = #expect(throws: DaemonProblem.self) { try DataDirectory(path) }
        #expect(problem?.because == "it belongs to user 12345, not to user 0")
    }

    @Test("a directory behind a symbolic link is judged by what the link leads to")
    func linkedDirectory() throws {
        let directory = try DataDirectory(scratch.file("real"))
        let link = scratch.file("link")
        try FileManager.default.createSymbolicLink(
            atPath: link, withDestinationPath: directory.path)
        #expect(try DataDirectory(link).path == link)
    }

    @Test("a secret or a key that others can read is refused, and stays as it is")
    func openSecret() throws {
        let directory = try DataDirectory(scratch.path)
        let secret = try directory.secret("s.token")
        _ = try directory.keyPair("k.key")
        for name in ["s.token", "k.key"] {
            try FileManager.default.setAttributes(
                [.posixPermissions: 0o640], ofItemAtPath: directory.file(name))
        }
        let problem = #expect(throws: DaemonProblem.self) { try directory.secret("s.token") }
        #expect(problem?.code == .key)
        #expect(problem?.because.contains("0640") == true)
        #expect(TextFile.read(directory.file("s.token")) == secret + "\n")
        #expect(
            #expect(throws: DaemonProblem.self) { try directory.keyPair("k.key") }?.code == .key)
    }

    @Test("a directory has one owner at a time, and the second is told who the first is")
    func lock() throws {
        let directory = try DataDirectory(scratch.path)
        var first: DirectoryLock? = try DirectoryLock(directory)
        let problem = #expect(throws: DaemonProblem.self) { try DirectoryLock(directory) }
        #expect(problem?.code == .dataDirectory)
        #expect(problem?.because == "process \(getpid()) has it")
        withExtendedLifetime(first) {}
        first = nil
        _ = try DirectoryLock(directory)
    }

    @Test("keys and secrets are made once, for their owner alone")
    func keys() throws {
        let directory = try DataDirectory(scratch.path)
        let pair = try directory.keyPair("k.key")
        #expect(try directory.keyPair("k.key") == pair)
        #expect(try mode(directory.file("k.key")) == 0o600)
        let secret = try directory.secret("s.token")
        #expect(secret.utf8.count == 64)
        #expect(try directory.secret("s.token") == secret)
        #expect(try mode(directory.file("s.token")) == 0o600)
    }

    @Test("a key that others can read is refused")
    func openKey() throws {
        let directory = try DataDirectory(scratch.path)
        _ = try directory.keyPair("k.key")
        chmod(directory.file("k.key"), 0o644)
        let problem = #expect(throws: DaemonProblem.self) { try directory.keyPair("k.key") }
        #expect(problem?.code == .key)
        #expect(problem?.description.contains("0600") == true)
    }

    @Test("endpoints are written whole, for their owner alone, and withdrawn")
    func endpoints() throws {
        let directory = try DataDirectory(scratch.path)
        let endpoints = Endpoints(http: "http://127.0.0.1:1", agents: "tcp://127.0.0.1:2")
        try directory.publish(endpoints)
        let path = directory.file("endpoints.json")
        #expect(try mode(path) == 0o600)
        let data = try Data(contentsOf: URL(fileURLWithPath: path))
        #expect(try JSONDecoder().decode(Endpoints.self, from: data) == endpoints)
        #expect(endpoints.pid == getpid())
        #expect(TextFile.read(path)?.contains("http://127.0.0.1:1") == true)
        directory.withdrawEndpoints()
        #expect(!FileManager.default.fileExists(atPath: path))
        #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.path).isEmpty)
    }

    @Test("a socket lies in the data directory, unless its path is too long for the kernel")
    func socketPath() throws {
        let near = try DataDirectory(scratch.path)
        #expect(try SocketPath.address(in: near) == "ipc://" + near.file("agent.sock"))
        let name = String(repeating: "long-", count: 25)
        let far = try DataDirectory(scratch.file(name))
        let address = try SocketPath.address(in: far)
        #expect(address.utf8.count <= 107 + 6)
        #expect(!address.contains("long-"))
        #expect(try SocketPath.address(in: far) == address)
        let other = try DataDirectory(scratch.file(name + "2"))
        #expect(try SocketPath.address(in: other) != address)
        let parent = (address.dropFirst(6) as Substring).split(separator: "/").dropLast()
        #expect(try mode("/" + parent.joined(separator: "/")) == 0o700)
        for directory in [far, other] { SocketPath.remove(in: directory) }
        #expect(!FileManager.default.fileExists(atPath: "/" + parent.joined(separator: "/")))
    }
}

@Suite("Allow-list")
struct AllowListTests {
    private let scratch: TemporaryDirectory
    private var path: String { scratch.file("x.allow") }

    init() throws { scratch = try TemporaryDirectory("allow") }

    @Test("a line is a key and a comment; what is no key is named by its line")
    func lines() throws {
        let keys = try (0..<3).map { _ in try KeyPair.generate().publicKey }
        try TextFile.write(
            "# people\n\(keys[0]) the first\n\n   \(keys[1])\t# the second\r\nnonsense\n"
                + "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7 printed in manuals\n\(keys[2])",
            to: path)
        let contents = AllowListFile(path: path, domain: "d").read()
        #expect(contents.keys == keys)
        #expect(contents.wrong == [5, 6])
    }

    @Test("a file that is missing lets nobody in")
    func missing() {
        let file = AllowListFile(path: path, domain: "d")
        #expect(file.read().keys.isEmpty)
        #expect(file.stamp() == nil)
    }

    @Test("a file that changes is read again")
    func reload() async throws {
        let key = try KeyPair.generate().publicKey
        let list = AllowList()
        let service = AllowListService(
            files: [AllowListFile(path: path, domain: "d")], allowList: list,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        #expect(!list.allows(key, domain: "d"))
        let running = Task { try await service.run() }
        try TextFile.write(key + "\n", to: path)
        try await eventually("the key to be let in") { list.allows(key, domain: "d") }
        try FileManager.default.removeItem(atPath: path)
        try await eventually("the key to be turned away") { !list.allows(key, domain: "d") }
        running.cancel()
        _ = await running.result
    }
}
