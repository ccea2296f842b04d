internal import HTTPTypes
internal import Hummingbird
internal import ProfferAPI

/// Sends whoever asks a master that does not lead to the one that does (307), or asks for patience
/// (503) while nobody is known to lead.
struct LeaderOnly: RouterMiddleware {
    typealias Context = BasicRequestContext

    let view: any ClusterView

    func handle(
        _ request: Request, context: Context,
        next: @concurrent (Request, Context) async throws -> Response
    ) async throws -> Response {
        let standing = view.standing
        if standing.leads { return try await next(request, context) }
        guard let leader = standing.leader, !leader.isEmpty else {
            var response = try json(
                ProblemObject(
                    status: 503, title: ProblemObject.noLeader,
                    detail: "this master does not lead, and knows of none that does"
                        + (standing.problem.map { ": \($0)" } ?? ""),
                    advice: "try again in a few seconds; if it stays so, look at the logs of the"
                        + " masters and whether the registry can be reached"),
                status: .serviceUnavailable)
            response.headers[.retryAfter] = "1"
            return response
        }
        var response = try json(
            ProblemObject(
                status: 307, title: "another master leads",
                detail: "this master does not lead; \(leader) does",
                advice: "ask there"), status: .temporaryRedirect)
        response.headers[.location] = leader + request.uri.string
        return response
    }
}
