internal import Foundation
internal import Hummingbird
internal import ProfferAPI

/// Sent with every answer: the API serves data, never pages that other sites may frame or sniff.
struct SecurityHeaders<Context: RequestContext>: RouterMiddleware {
    func handle(
        _ request: Request, context: Context,
        next: @concurrent (Request, Context) async throws -> Response
    ) async throws -> Response {
        var response: Response
        do {
            response = try await next(request, context)
        } catch let problem as ProblemObject {
            response = try json(problem, status: .init(code: problem.status))
        } catch let error as any HTTPResponseError {
            let detail = (error as? HTTPError)?.body
            response = try json(
                ProblemObject(
                    status: error.status.code, title: error.status.reasonPhrase.lowercased(),
                    detail: detail ?? "\(request.method) \(request.uri.path)"),
                status: error.status)
        } catch {
            response = try json(
                ProblemObject(
                    status: 503, title: "no answer", detail: "\(error)",
                    advice: "try again; if it stays so, look at the log of this daemon"),
                status: .serviceUnavailable)
        }
        response.headers[.xContentTypeOptions] = "nosniff"
        response.headers[.cacheControl] = "no-store"
        return response
    }
}

func json(_ value: some Encodable, status: HTTPResponse.Status = .ok) throws -> Response {
    let data = try APICoding.encode(value)
    return Response(
        status: status, headers: [.contentType: "application/json"],
        body: .init(byteBuffer: ByteBuffer(bytes: data)))
}

func plain(_ text: String, type: String = "text/plain; charset=utf-8") -> Response {
    Response(
        status: .ok, headers: [.contentType: type],
        body: .init(byteBuffer: ByteBuffer(string: text)))
}
