internal import Foundation
internal import HTTPTypes
internal import Hummingbird
public import ProfferAPI

/// What somebody wants to run beside a task.
public struct SessionRequest: Hashable, Sendable {
    /// The task's framework.
    public var framework: String
    /// The task.
    public var task: String
    /// The program and its arguments.
    public var words: [String]
    /// The kind of terminal, such as `xterm`; without one the streams are pipes.
    public var terminal: String?
    /// The size of the terminal.
    public var rows: UInt16
    /// The size of the terminal.
    public var columns: UInt16
}

/// A program that was started on request.
public struct OpenSession: Sendable {
    /// What comes of it; the last one is `ended`.
    public var frames: AsyncStream<SessionFrame>
    /// Says that one of `frames`, other than `alive`, was handed on, so that another may come.
    public var consumed: @Sendable () -> Void
    /// Hands something to the program, without waiting.
    public var take: @Sendable (SessionFrame) -> Void
    /// Ends it.
    public var end: @Sendable () -> Void

    /// Sets every field.
    public init(
        frames: AsyncStream<SessionFrame>, consumed: @escaping @Sendable () -> Void,
        take: @escaping @Sendable (SessionFrame) -> Void, end: @escaping @Sendable () -> Void
    ) {
        self.frames = frames
        self.consumed = consumed
        self.take = take
        self.end = end
    }
}

/// Programs in tasks, for those who have the token.
public struct TaskSessions: Sendable {
    private static let wordLimit = 1000
    /// How long whoever asked may take to hear the end.
    private static let patience = Duration.seconds(30)
    private let token: String
    private let open: @Sendable (SessionRequest) async throws -> OpenSession

    /// Lets whoever has `token` run programs, which `open` starts.
    public init(
        token: String, open: @escaping @Sendable (SessionRequest) async throws -> OpenSession
    ) {
        self.token = token
        self.open = open
    }

    /// Answers with frames for as long as the program runs, and takes frames meanwhile.
    ///
    /// - Throws: ``ProblemObject`` when the token is another, or nothing could be started.
    func answer(
        _ request: Request, framework: String, task: String
    ) async throws -> Response {
        try authorize(request, token, file: "the agent's --operator-token-file")
        let session = try await open(try wanted(request, framework, task))
        return Response(
            status: .ok, headers: [.contentType: "application/octet-stream"],
            body: .init { writer in
                defer { session.end() }
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { try await Self.hear(request, session) }
                    for await frame in session.frames {
                        try await writer.write(ByteBuffer(bytes: frame.bytes))
                        if frame != .alive { session.consumed() }
                    }
                    // The connection is closed after an answer whose question has not ended, with
                    // what is still to be sent: whoever asked ends it when all has come.
                    group.addTask { try? await Task.sleep(for: Self.patience) }
                    try await group.next()
                    group.cancelAll()
                }
                try await writer.finish(nil)
            })
    }

    /// Hands on what comes; the end of it is the end of the session.
    private static func hear(_ request: Request, _ session: OpenSession) async throws {
        defer { session.end() }
        var reader = SessionFrameReader()
        do {
            for try await buffer in request.body {
                for frame in try reader.take(buffer.readableBytesView) { session.take(frame) }
            }
        } catch {
            // Whoever spoke has gone, or the program has ended.
        }
    }

    private func wanted(
        _ request: Request, _ framework: String, _ task: String
    ) throws -> SessionRequest {
        let query = request.uri.queryParameters
        let words = query[values: "arg"].map(String.init)
        guard !words.isEmpty, words.count <= Self.wordLimit, words[0] != "",
            !words.contains(where: { $0.utf8.contains(0) })
        else {
            throw ProblemObject(
                status: 400, title: "no program",
                detail: "the query has to have 'arg' for the program and each of its arguments",
                advice: "send for example ?arg=ls&arg=-l")
        }
        return SessionRequest(
            framework: framework.removingPercentEncoding ?? framework,
            task: task.removingPercentEncoding ?? task, words: words,
            terminal: query["terminal"].map(String.init),
            rows: query["rows"].flatMap { UInt16(String($0)) } ?? 24,
            columns: query["columns"].flatMap { UInt16(String($0)) } ?? 80)
    }
}

/// - Throws: ``ProblemObject`` with status 401 when the request does not carry the token.
func authorize(_ request: Request, _ token: String, file: String) throws {
    let given = Array((request.headers[.authorization] ?? "").utf8)
    let wanted = Array("Bearer \(token)".utf8)
    // Every byte is looked at, so that the time taken tells nothing about the token.
    var difference = UInt8(given.count == wanted.count ? 0 : 1)
    for index in wanted.indices {
        difference |= wanted[index] ^ (index < given.count ? given[index] : 0)
    }
    guard difference == 0 else {
        throw ProblemObject(
            status: 401, title: "not authorized", detail: "this order needs the operator's token",
            advice: "send 'Authorization: Bearer <token>' with the text of \(file)")
    }
}
