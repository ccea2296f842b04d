/// One thing that is wrong with a job file, and where.
struct JobFileProblem: Hashable, Codable, Sendable {
    /// From 1; 0 when it concerns the whole file.
    var line: Int
    /// From 1, in characters.
    var column: Int
    /// What is wrong.
    var what: String
    /// What is allowed.
    var because: String
    /// What to do.
    var advice: String

    /// In the form of every error, with the place first.
    func text(file: String) -> String {
        "error[E1065]: \(file):\(line):\(column): \(what)\n  because: \(because)\n"
            + "  try: \(advice)"
    }
}

/// Everything that is wrong with a job file, in the order of the file.
struct JobFileProblems: Error {
    var problems: [JobFileProblem]

    init(_ problems: [JobFileProblem]) {
        self.problems = problems.sorted { ($0.line, $0.column) < ($1.line, $1.column) }
    }

    func text(file: String) -> String {
        problems.map { $0.text(file: file) }.joined(separator: "\n")
    }
}
