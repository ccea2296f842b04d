internal import BatchPolicy
internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import Proffer

/// The HTTP API of the batch scheduler.
struct Routes: Sendable {
    /// Asks the scheduler.
    let ask: @Sendable (@escaping @Sendable (Ticket) -> BatchCommand) async -> BatchAnswer
    let files: AgentFiles
    let outputs: OutputFolder

    func router() -> Router<BasicRequestContext> {
        let router = Router()
        router.add(middleware: Frontier())
        router.get("/ping") { _, _ in "pong\n" }
        router.post("/v1/jobs", use: submit)
        router.get("/v1/jobs", use: list)
        router.get("/v1/jobs/:id", use: show)
        router.delete("/v1/jobs/:id", use: cancel)
        router.get("/v1/jobs/:id/tasks", use: instances)
        router.get("/v1/jobs/:id/logs", use: logs)
        router.get("/v1/jobs/:id/outputs", use: listOutputs)
        router.get("/v1/jobs/:id/outputs/:task/:index/**", use: output)
        return router
    }

    // MARK: Jobs

    @Sendable
    private func submit(
        _ request: Request, _ context: BasicRequestContext
    ) async throws -> Response {
        let body = try await request.body.collect(upTo: JobFile.sizeLimit)
        guard let text = String(validating: body.readableBytesView, as: UTF8.self) else {
            throw ProblemObject(
                status: 400, title: "job file invalid", detail: "the file is not UTF-8 text",
                advice: "save it as UTF-8")
        }
        let job: JobSpecification
        do throws(JobFileProblems) {
            job = try JobFile.parse(text)
        } catch {
            throw ProblemObject(
                status: 400, title: "job file invalid",
                detail: error.problems.map { "\($0.line):\($0.column): \($0.what)" }
                    .joined(separator: "\n"),
                advice: error.problems.first?.advice, errors: error.problems)
        }
        return try await answer(status: .created) { .submit(job, $0) }
    }

    @Sendable
    private func list(
        _ request: Request, _ context: BasicRequestContext
    ) async throws -> Response {
        let query = Query(request)
        let state = try query.value("state", JobState.init, JobState.allCases.map(\.rawValue))
        let before = try query.integer("after").map(Int64.init)
        let limit = try query.limit()
        return try await answer { .list(state: state, before: before, limit: limit, $0) }
    }

    @Sendable
    private func show(
        _ request: Request, _ context: BasicRequestContext
    ) async throws -> Response {
        let id = try job(context)
        return try await answer { .show(job: id, $0) }
    }

    @Sendable
    private func cancel(
        _ request: Request, _ context: BasicRequestContext
    ) async throws -> Response {
        let id = try job(context)
        return try await answer { .cancel(job: id, $0) }
    }

    @Sendable
    private func instances(
        _ request: Request, _ context: BasicRequestContext
    ) async throws -> Response {
        let id = try job(context)
        let query = Query(request)
        let task = query["task"]
        let state = try query.value(
            "state", InstanceState.init, InstanceState.allCases.map(\.rawValue))
        let from = try query.integer("after") ?? 0
        let limit = try query.limit()
        return try await answer {
            .instances(job: id, task: task, state: state, from: from, limit: limit, $0)
        }
    }

    private func answer(
        status: HTTPResponse.Status = .ok,
        _ command: @escaping @Sendable (Ticket) -> BatchCommand
    ) async throws -> Response {
        switch await ask(command) {
        case .job(let job): return try json(JobObject(job), status: status)
        case .jobs(let jobs, let next):
            return try json(
                ListObject(items: jobs.map(JobObject.init), next: next.map { "\($0)" }))
        case .instances(let instances, let next):
            return try json(
                ListObject(
                    items: instances.map(InstanceObject.init), next: next.map { "\($0)" }))
        case .instance(let instance): return try json(InstanceObject(instance))
        case .refused(let problem): throw ProblemObject(problem)
        }
    }

    private func job(_ context: BasicRequestContext) throws -> String {
        let id = try context.parameters.require("id")
        return id.removingPercentEncoding ?? id
    }

    // MARK: Logs

    /// The whole file, or, with `offset` or `length`, one part of it.
    @Sendable
    private func logs(
        _ request: Request, _ context: BasicRequestContext
    ) async throws -> Response {
        let id = try job(context)
        let query = Query(request)
        let stream = try query.value("stream", Self.stream, ["stdout", "stderr"]) ?? "stdout"
        let index = try query.integer("index") ?? 0
        let task = query["task"]
        let answer = await ask { .instance(job: id, task: task, index: index, $0) }
        if case .refused(let problem) = answer { throw ProblemObject(problem) }
        guard case .instance(let instance) = answer else { throw HTTPError(.internalServerError) }
        guard let task = instance.taskID, let place = instance.place else {
            throw ProblemObject(
                status: 404, title: "no logs",
                detail: "task '\(instance.task)', index \(index), was not launched yet",
                advice: "wait until it runs; 'batch-scheduler show' tells its state")
        }
        let isWhole = query["offset"] == nil && query["length"] == nil
        let offset = Int64(try query.integer("offset", -(1 << 50)...(1 << 50)) ?? 0)
        let length = Int64(try query.integer("length") ?? 1 << 20)
        let first: AgentFiles.Chunk
        do {
            first = try await files.read(
                stream, of: task, at: place, offset: offset, length: length)
        } catch {
            throw ProblemObject(logs: error)
        }
        var headers: HTTPFields = [.contentType: "text/plain; charset=utf-8"]
        if let name = HTTPField.Name("X-File-Size") { headers[name] = "\(first.fileSize)" }
        if let name = HTTPField.Name("X-File-Offset") { headers[name] = "\(first.offset)" }
        guard isWhole else {
            return Response(status: .ok, headers: headers, body: .init(byteBuffer: first.bytes))
        }
        let files = files
        let body = ResponseBody { writer in
            try await writer.write(first.bytes)
            var position = Int64(first.bytes.readableBytes)
            while position < first.fileSize {
                let chunk = try await files.read(
                    stream, of: task, at: place, offset: position, length: 1 << 20)
                guard chunk.bytes.readableBytes > 0 else { break }
                position += Int64(chunk.bytes.readableBytes)
                try await writer.write(chunk.bytes)
            }
            try await writer.finish(nil)
        }
        return Response(status: .ok, headers: headers, body: body)
    }

