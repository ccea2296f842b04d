import CoreMetrics
import Foundation
import HTTPTypes
import Metrics
import ProfferAPI
import Synchronization
import Testing

@testable import ProfferHTTP

@Suite("HTTP server of an agent")
struct AgentServerTests {
    private func withServer(
        audit: (@Sendable (SandboxAccess) -> Void)? = nil,
        _ body: (@Sendable (String) async throws -> Reply) async throws -> Void
    ) async throws {
        let root = NSTemporaryDirectory() + "proffer-" + UUID().uuidString
        try FileManager.default.createDirectory(
            atPath: root + "/f/t/dir", withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: root) }
        try "0123456789".write(toFile: root + "/f/t/stdout", atomically: false, encoding: .utf8)
        try "deep".write(toFile: root + "/f/t/dir/file", atomically: false, encoding: .utf8)
        let registry = PrometheusRegistry()
        Counter(label: "c", dimensions: [], factory: registry).increment()
        let server = AgentServer(
            sandboxes: Sandboxes(root: root) { framework, task in
                framework == "f" && task == "t" ? "f/t" : nil
            }, metrics: registry, audit: audit)
        try await body { uri in try await send(to: server.router(), .get, uri) }
    }

    @Test("health and metrics are plain text")
    func basics() async throws {
        try await withServer { get in
            let health = try await get("/health")
            #expect(health.body == "ok\n")
            let metrics = try await get("/metrics")
            #expect(metrics.body == "# TYPE c counter\nc 1\n")
        }
    }

    @Test("a sandbox without a path is the list of its files")
    func list() async throws {
        try await withServer { get in
            let reply = try await get("/v1/sandboxes/f/t")
            #expect(reply.headers[.contentType] == "application/json")
            #expect(try reply.items("kind") == ["file", "file", "file"])
            #expect(try reply.items("name") == ["dir", "dir/file", "stdout"])
            #expect(try reply.items("state") == ["directory", "file", "file"])
        }
    }

    @Test(
        "a file is sent in bytes, with its size and where they begin",
        arguments: [
            ("stdout", "0123456789", "10", "0"), ("stdout?offset=3&length=4", "3456", "10", "3"),
            ("stdout?offset=-2", "89", "10", "8"), ("stdout?offset=99", "", "10", "10"),
            ("dir/file", "deep", "4", "0"),
        ])
    func file(path: String, text: String, size: String, start: String) async throws {
        try await withServer { get in
            let reply = try await get("/v1/sandboxes/f/t/" + path)
            #expect(reply.status == 200)
            #expect(reply.body == text)
            #expect(reply.headers[.contentType] == "application/octet-stream")
            #expect(reply.headers[.xContentTypeOptions] == "nosniff")
            let sizeName = try #require(HTTPField.Name("X-File-Size"))
            let offsetName = try #require(HTTPField.Name("X-File-Offset"))
            #expect(reply.headers[sizeName] == size)
            #expect(reply.headers[offsetName] == start)
        }
    }

    @Test(
        "what cannot be sent is a problem",
        arguments: [
            ("/v1/sandboxes/f/other", 404), ("/v1/sandboxes/f/t/missing", 404),
            ("/v1/sandboxes/f/t/../../secret", 403), ("/v1/sandboxes/f/t/dir", 400),
            ("/v1/sandboxes/f/t/stdout?offset=x", 400),
            ("/v1/sandboxes/f/t/stdout?length=99999999999999999999", 400), ("/v1/nothing", 404),
            ("/v1/sandboxes", 404),
        ])
    func problems(uri: String, status: Int) async throws {
        try await withServer { get in
            let reply = try await get(uri)
            #expect(reply.status == status)
            _ = try reply.problem()
        }
    }

    @Test("a download is the whole file, as an attachment")
    func download() async throws {
        try await withServer { get in
            let reply = try await get("/v1/sandboxes/f/t/stdout?download=true")
            #expect(reply.status == 200)
            #expect(reply.body == "0123456789")
            #expect(
                reply.headers[.contentDisposition] == "attachment; filename*=UTF-8''stdout")
            #expect(reply.headers[.contentType] == "application/octet-stream")
            #expect(try await get("/v1/sandboxes/f/t/dir?download=true").status == 400)
        }
    }

    @Test("each access is told, one that is repeated once in a while")
    func audit() async throws {
        let told = Mutex<[SandboxAccess]>([])
        let audit: @Sendable (SandboxAccess) -> Void = { access in
            told.withLock { $0.append(access) }
        }
        try await withServer(audit: audit) { get in
            for _ in 0..<3 { _ = try await get("/v1/sandboxes/f/t/stdout") }
            _ = try await get("/v1/sandboxes/f/t?path=dir")
            _ = try await get("/v1/sandboxes/f/t/dir/file?download=true")
            _ = try await get("/v1/sandboxes/f/t/%1b%5b2J%0a")
        }
        let accesses = told.withLock { $0 }
        #expect(accesses.map(\.action) == ["read", "list", "download", "read"])
        #expect(accesses.map(\.task) == ["t", "t", "t", "t"])
        #expect(accesses.map(\.path).prefix(3) == ["stdout", "dir", "dir/file"])
        #expect(accesses.allSatisfy { $0.path.utf8.allSatisfy { (0x20..<0x7F).contains($0) } })
    }
}
