import ClusterProbe
import Foundation
import ProfferElection
import ProfferKernel
import Testing

@testable import ProfferRegistry

@Suite(
    "An etcd that asks who one is", .serialized,
    .enabled(if: EtcdCluster.program != nil, "etcd is not installed: apt install etcd-server"))
struct EtcdSecurityTests {
    @Test("with user and password a master is let in, and again when its token has ended")
    func password() async throws {
        let options = EtcdCluster.Options(arguments: ["--auth-token-ttl", "2"])
        let etcd = try await EtcdCluster(options: options)
        for words in [
            ["user", "add", "root:secret"], ["user", "grant-role", "root", "root"],
            ["user", "add", "proffer:word"], ["role", "add", "masters"],
            ["role", "grant-permission", "masters", "--prefix=true", "readwrite", "/proffer/"],
            ["user", "grant-role", "proffer", "masters"], ["auth", "enable"],
        ] {
            _ = try? await etcd.control(words)
        }
        var address = try EtcdAddress(etcd.registry)
        let stranger = try EtcdRegistry(address)
        await #expect(throws: StoreProblem.self) { try await stranger.head() }
        await stranger.close()
        address.user = "proffer"
        address.password = "wrong"
        let liar = try EtcdRegistry(address)
        await #expect { try await liar.head() } throws: { error in
            (error as? StoreProblem)?.kind == .denied
        }
        await liar.close()
        address.password = "word"
        let registry = try EtcdRegistry(address)
        guard
            case .success(.lease(let lease, _)) = await registry.carryOut(
                .grantLease(.seconds(60)), within: .seconds(5))
        else {
            Issue.record("no lease")
            return
        }
        #expect(
            await registry.carryOut(.keepAlive(lease), within: .seconds(5))
                == .success(.alive(.seconds(60))))
        _ = try await registry.head()
        // A token that etcd does not know, as after the death of the member that gave it.
        registry.client.forgeToken("nonsense.1")
        _ = try await registry.head()
        await registry.close()
    }

    @Test("over TLS both sides prove who they are; without a certificate nobody is let in")
    func certificates() async throws {
        let directory = try TemporaryDirectory("certificates")
        let authority = try Authority(directory)
        try authority.issue("server")
        try authority.issue("client")
        let options = EtcdCluster.Options(
            arguments: [
                "--cert-file", directory.file("server.pem"), "--key-file",
                directory.file("server.key"), "--client-cert-auth", "--trusted-ca-file",
                directory.file("ca.pem"),
            ], isTLS: true)
        let etcd = try await EtcdCluster(options: options)
        var address = try EtcdAddress("etcds://" + etcd.addresses[0])
        try address.add(
            .init(
                authorityFile: directory.file("ca.pem"),
                certificateFile: directory.file("client.pem"),
                keyFile: directory.file("client.key")))
        let registry = try EtcdRegistry(address)
        let stage = try EtcdStage(registry)
        let first = try await stage.lead("one")
        #expect(
            await stage.term(first.leadership, first.loaded).submit([fact("a", [1])]) == nil)
        await registry.close()
        var bare = try EtcdAddress("etcds://" + etcd.addresses[0])
        try bare.add(.init(authorityFile: directory.file("ca.pem")))
        let unknown = try EtcdRegistry(bare)
        await #expect(throws: StoreProblem.self) { try await unknown.head() }
        await unknown.close()
        // Without the authority the server is not believed.
        let trusting = try EtcdRegistry(try EtcdAddress("etcds://" + etcd.addresses[0]))
        await #expect(throws: StoreProblem.self) { try await trusting.head() }
        await trusting.close()
    }

    @Test("an address that makes no sense is refused, and says why")
    func addresses() throws {
        let address = try EtcdAddress("etcd://a:1,b,c:3/some/where")
        #expect(address.members == ["a:1", "b:2379", "c:3"])
        #expect(address.prefix == "/some/where/")
        #expect("\(address)" == "etcd://a:1,b:2379,c:3/some/where")
        #expect(try EtcdAddress("etcds://a:1").isTLS)
        for text in [
            "", "etcd", "http://a:1", "etcd://", "etcd://a:0", "etcd://a:x", "etcd://u:p@a:1",
            "etcd://a:1/p?q=1",
        ] {
            #expect(throws: StoreProblem.self) { try EtcdAddress(text) }
        }
        var plain = try EtcdAddress("etcd://a:1")
        #expect(throws: StoreProblem.self) { try plain.add(.init(authorityFile: "/ca.pem")) }
        #expect(throws: StoreProblem.self) { try plain.add(.init(user: "me")) }
    }
}

/// An authority of a test's own, made with openssl.
private struct Authority {
    let directory: TemporaryDirectory

    init(_ directory: TemporaryDirectory) throws {
        self.directory = directory
        try run([
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-keyout", directory.file("ca.key"), "-out", directory.file("ca.pem"), "-days", "2",
            "-subj", "/CN=test authority",
        ])
    }

    func issue(_ name: String) throws {
        let extensions = directory.file("\(name).ext")
        try TextFile.write(
            "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n",
            to: extensions)
        try run([
            "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-keyout", directory.file("\(name).key"), "-out", directory.file("\(name).csr"),
            "-subj", "/CN=\(name)",
        ])
        try run([
            "x509", "-req", "-in", directory.file("\(name).csr"), "-CA", directory.file("ca.pem"),
            "-CAkey", directory.file("ca.key"), "-CAcreateserial", "-days", "2", "-extfile",
            extensions, "-out", directory.file("\(name).pem"),
        ])
    }

    private func run(_ arguments: [String]) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
        process.arguments = arguments
        process.standardError = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw NeverHappened(description: "openssl \(arguments) failed")
        }
    }
}
