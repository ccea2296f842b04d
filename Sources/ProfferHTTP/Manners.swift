internal import HTTPTypes
internal import Hummingbird
internal import HummingbirdCore
internal import NIOCore
internal import ProfferAPI
internal import ProfferKernel

/// How long a peer may take to say what it wants, or say nothing on a connection it keeps.
public let httpPatience = Duration.seconds(30)

extension HTTP1Channel.Configuration {
    /// Closes connections whose next request does not come, or does not come to its end: each one
    /// holds a descriptor, and there are not many.
    static func patient(_ patience: Duration) -> Self {
        Self(idleTimeout: .nanoseconds(patience.inNanoseconds))
    }
}

/// The body of a request that has to come whole, in time and within its limit.
///
/// A body that comes drop by drop keeps its connection alive, so this has a limit of its own.
func collected(
    _ request: Request, upTo limit: Int, within patience: Duration = httpPatience
) async throws -> ByteBuffer {
    try await withThrowingTaskGroup(of: ByteBuffer?.self) { group in
        group.addTask { try await request.body.collect(upTo: limit) }
        group.addTask {
            try await Task.sleep(for: patience)
            return nil
        }
        defer { group.cancelAll() }
        guard let first = try await group.next(), let body = first else {
            throw ProblemObject(
                status: 408, title: "too slow",
                detail: "the body did not come within \(patience)",
                advice: "send it with the request")
        }
        return body
    }
}

/// Lets every path answer 405, with the methods that it has, to those that it has not.
///
/// Called when all routes are there.
func refuseOtherMethods<Context: RequestContext>(_ router: Router<Context>) {
    var known: [String: (path: RouterPath, methods: [HTTPRequest.Method])] = [:]
    for route in router.routes {
        known[route.path.description, default: (route.path, [])].methods.append(route.method)
    }
    let all: [HTTPRequest.Method] = [
        .get, .head, .post, .put, .delete, .patch, .options, .trace, .connect,
    ]
    for (path, given) in known.values.sorted(by: { $0.path.description < $1.path.description }) {
        let methods = given.contains(.get) ? given + [.head] : given
        let allowed = methods.map(\.rawValue).sorted().joined(separator: ", ")
        for method in all where !methods.contains(method) {
            router.on(path, method: method) { request, _ -> Response in
                var response = try json(
                    ProblemObject(
                        status: 405, title: "method not allowed",
                        detail: "\(request.uri.path) has no \(method.rawValue)",
                        advice: "use \(allowed)"), status: .methodNotAllowed)
                response.headers[.allow] = allowed
                return response
            }
        }
    }
}
