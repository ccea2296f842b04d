internal import ProfferAPI
internal import ProfferModel

/// The bodies of requests about the whitelist.
enum WhitelistRequests {
    /// A change of the whitelist.
    ///
    /// - Throws: ``ProblemObject`` with status 400.
    static func change(_ body: [UInt8]) throws -> OperatorCall {
        let fields = try RequestFields(try RequestJSON.parse(body), at: "", known: ["hosts"])
        guard fields["hosts"] != nil else {
            throw badBody(
                "hosts", "is missing",
                advice: #"send for example {"hosts":["node-1"]}; DELETE lets every host in"#)
        }
        let hosts = try fields.list("hosts").enumerated().map { index, item in
            guard case .text(let host) = item else {
                throw badBody("hosts[\(index)]", "is \(item.kind) and has to be text")
            }
            return host
        }
        return .setWhitelist(hosts)
    }
}
