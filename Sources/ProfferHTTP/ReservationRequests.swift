internal import ProfferAPI
internal import ProfferKernel
internal import ProfferModel

/// The bodies of requests about reservations.
enum ReservationRequests {
    private static let example = #"send for example {"role":"web","resources":{"cpus":2}}"#

    /// Reserves scalars for a role: unreserved ones, or those reserved for the role `from`.
    ///
    /// - Throws: ``ProblemObject`` with status 400.
    static func reserve(_ agent: AgentID, _ body: [UInt8]) throws -> OperatorCall {
        let fields = try RequestFields(
            try RequestJSON.parse(body), at: "",
            known: ["role", "resources", "principal", "from", "from_principal"])
        let reserved = try resources(fields, "role", "principal")
        guard fields["from"] != nil else {
            return .reserve(agent, reserved, source: Resources())
        }
        return .reserve(
            agent, reserved, source: try resources(fields, "from", "from_principal"))
    }

    /// Takes the reservation for a role off scalars.
    ///
    /// - Throws: ``ProblemObject`` with status 400.
    static func unreserve(_ agent: AgentID, _ body: [UInt8]) throws -> OperatorCall {
        let fields = try RequestFields(
            try RequestJSON.parse(body), at: "", known: ["role", "resources", "principal"])
        return .unreserve(agent, try resources(fields, "role", "principal"))
    }

    private static func resources(
        _ fields: RequestFields, _ role: String, _ principal: String
    ) throws -> Resources {
        guard let name = try fields.text(role), !name.isEmpty else {
            throw badBody(role, "is missing", advice: example)
        }
        guard fields["resources"] != nil else {
            throw badBody("resources", "is missing", advice: example)
        }
        let reservation = Reservation(role: name, principal: try fields.text(principal))
        return Resources(
            try QuotaRequests.amounts(fields, "resources").map { name, amount in
                Resource(name, .scalar(amount), reservations: [reservation])
            })
    }
}
