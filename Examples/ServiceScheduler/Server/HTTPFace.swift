internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import ServicePolicy

/// The HTTP side: takes requests apart for the policy and writes its answers.
struct HTTPFace: HTTPResponder {
    typealias Context = BasicRequestContext

    /// The largest body that is read.
    static let bodyLimit = 4 << 20
    let bridge: PolicyBridge

    @concurrent
    func respond(to request: Request, context: Context) async throws -> Response {
        let isHead = request.method == .head
        var response = await answer(request)
        response.headers[.xContentTypeOptions] = "nosniff"
        response.headers[.cacheControl] = "no-store"
        if isHead {
            response.headers[.contentLength] = response.body.contentLength.map(String.init)
            response.body = .init()
        }
        return response
    }

    private func answer(_ request: Request) async -> Response {
        if let refusal = refuseForeignPage(request) { return Self.response(refusal) }
        let path = request.uri.path.split(separator: "/").map { Self.decode($0) }
        let query = Self.query(request.uri.query ?? "")
        if path == ["v2", "events"], request.method == .get { return events(query) }
        guard let method = Self.method(request.method) else {
            return Self.response(.message(405, "\(request.method) is not possible here"))
        }
        let body: JSON?
        do {
            body = try await Self.body(of: request, for: method)
        } catch {
            return Self.response(error)
        }
        let accepted = request.headers[.accept] ?? ""
        let answer = await bridge.answer(
            to: ServiceRequest(
                method, path: path, query: query, body: body,
                prefersText: accepted.contains("text/plain")
                    && !accepted.contains("application/json")))
        return Self.response(answer)
    }

    /// Pages of other sites must not give orders through somebody's browser.
    private func refuseForeignPage(_ request: Request) -> ServiceAnswer? {
        guard let origin = request.headers[HTTPField.Name.origin] else { return nil }
        let own = request.head.authority ?? ""
        if origin == "http://\(own)" || origin == "https://\(own)" { return nil }
        return .message(403, "Pages of '\(origin)' may not use this address")
    }

    private static func method(_ method: HTTPRequest.Method) -> ServiceRequest.Method? {
        method == .head ? .get : ServiceRequest.Method(rawValue: method.rawValue)
    }

    private static func body(
        of request: Request, for method: ServiceRequest.Method
    ) async throws(ServiceAnswer) -> JSON? {
        guard method != .get else { return nil }
        let bytes: [UInt8]
        do {
            let buffer = try await request.body.collect(upTo: bodyLimit)
            bytes = Array(buffer.readableBytesView)
        } catch {
            throw .message(413, "The body may have \(bodyLimit >> 20) MiB at most")
        }
        if bytes.allSatisfy({ $0 <= 0x20 }) { return nil }
        do {
            return try JSON.parse(bytes)
        } catch {
            throw .malformed(error)
        }
    }

    private static func decode(_ text: Substring) -> String {
        text.removingPercentEncoding ?? String(text)
    }

    private static func query(_ text: String) -> [ServiceRequest.QueryItem] {
        text.split(separator: "&").map { item in
            let pair = item.replacing("+", with: " ").split(
                separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            return ServiceRequest.QueryItem(
                decode(Substring(pair[0])), pair.count == 2 ? decode(Substring(pair[1])) : "")
        }
    }

    private static func response(_ answer: ServiceAnswer) -> Response {
        var headers = HTTPFields()
        for header in answer.headers {
            guard let name = HTTPField.Name(header.name) else { continue }
            headers[name] = header.value
        }
        let body: ResponseBody
        switch answer.body {
        case .none: body = .init()
        case .json(let json):
            headers[.contentType] = "application/json"
            body = .init(byteBuffer: ByteBuffer(bytes: json.bytes))
        case .text(let text):
            headers[.contentType] = "text/plain; charset=utf-8"
            body = .init(byteBuffer: ByteBuffer(string: text))
        }
        return Response(status: .init(code: answer.status), headers: headers, body: body)
    }

    // MARK: Events

    private func events(_ query: [ServiceRequest.QueryItem]) -> Response {
        let wanted = query.filter { $0.name == "event_type" }.map(\.value)
        let events = bridge.events()
        return Response(
            status: .ok, headers: [.contentType: "text/event-stream"],
            body: ResponseBody { writer in
                try await writer.write(ByteBuffer(string: "\r\n"))
                for await event in events {
                    guard let event else {
                        try await writer.write(ByteBuffer(string: "\r\n"))
                        continue
                    }
                    guard wanted.isEmpty || wanted.contains(event.name) else { continue }
                    try await writer.write(
                        ByteBuffer(string: "event: \(event.name)\r\ndata: \(event.body)\r\n\r\n"))
                }
                try await writer.finish(nil)
            })
    }
}
