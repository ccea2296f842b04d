internal import Foundation
internal import HTTPTypes
public import Hummingbird
public import Logging
internal import ProfferAPI
internal import ProfferKernel
internal import ProfferModel

/// The master's HTTP server: health, metrics and the operator API under `/v1`.
///
/// Reads are open to whoever reaches the port, which is why it listens on loopback unless told
/// otherwise; orders need the operator's token.
public struct MasterServer: Sendable {
    private let view: any ClusterView
    private let metrics: PrometheusRegistry
    private let token: String
    private let refresh: @Sendable () async -> Void

    /// Makes a server over `view`.
    ///
    /// - Parameters:
    ///   - view: The master.
    ///   - metrics: What `/metrics` shows.
    ///   - token: Orders must carry `Authorization: Bearer <token>`.
    ///   - refresh: Brings gauges up to date before they are shown.
    public init(
        view: any ClusterView, metrics: PrometheusRegistry, token: String,
        refresh: @escaping @Sendable () async -> Void = {}
    ) {
        self.view = view
        self.metrics = metrics
        self.token = token
        self.refresh = refresh
    }

    /// The routes, for an application or a test client.
    public func router() -> Router<BasicRequestContext> {
        let router = Router(options: .autoGenerateHeadEndpoints)
        router.add(middleware: SecurityHeaders())
        router.get("/health") { _, _ in plain("ok\n") }
        router.get("/metrics") { _, _ in
            await refresh()
            return plain(metrics.render(), type: "text/plain; version=0.0.4; charset=utf-8")
        }
        router.get("/v1/leader") { _, _ in try json(LeaderObject(view.standing)) }
        let group = router.group("/v1").add(middleware: LeaderOnly(view: view))
        addReads(to: group)
        addUsage(to: group)
        addOrders(to: group)
        addQuota(to: group)
        addQuestions(to: group)
        addPriorityLimit(to: group)
        addWhitelist(to: group)
        addReservations(to: group)
        addAgentOrders(to: group)
        addMaintenance(to: group)
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

    /// What every master answers by itself, whoever leads.
    private struct LeaderObject: Encodable {
        var leads: Bool
        var leader: String?
        var epoch: UInt64?
        var registry: String
        var problem: String?

        init(_ standing: MasterStanding) {
            leads = standing.leads
            leader = standing.leader
            epoch = standing.epoch
            registry = standing.registry
            problem = standing.problem
        }
    }

    private func addReads(to group: RouterGroup<BasicRequestContext>) {
        group.get("summary") { _, _ in
            guard case .summary(let summary) = try await view.answer(.summary) else {
                throw unexpected
            }
            return try json(SummaryObject(summary))
        }
        group.get("agents") { request, _ in
            guard case .agents(let agents) = try await view.answer(.agents) else {
                throw unexpected
            }
            return try page(agents.map(AgentObject.init), request, id: \.id)
        }
        group.get("frameworks") { request, _ in
            guard case .frameworks(let list) = try await view.answer(.frameworks) else {
                throw unexpected
            }
            return try page(list.map(FrameworkObject.init), request, id: \.id)
        }
        group.get("roles") { request, _ in
            guard case .roles(let roles) = try await view.answer(.roles) else {
                throw unexpected
            }
            return try page(roles.map(RoleObject.init), request, id: \.id)
        }
        group.get("offers") { request, _ in
            guard case .offers(let offers) = try await view.answer(.offers) else {
                throw unexpected
            }
            return try page(offers.map(OfferObject.init), request, id: \.id)
        }
        group.get("inverse-offers") { request, _ in
            let list = try await asked(.inverseOffers) { answer in
                if case .inverseOffers(let list) = answer { list } else { nil }
            }
            return try page(list.map(InverseOfferObject.init), request, id: \.id)
        }
        group.get("tasks") { request, _ in
            let framework = request.uri.queryParameters["framework"].map {
                FrameworkID(String($0))
            }
            guard case .tasks(let tasks) = try await view.answer(.tasks(framework)) else {
                throw unexpected
            }
            return try page(tasks.map(TaskObject.init), request) { "\($0.framework)/\($0.id)" }
        }
        group.get("events") { _, _ in eventStream() }
    }

    private func addOrders(to group: RouterGroup<BasicRequestContext>) {
        group.delete("tasks/:framework/:task") { request, context in
            try authorize(request)
            let framework = FrameworkID(try context.parameters.require("framework"))
            let task = TaskID(try decoded(context.parameters.require("task")))
            return try await carryOut(.kill(TaskKey(framework, task)))
        }
        group.delete("frameworks/:framework") { request, context in
            try authorize(request)
            return try await carryOut(
                .teardown(FrameworkID(try context.parameters.require("framework"))))
        }
        group.put("roles/:role/weight") { request, context in
            try authorize(request)
            let role = try decoded(context.parameters.require("role"))
            let body = try await collected(request, upTo: 1024)
            guard let number = Double(String(buffer: body)), let weight = Milli(rounding: number),
                weight > .zero
            else {
                throw ProblemObject(
                    status: 400, title: "bad weight",
                    detail: "the body must be a number above zero",
                    advice: "send for example: 2.5")
            }
            return try await carryOut(
                .setWeight(role: role, thousandths: weight.thousandths))
        }
    }

    private func addPriorityLimit(to group: RouterGroup<BasicRequestContext>) {
        group.put("roles/:role/priority-limit") { request, context in
            try authorize(request)
            let role = try decoded(context.parameters.require("role"))
            let body = try await collected(request, upTo: 1024)
            guard let limit = Int(String(buffer: body)) else {
                throw ProblemObject(
                    status: 400, title: "bad priority limit",
                    detail: "the body must be a whole number",
                    advice: "send for example: 10; DELETE takes the limit away")
            }
            return try await carryOut(.setPriorityLimit(role: role, limit))
        }
        group.delete("roles/:role/priority-limit") { request, context in
            try authorize(request)
            let role = try decoded(context.parameters.require("role"))
            return try await carryOut(.setPriorityLimit(role: role, nil))
        }
    }

    private func addReservations(to group: RouterGroup<BasicRequestContext>) {
        group.post("agents/:agent/reserve") { request, context in
            try authorize(request)
            let agent = AgentID(try decoded(context.parameters.require("agent")))
            return try await carryOut(
                try ReservationRequests.reserve(agent, try await body(of: request)),
                advice: "look at what its tasks hold with 'proffer agents'")
        }
        group.post("agents/:agent/unreserve") { request, context in
            try authorize(request)
            let agent = AgentID(try decoded(context.parameters.require("agent")))
            return try await carryOut(
                try ReservationRequests.unreserve(agent, try await body(of: request)),
                advice: "look at what its tasks hold with 'proffer agents'")
        }
    }

    private func addWhitelist(to group: RouterGroup<BasicRequestContext>) {
        group.get("whitelist") { _, _ in
            let answer = try await view.answer(.whitelist)
            guard case .whitelist(let hosts) = answer else { throw unexpected }
            return try json(WhitelistObject(hosts))
        }
        group.put("whitelist") { request, _ in
            try authorize(request)
            let bytes = Array(buffer: try await request.body.collect(upTo: 8 << 20))
            return try await carryOut(try WhitelistRequests.change(bytes))
        }
        group.delete("whitelist") { request, _ in
            try authorize(request)
            return try await carryOut(.setWhitelist(nil))
        }
    }

    private func addQuota(to group: RouterGroup<BasicRequestContext>) {
        group.get("quotas") { request, _ in
            let quotas = try await asked(.quotas) { answer in
                if case .quotas(let list) = answer { list } else { nil }
            }
            return try page(quotas.map(QuotaObject.init), request, id: \.id)
        }
        group.put("quotas") { request, _ in
            try authorize(request)
            return try await carryOut(
                try QuotaRequests.change(try await body(of: request)),
                advice: "promise less or limit to more, or set 'force'")
        }
    }

    private func addQuestions(to group: RouterGroup<BasicRequestContext>) {
        group.get("why/frameworks/:framework") { request, context in
            let id = FrameworkID(try decoded(context.parameters.require("framework")))
            let now = WallTime(
                nanosecondsSince1970: Int64(Date().timeIntervalSince1970 * 1e9))
            let demands = try await asked(.whyFramework(id)) { answer in
                if case .demands(let list) = answer { list } else { nil }
            }
            return try page(demands.map { DemandObject($0, now: now) }, request, id: \.id)
        }
        group.post("why") { request, _ in
            let question = try QuotaRequests.question(try await body(of: request))
            let explanation = try await asked(question) { answer in
                if case .why(let explanation) = answer { explanation } else { nil }
            }
            return try json(ExplanationObject(explanation))
        }
    }

    func body(of request: Request) async throws -> [UInt8] {
        Array(buffer: try await request.body.collect(upTo: 256 << 10))
    }

    /// What the master answers to a question, which it may refuse.
    func asked<Value>(
        _ call: OperatorCall, _ value: (OperatorAnswer) -> Value?
    ) async throws -> Value {
        let answer = try await view.answer(call)
        if let value = value(answer) { return value }
        switch answer {
        case .notFound(let what):
            throw ProblemObject(
                status: 404, title: "not found", detail: what,
                advice: "list the frameworks with 'proffer frameworks'")
        case .refused(let why):
            throw ProblemObject(
                status: 409, title: "refused", detail: why,
                advice: "compare the versions of the programs, and look at the master's log")
        case .agents, .frameworks, .roles, .offers, .tasks, .summary, .quotas, .why, .demands,
            .done, .inverseOffers, .whitelist, .maintenanceStatus, .maintenanceSchedule:
            throw unexpected
        }
    }

    private var unexpected: ProblemObject {
        ProblemObject(
            status: 503, title: "no answer", detail: "the master did not answer this question",
            advice: "try again; if it stays so, look at the master's log")
    }

    func decoded(_ text: String) throws -> String {
        guard let plain = text.removingPercentEncoding else {
            throw ProblemObject(
                status: 400, title: "bad path", detail: "'\(text)' is not percent-encoded text")
        }
        return plain
    }

    func authorize(_ request: Request) throws {
        try ProfferHTTP.authorize(request, token, file: "the master's operator.token file")
    }

    func carryOut(_ call: OperatorCall, advice: String? = nil) async throws -> Response {
        switch try await view.answer(call) {
        case .done: return Response(status: .accepted)
        case .notFound(let what):
            throw ProblemObject(status: 404, title: "not found", detail: what)
        case .refused(let why):
            throw ProblemObject(status: 409, title: "refused", detail: why, advice: advice)
        case .agents, .frameworks, .roles, .offers, .tasks, .summary, .quotas, .why, .demands,
            .inverseOffers, .whitelist, .maintenanceStatus, .maintenanceSchedule:
            throw unexpected
        }
    }

    func page<Item: Codable & Sendable>(
        _ items: [Item], _ request: Request, id: (Item) -> String
    ) throws -> Response {
        let query = request.uri.queryParameters
        var rest = items.sorted { id($0).utf8.lexicographicallyPrecedes(id($1).utf8) }
        if let after = query["after"].map(String.init) {
            rest = rest.filter { after.utf8.lexicographicallyPrecedes(id($0).utf8) }
        }
        guard let text = query["limit"] else { return try json(ObjectList(rest)) }
        guard let limit = Int(String(text)), limit > 0 else {
            throw ProblemObject(
                status: 400, title: "bad limit", detail: "'limit' must be a number above zero")
        }
        let first = Array(rest.prefix(limit))
        let next = rest.count > limit ? first.last.map(id) : nil
        return try json(ObjectList(first, next: next))
    }

    private func eventStream() -> Response {
        let events = view.events()
        return Response(
            status: .ok,
            headers: [.contentType: "text/event-stream"],
            body: ResponseBody { writer in
                try await writer.write(ByteBuffer(string: ": connected\n\n"))
                for await event in events {
                    let object = EventObject(event)
                    let data = try APICoding.encode(object)
                    try await writer.write(
                        ByteBuffer(
                            string: "event: \(object.kind)\ndata: "
                                + String(decoding: data, as: UTF8.self) + "\n\n"))
                }
                try await writer.finish(nil)
            })
    }
}