    private static func stream(_ name: String) -> String? {
        name == "stdout" || name == "stderr" ? name : nil
    }

    // MARK: Outputs

    @Sendable
    private func listOutputs(
        _ request: Request, _ context: BasicRequestContext
    ) async throws -> Response {
        let id = try await knownJob(context)
        return try json(ListObject(items: outputs.list(job: id)))
    }

    @Sendable
    private func output(
        _ request: Request, _ context: BasicRequestContext
    ) async throws -> Response {
        let id = try await knownJob(context)
        let path = context.parameters.getCatchAll().joined(separator: "/")
        let task = try context.parameters.require("task")
        let index = try context.parameters.require("index", as: Int.self)
        guard
            let data = outputs.read(
                job: id, task: task, index: index, file: path.removingPercentEncoding ?? path)
        else {
            throw ProblemObject(
                status: 404, title: "no such output",
                detail: "'\(path)' of task '\(task)', index \(index), was not collected",
                advice: "ask for the list of outputs of the job")
        }
        return Response(
            status: .ok, headers: [.contentType: "application/octet-stream"],
            body: .init(byteBuffer: ByteBuffer(bytes: data)))
    }

    private func knownJob(_ context: BasicRequestContext) async throws -> String {
        let id = try job(context)
        switch await ask({ .show(job: id, $0) }) {
        case .job(let view): return view.id
        case .refused(let problem): throw ProblemObject(problem)
        case .jobs, .instances, .instance: throw HTTPError(.internalServerError)
        }
    }
}

/// The parameters of a request, checked.
private struct Query {
    private let request: Request

    init(_ request: Request) { self.request = request }

    subscript(name: String) -> String? {
        request.uri.queryParameters[name[...]].map(String.init)
    }

    func integer(_ name: String, _ range: ClosedRange<Int> = 0...Int.max) throws -> Int? {
        guard let text = self[name] else { return nil }
        guard let value = Int(text), range.contains(value) else {
            throw ProblemObject(
                status: 400, title: "bad parameter",
                detail: "'\(name)' cannot be '\(text)'",
                advice: "give a whole number from \(range.lowerBound)")
        }
        return value
    }

    func limit() throws -> Int { min(try integer("limit") ?? 100, 1000) }

    func value<Value>(
        _ name: String, _ read: (String) -> Value?, _ allowed: [String]
    ) throws -> Value? {
        guard let text = self[name] else { return nil }
        guard let value = read(text) ?? read(text.uppercased()) else {
            throw ProblemObject(
                status: 400, title: "bad parameter",
                detail: "'\(name)' cannot be '\(text)'",
                advice: "give one of \(allowed.joined(separator: ", "))")
        }
        return value
    }
}

/// Turns errors into problem objects and keeps web pages out: a page that the user happens to have
/// open must not be able to submit a job.
private struct Frontier: RouterMiddleware {
    typealias Context = BasicRequestContext

    func handle(
        _ request: Request, context: Context,
        next: @concurrent (Request, Context) async throws -> Response
    ) async throws -> Response {
        var response: Response
        do {
            if let name = HTTPField.Name("Origin"), request.headers[name] != nil,
                request.method != .get
            {
                throw ProblemObject(
                    status: 403, title: "refused", detail: "this comes from a web page",
                    advice: "use batch-scheduler or another program")
            }
            response = try await next(request, context)
        } catch let problem as ProblemObject {
            response = try json(problem, status: .init(code: problem.status))
        } catch let error as HTTPError {
            response = try json(
                ProblemObject(
                    status: error.status.code, title: error.status.reasonPhrase.lowercased(),
                    detail: error.body ?? "\(request.method) \(request.uri.path)"),
                status: error.status)
        }
        response.headers[.xContentTypeOptions] = "nosniff"
        response.headers[.cacheControl] = "no-store"
        return response
    }
}

private func json(_ value: some Encodable, status: HTTPResponse.Status = .ok) throws -> Response {
    Response(
        status: status, headers: [.contentType: "application/json"],
        body: .init(byteBuffer: ByteBuffer(bytes: try JSON.encode(value))))
}

extension ProblemObject {
    fileprivate init(_ problem: BatchProblem) {
        let status =
            switch problem.kind {
            case .notFound: 404
            case .invalid: 400
            case .full: 503
            }
        self.init(
            status: status, title: problem.what, detail: problem.because, advice: problem.advice)
    }

    fileprivate init(logs failure: AgentFiles.Failure) {
        switch failure {
        case .missing(let text):
            self.init(
                status: 404, title: "no logs", detail: text,
                advice: "its sandbox was removed, or the task has not begun yet")
        case .unreachable(let text):
            self.init(
                status: 502, title: "the agent does not answer", detail: text,
                advice: "look whether the agent runs and can be reached from the scheduler")
        }
    }
}
