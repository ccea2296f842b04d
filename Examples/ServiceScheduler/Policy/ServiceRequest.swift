/// A request to the REST interface, already taken apart.
public struct ServiceRequest: Hashable, Sendable {
    /// What is to be done with the resource.
    public enum Method: String, CaseIterable, Hashable, Sendable {
        /// Read it.
        case get = "GET"
        /// Create it.
        case post = "POST"
        /// Create or change it.
        case put = "PUT"
        /// Change it.
        case patch = "PATCH"
        /// Remove it.
        case delete = "DELETE"
    }

    /// A name and a value of the query.
    public struct QueryItem: Hashable, Sendable {
        /// The name.
        public var name: String
        /// The value, empty when there is none.
        public var value: String

        /// Pairs a name with a value.
        public init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    /// What is to be done.
    public var method: Method
    /// The parts of the path, decoded, without empty ones.
    public var path: [String]
    /// The query, decoded.
    public var query: [QueryItem]
    /// The body; `nil` when there is none.
    public var body: JSON?
    /// Whether the answer should rather be text than JSON, where there is a choice.
    public var prefersText: Bool

    /// Describes a request.
    public init(
        _ method: Method, path: [String], query: [QueryItem] = [], body: JSON? = nil,
        prefersText: Bool = false
    ) {
        self.method = method
        self.path = path
        self.query = query
        self.body = body
        self.prefersText = prefersText
    }

    func value(_ name: String) -> String? { query.first { $0.name == name }?.value }

    /// Every value of a name, those separated by commas one by one.
    func values(_ names: String...) -> [String] {
        query.filter { names.contains($0.name) }
            .flatMap { $0.value.split(separator: ",").map(String.init) }
    }

    /// Whether a switch is on; `True` counts, and a name without a value.
    func flag(_ name: String, default standard: Bool = false) -> Bool {
        guard let value = value(name) else { return standard }
        return value.isEmpty || value.lowercased() == "true"
    }
}

/// The answer to a request; thrown when it is a refusal.
public struct ServiceAnswer: Error, Hashable, Sendable {
    /// What is sent back.
    public enum Body: Hashable, Sendable {
        /// Nothing.
        case none
        /// JSON.
        case json(JSON)
        /// Plain text.
        case text(String)
    }

    /// The HTTP status code.
    public var status: Int
    /// What is sent back.
    public var body: Body
    /// Further headers.
    public var headers: [ServiceRequest.QueryItem]

    /// Describes an answer.
    public init(
        _ status: Int, _ body: Body = .none, headers: [ServiceRequest.QueryItem] = []
    ) {
        self.status = status
        self.body = body
        self.headers = headers
    }

    /// An answer that says one sentence.
    public static func message(_ status: Int, _ text: String) -> ServiceAnswer {
        ServiceAnswer(status, .json(["message": .string(text)]))
    }

    /// The refusal of a body that is no acceptable JSON.
    public static func malformed(_ problem: JSONProblem) -> ServiceAnswer {
        details(400, "Invalid JSON", [FieldProblem(path: problem.path, message: problem.message)])
    }

    static func ok(_ json: JSON) -> ServiceAnswer { ServiceAnswer(200, .json(json)) }

    static func invalid(_ problems: [FieldProblem]) -> ServiceAnswer {
        details(422, "Object is not valid", problems)
    }

    /// The refusal of what a reader has found fault with.
    static func refusing(_ fields: FieldReader) -> ServiceAnswer {
        fields.mistyped.isEmpty
            ? invalid(fields.invalid) : details(400, "Invalid JSON", fields.mistyped)
    }

    private static func details(
        _ status: Int, _ message: String, _ problems: [FieldProblem]
    ) -> ServiceAnswer {
        var paths: [String] = []
        for problem in problems where !paths.contains(problem.path) { paths.append(problem.path) }
        let details = paths.map { path -> JSON in
            let errors = problems.filter { $0.path == path }.map(\.message)
            return ["path": .string(path), "errors": .texts(errors)]
        }
        return ServiceAnswer(
            status, .json(["message": .string(message), "details": .array(details)]))
    }

    static func locked(by deployments: [Deployment]) -> ServiceAnswer {
        ServiceAnswer(
            409,
            .json([
                "message": .string(
                    "App is locked by one or more deployments. Override with the option "
                        + "'?force=true'. View details at '/v2/deployments/<DEPLOYMENT_ID>'."),
                "deployments": .array(deployments.map { ["id": .string($0.id)] }),
            ]))
    }

    static func noApp(_ path: AppPath) -> ServiceAnswer {
        message(404, "App '\(path)' does not exist")
    }
}
