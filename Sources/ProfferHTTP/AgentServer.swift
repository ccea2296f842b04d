internal import Foundation
internal import HTTPTypes
public import Hummingbird
public import Logging
public import NIOCore
internal import ProfferAPI

/// The agent's HTTP server: health, metrics and the sandboxes of its tasks.
///
/// Sandboxes are under `/v1/sandboxes/<framework>/<task>`: without a further path the list of
/// files (of the directory `path`, `depth` levels deep; the answer says by `X-Truncated: 1`
/// that there are more than it has), with one the bytes of that file (`offset`, `length`; a
/// negative offset counts from the end), or all of it as an attachment (`download=true`). Nothing
/// outside a sandbox is ever opened, see ``Sandboxes``.
public struct AgentServer: Sendable {
    private let sandboxes: Sandboxes
    private let metrics: PrometheusRegistry
    private let accesses: AccessLog
    private let sessions: TaskSessions?
    private let usage: (@Sendable () async -> String)?

    /// Makes a server over the sandboxes below a directory.
    ///
    /// - Parameters:
    ///   - sandboxes: Whom it serves.
    ///   - metrics: What it tells of the agent.
    ///   - sessions: Programs in tasks; without it nobody may run any.
    ///   - usage: What the node and its tasks use, as text behind the metrics.
    ///   - audit: Told of every access to a sandbox; `nil` for nobody.
    public init(
        sandboxes: Sandboxes, metrics: PrometheusRegistry, sessions: TaskSessions? = nil,
        usage: (@Sendable () async -> String)? = nil,
        audit: (@Sendable (SandboxAccess) -> Void)? = nil
    ) {
        self.sandboxes = sandboxes
        self.metrics = metrics
        self.sessions = sessions
        self.usage = usage
        accesses = AccessLog(audit)
    }

    /// The routes, for an application or a test client.
    public func router() -> Router<AgentRequestContext> {
        let router = Router(context: AgentRequestContext.self, options: .autoGenerateHeadEndpoints)
        router.add(middleware: SecurityHeaders())
        router.get("/health") { _, _ in plain("ok\n") }
        router.get("/metrics") { _, _ in
            let more = await usage?() ?? ""
            return plain(
                metrics.render() + more, type: "text/plain; version=0.0.4; charset=utf-8")
        }
        router.get("/v1/sandboxes/:framework/:task") { request, context in
            try await list(request, context)
        }
        router.get("/v1/sandboxes/:framework/:task/**") { request, context in
            try await read(request, context)
        }
        router.post("/v1/sessions/:framework/:task") { request, context in
            guard let sessions else {
                throw ProblemObject(
                    status: 403, title: "not allowed",
                    detail: "nobody may run programs in the tasks of this agent",
                    advice: "start the agent with --operator-token-file")
            }
            return try await sessions.answer(
                request, framework: context.parameters.require("framework"),
                task: context.parameters.require("task"))
        }
        refuseOtherMethods(router)
        return router
    }

    private func list(_ request: Request, _ context: AgentRequestContext) async throws -> Response {
        let query = request.uri.queryParameters
        let directory = query["path"].map(String.init) ?? ""
        let framework = try context.parameters.require("framework")
        let task = try context.parameters.require("task")
        accesses.note(request, context, framework, task, "list", directory)
        let (files, isComplete) = try await sandboxes.list(
            framework: framework, task: task, directory: directory,
            depth: Int(clamping: try number(query["depth"].map(String.init)) ?? 17))
        var response = try json(ObjectList(files))
        if !isComplete, let name = HTTPField.Name("X-Truncated") { response.headers[name] = "1" }
        return response
    }

    private func read(_ request: Request, _ context: AgentRequestContext) async throws -> Response {
        let query = request.uri.queryParameters
        let framework = try context.parameters.require("framework")
        let task = try context.parameters.require("task")
        let path = context.parameters.getCatchAll().joined(separator: "/")
        let isDownload = query["download"] == "true"
        accesses.note(request, context, framework, task, isDownload ? "download" : "read", path)
        let file = try await sandboxes.open(framework: framework, task: task, path: path)
        if isDownload { return download(file) }
        let chunk = try file.read(
            offset: number(query["offset"].map(String.init)) ?? 0,
            length: number(query["length"].map(String.init)) ?? Int64(Sandboxes.chunkLimit))
        var headers: HTTPFields = [.contentType: "application/octet-stream"]
        if let size = HTTPField.Name("X-File-Size") { headers[size] = String(chunk.fileSize) }
        if let start = HTTPField.Name("X-File-Offset") { headers[start] = String(chunk.offset) }
        return Response(
            status: .ok, headers: headers,
            body: .init(byteBuffer: ByteBuffer(bytes: chunk.bytes)))
    }

    /// The whole file as it is now; what a task writes to it meanwhile is not part of it.
    private func download(_ file: Sandboxes.OpenFile) -> Response {
        let name = file.name.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? "file"
        return Response(
            status: .ok,
            headers: [
                .contentType: "application/octet-stream",
                .contentDisposition: "attachment; filename*=UTF-8''\(name)",
            ],
            body: .init { writer in
                var offset: Int64 = 0
                var end: Int64 = .max
                while offset < end {
                    let chunk = try file.read(
                        offset: offset, length: Int64(Sandboxes.chunkLimit))
                    end = min(end, chunk.fileSize)
                    if chunk.bytes.isEmpty { break }
                    try await writer.write(ByteBuffer(bytes: chunk.bytes))
                    offset += Int64(chunk.bytes.count)
                }
                try await writer.finish(nil)
            })
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

/// A request to an agent, with where it comes from.
public struct AgentRequestContext: RequestContext, RemoteAddressRequestContext {
    /// What every request has.
    public var coreContext: CoreRequestContextStorage
    /// Where it comes from; `nil` when that is not a socket.
    public let remoteAddress: SocketAddress?

    /// Made by the server.
    public init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        remoteAddress = source.channel.remoteAddress
    }
}
