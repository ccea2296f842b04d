import ArgumentParser
import Foundation
import Glibc
import ProfferIsolation
import Testing

@testable import ProfferCommands

@Suite("Looking at a node")
struct DoctorTests {
    private static let findings = [
        NodeFinding("disk", .works, "10 MiB free"),
        NodeFinding("key files", .fails, "/k has mode 644", mend: "chmod 0600 /k"),
        NodeFinding("clock", .lacks, "not synchronised"),
    ]

    @Test("people read what fails and what mends it; programs read the same")
    func report() throws {
        let report = DoctorReport(Self.findings, .cgroup)
        #expect(
            report.text == """
                works  disk       10 MiB free
                fails  key files  /k has mode 644
                       mend: chmod 0600 /k
                lacks  clock      not synchronised
                not fit for --isolation cgroup: 1 of 3 fail
                """)
        #expect(!report.fit)
        let rest = DoctorReport([Self.findings[0], Self.findings[2]], .cgroup)
        #expect(rest.fit)
        #expect(rest.text.hasSuffix("fit for --isolation cgroup"))
    }

    @Test("a key that others can read is found on a real node, and ends the command with 1")
    func openKey() async throws {
        try await withTemporaryDirectory { directory in
            let key = directory + "/agent.key"
            #expect(FileManager.default.createFile(atPath: key, contents: Data("x".utf8)))
            chmod(key, 0o644)
            let arguments = ["--data-dir", directory, "--json"]
            let found = try DoctorCommand.parse(arguments).examine().findings
            let open = try #require(found.first { $0.subject == "key files" })
            #expect(open.verdict == "fails")
            #expect(open.mend == "chmod 0600 \(key)")
            #expect(found.first { $0.subject == "messaging" }?.verdict == "works")
            let error = #expect(throws: ExitCode.self) {
                try DoctorCommand.parse(arguments).run()
            }
            #expect(error == ExitCode(1))
            chmod(key, 0o600)
            let mended = try DoctorCommand.parse(arguments).examine().findings
            #expect(mended.first { $0.subject == "key files" }?.verdict == "works")
            #expect(throws: (any Error).self) {
                try DoctorCommand.parse(arguments + ["--ports", "99999"]).run()
            }
        }
    }

    @Test("a port that somebody listens on is told, and matters when it was named")
    func port() async throws {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                #expect(bind(descriptor, address, size) == 0)
                #expect(listen(descriptor, 1) == 0)
                #expect(getsockname(descriptor, address, &size) == 0)
            }
        }
        let number = UInt16(bigEndian: address.sin_port)
        let found = try DoctorCommand.parse(["--ports", "\(number)"]).examine().findings
        let taken = try #require(found.first { $0.subject == "ports" })
        #expect(taken.verdict == "fails")
        #expect(taken.detail.hasPrefix("\(number): "))
    }
}
