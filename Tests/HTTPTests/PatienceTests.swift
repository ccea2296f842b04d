import Glibc
import Hummingbird
import Logging
import ProfferKernel
import Testing

@testable import ProfferHTTP

@Suite("Patience of the HTTP servers", .timeLimit(.minutes(5)))
struct PatienceTests {
    /// What is read after `text` was sent, until the server closes; `nil` when it does not.
    private static func conversation(port: Int, _ text: String) -> String? {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var limit = timeval(tv_sec: 60, tv_usec: 0)
        setsockopt(
            descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let code = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, size) }
        }
        guard code == 0 else { return nil }
        let bytes = Array(text.utf8)
        guard send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count
        else { return nil }
        var answer: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            if count == 0 { return String(decoding: answer, as: UTF8.self) }
            guard count > 0 else { return nil }
            answer += buffer.prefix(count)
        }
    }

    private func conversation(_ text: String) async throws -> String? {
        let (ports, continuation) = AsyncStream.makeStream(of: Int.self)
        let server = MasterServer(
            view: FakeView(), metrics: PrometheusRegistry(), token: "secret")
        let application = server.application(
            address: .hostname("127.0.0.1", port: 0), logger: Logger(label: "test"),
            patience: .milliseconds(200)
        ) { continuation.yield($0) }
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await application.runService(gracefulShutdownSignals: []) }
            var iterator = ports.makeAsyncIterator()
            let port = try #require(await iterator.next())
            let answer = await withCheckedContinuation { continuation in
                // A thread of its own, because it waits.
                let thread = Task.detached { Self.conversation(port: port, text) }
                Task { continuation.resume(returning: await thread.value) }
            }
            group.cancelAll()
            return answer
        }
    }

    @Test("a connection that says nothing is closed")
    func silent() async throws {
        #expect(try await conversation("") == "")
    }

    @Test("a connection whose header does not come to its end is closed")
    func slowHeader() async throws {
        #expect(try await conversation("GET /health HTTP/1.1\r\nHost: a\r\n") == "")
    }

    @Test("a connection that is kept without a further request is closed")
    func kept() async throws {
        let answer = try await conversation("GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(answer?.hasSuffix("ok\n") == true)
    }

    @Test("a connection whose body does not come to its end is closed")
    func slowBody() async throws {
        let answer = try await conversation(
            "PUT /v1/roles/r/weight HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer secret\r\n"
                + "Content-Length: 100\r\n\r\n1")
        #expect(answer?.contains("202") == false)
    }
}
