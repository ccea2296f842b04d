internal import Hummingbird
internal import ProfferAPI
internal import ProfferKernel
internal import ProfferModel

/// The bodies of orders about agents, machines and keys.
enum AgentOrders {
    private static let machineLimit = 10_000

    /// How an agent is to be drained; an empty body is the default.
    ///
    /// - Throws: ``ProblemObject`` with status 400.
    static func drain(_ id: AgentID, _ body: [UInt8]) throws -> OperatorCall {
        if body.isEmpty { return .drainAgent(id, maxGrace: nil, marksGone: false) }
        let fields = try RequestFields(
            try RequestJSON.parse(body), at: "", known: ["max_grace", "mark_gone"])
        return .drainAgent(
            id, maxGrace: try duration(fields, "max_grace"),
            marksGone: try fields.bool("mark_gone") ?? false)
    }

    /// A key, or none.
    ///
    /// - Throws: ``ProblemObject`` with status 400.
    static func key(_ body: [UInt8]) throws -> String? {
        let fields = try RequestFields(
            try RequestJSON.parse(body), at: "", known: ["public_key"])
        return try fields.text("public_key")
    }

    /// A whole plan.
    ///
    /// - Throws: ``ProblemObject`` with status 400.
    static func schedule(_ body: [UInt8]) throws -> OperatorCall {
        let fields = try RequestFields(try RequestJSON.parse(body), at: "", known: ["windows"])
        guard fields["windows"] != nil else {
            throw badBody(
                "windows", "is missing", advice: #"send {"windows":[]} to plan nothing"#)
        }
        let windows = try fields.list("windows").enumerated().map { index, item in
            try window(item, at: "windows[\(index)]")
        }
        return .setMaintenanceSchedule(windows)
    }

    private static func window(_ value: RequestJSON, at path: String) throws -> MaintenanceWindow {
        let fields = try RequestFields(
            value, at: path, known: ["machines", "start", "duration"])
        guard let start = try fields.text("start").flatMap({ WallTime(text: $0) }) else {
            throw badBody(
                fields.name("start"), "is no time",
                advice: "send for example 2026-01-31T12:00:00Z")
        }
        return MaintenanceWindow(
            machines: try machines(fields),
            unavailability: Unavailability(
                start: start, duration: try duration(fields, "duration")))
    }

    /// The machines of an order.
    ///
    /// - Throws: ``ProblemObject`` with status 400.
    static func machines(_ body: [UInt8]) throws -> [MachineID] {
        try machines(
            try RequestFields(try RequestJSON.parse(body), at: "", known: ["machines"]))
    }

    private static func machines(_ fields: RequestFields) throws -> [MachineID] {
        let list = try fields.list("machines")
        guard !list.isEmpty, list.count <= machineLimit else {
            throw badBody(fields.name("machines"), "has to name 1 to \(machineLimit) machines")
        }
        return try list.enumerated().map { index, item in
            guard case .text(let name) = item, !name.isEmpty else {
                throw badBody(
                    fields.name("machines") + "[\(index)]", "is \(item.kind) and has to be text")
            }
            return MachineID(hostname: name)
        }
    }

    private static func duration(_ fields: RequestFields, _ key: String) throws -> Duration? {
        guard let text = try fields.text(key) else { return nil }
        guard let span = Duration(text: text) else {
            throw badBody(
                fields.name(key), "is no duration", advice: "send for example 500ms, 30s, 5m, 2h")
        }
        return span
    }
}

extension MasterServer {
    func addAgentOrders(to group: RouterGroup<BasicRequestContext>) {
        group.post("agents/:agent/drain") { request, context in
            try authorize(request)
            return try await carryOut(
                try AgentOrders.drain(try agent(context), try await body(of: request)))
        }
        group.post("agents/:agent/deactivate") { request, context in
            try authorize(request)
            return try await carryOut(.deactivateAgent(try agent(context)))
        }
        group.post("agents/:agent/reactivate") { request, context in
            try authorize(request)
            return try await carryOut(.reactivateAgent(try agent(context)))
        }
        group.post("agents/:agent/gone") { request, context in
            try authorize(request)
            return try await carryOut(.markAgentGone(try agent(context)))
        }
        group.put("agents/:agent/key") { request, context in
            try authorize(request)
            return try await carryOut(
                .rebindAgent(
                    try agent(context),
                    publicKey: try AgentOrders.key(try await body(of: request))))
        }
        group.put("frameworks/:framework/key") { request, context in
            try authorize(request)
            let id = FrameworkID(try decoded(context.parameters.require("framework")))
            return try await carryOut(
                .rebindFramework(
                    id, publicKey: try AgentOrders.key(try await body(of: request))))
        }
    }

    func addMaintenance(to group: RouterGroup<BasicRequestContext>) {
        group.get("maintenance") { request, _ in
            let status = try await asked(.maintenanceStatus) { answer in
                if case .maintenanceStatus(let status) = answer { status } else { nil }
            }
            return try page(
                status.draining.map { MachineObject($0) }
                    + status.down.map { MachineObject(down: $0) }, request, id: \.id)
        }
        group.get("maintenance/schedule") { _, _ in
            let windows = try await asked(.maintenanceSchedule) { answer in
                if case .maintenanceSchedule(let windows) = answer { windows } else { nil }
            }
            return try json(ScheduleObject(windows: windows.map { WindowObject($0) }))
        }
        group.put("maintenance/schedule") { request, _ in
            try authorize(request)
            return try await carryOut(
                try AgentOrders.schedule(Array(buffer: try await large(request))))
        }
        group.post("maintenance/down") { request, _ in
            try authorize(request)
            return try await carryOut(
                .startMaintenance(
                    try AgentOrders.machines(Array(buffer: try await large(request)))))
        }
        group.post("maintenance/up") { request, _ in
            try authorize(request)
            return try await carryOut(
                .stopMaintenance(
                    try AgentOrders.machines(Array(buffer: try await large(request)))))
        }
    }

    private func large(_ request: Request) async throws -> ByteBuffer {
        try await request.body.collect(upTo: 4 << 20)
    }

    private func agent(_ context: BasicRequestContext) throws -> AgentID {
        AgentID(try decoded(context.parameters.require("agent")))
    }
}
