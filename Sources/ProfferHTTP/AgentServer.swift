internal import Foundation
internal import HTTPTypes
public import Hummingbird
public import Logging
internal import ProfferAPI

/// The agent's HTTP server: health, metrics and the sandboxes of its tasks.
///
/// Sandboxes are under `/v1/sandboxes/<framework>/<task>`: without a further path the list of
/// files, with one the bytes of that file (`offset`, `length`; a negative offset counts from the
/// end). Nothing outside a sandbox is ever opened, see ``Sandboxes``.
public struct AgentServer: Sendable {
    private let sandboxes: Sandboxes
    private let metrics: PrometheusRegistry

    /// Makes a server over the sandboxes below a directory.
    public init(sandboxes: Sandboxes, metrics: PrometheusRegistry) {
        self.sandboxes = sandboxes
        self.metrics = metrics
    }

    /// The routes, for an application or a test client.
    public func router() -> Router<BasicRequestContext> {
        let router = Router(options: .autoGenerateHeadEndpoints)
        router.add(middleware: SecurityHeaders())
        router.get("/health") { _, _ in plain("ok\n") }
        router.get("/metrics") { _, _ in
            plain(metrics.render(), type: "text/plain; version=0.0.4; charset=utf-8")
        }
        router.get("/v1/sandboxes/:framework/:task") { _, context in
            let files = try await sandboxes.list(
                framework: context.parameters.require("framework"),
                task: context.parameters.require("task"))
            return try json(ObjectList(files))
        }
        router.get("/v1/sandboxes/:framework/:task/**") { request, context in
            let query = request.uri.queryParameters
            let chunk = try await sandboxes.read(
                framework: context.parameters.require("framework"),
                task: context.parameters.require("task"),
                path: context.parameters.getCatchAll().joined(separator: "/"),
                offset: number(query["offset"].map(String.init)) ?? 0,
                length: number(query["length"].map(String.init)) ?? Int64(Sandboxes.chunkLimit))
            var headers: HTTPFields = [.contentType: "application/octet-stream"]
            if let size = HTTPField.Name("X-File-Size") { headers[size] = String(chunk.fileSize) }
            if let start = HTTPField.Name("X-File-Offset") {
                headers[start] = String(chunk.offset)
            }
            return Response(
                status: .ok, headers: headers,
                body: .init(byteBuffer: ByteBuffer(bytes: chunk.bytes)))
        }
        refuseOtherMethods(router)
        return router
    }

    /// The application, which listens on `address` once it runs; it closes connections that keep it
    /// waiting for a request for longer than `patience`.
    public func application(
        address: BindAddress, logger: Logger, patience: Duration = httpPatience,
        onStart: @escaping @Sendable (Int) async -> Void
    ) -> some ApplicationProtocol {
        Application(
            router: router(), server: .http1(configuration: .patient(patience)),
            configuration: .init(address: address, serverName: "proffer"),
            onServerRunning: { channel in
                await onStart(channel.localAddress?.port ?? 0)
            },
            logger: logger)
    }

    private func number(_ text: String?) throws -> Int64? {
        guard let text else { return nil }
        guard let value = Int64(text) else {
            throw ProblemObject(
                status: 400, title: "bad number", detail: "'\(text)' is not a whole number")
        }
        return value
    }
}
