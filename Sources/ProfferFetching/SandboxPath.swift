/// Paths below a sandbox.
public enum SandboxPath {
    private static let depthLimit = 64
    private static let byteLimit = 4000

    /// Whether a file can have this name and it leads nowhere else.
    public static func isName(_ text: String) -> Bool {
        !text.isEmpty && text != "." && text != ".." && text.utf8.count <= 255
            && !text.utf8.contains(0x2F) && !text.utf8.contains(0)
    }

    /// The names of a path; `.` and doubled slashes are left out.
    ///
    /// - Throws: ``FetchRefusal`` when the path is absolute, has `..` in it or is too long.
    public static func steps(_ path: String) throws(FetchRefusal) -> [String] {
        if path.hasPrefix("/") { throw FetchRefusal("'\(shown(path))' is an absolute path") }
        var steps: [String] = []
        for part in path.split(separator: "/") where part != "." {
            let name = String(part)
            if name == ".." { throw FetchRefusal("'\(shown(path))' has '..' in it") }
            guard isName(name) else {
                throw FetchRefusal("'\(shown(path))' has a name that no file can have")
            }
            steps.append(name)
        }
        guard steps.count <= depthLimit, path.utf8.count <= byteLimit else {
            throw FetchRefusal("'\(shown(path))' is too long or too deep")
        }
        return steps
    }

    /// Checks that a path is not that of a file that the task's output goes to.
    ///
    /// - Throws: ``FetchRefusal`` when it is.
    public static func checkReserved(_ steps: [String]) throws(FetchRefusal) {
        guard let first = steps.first else { return }
        let parts = first.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts[0] == "stdout" || parts[0] == "stderr" else { return }
        if parts.count == 1 || Int(parts[1]) != nil {
            throw FetchRefusal("'\(first)' is where the task's output goes")
        }
    }

    /// Checks the target of a symbolic link in a directory of the sandbox.
    ///
    /// It may climb only at its beginning and not out of the sandbox: a `..` behind a name could
    /// climb from wherever a link of that name leads to.
    ///
    /// - Parameters:
    ///   - target: What the link says.
    ///   - depth: How deep the directory is in which the link lies.
    /// - Throws: ``FetchRefusal`` when it could lead out.
    public static func checkLink(_ target: String, depth: Int) throws(FetchRefusal) {
        if target.hasPrefix("/") {
            throw FetchRefusal("a link leads to '\(shown(target))', an absolute path")
        }
        guard !target.isEmpty, target.utf8.count <= byteLimit, !target.utf8.contains(0) else {
            throw FetchRefusal("a link leads nowhere or too far")
        }
        var climbed = 0
        var hasName = false
        for part in target.split(separator: "/") where part != "." {
            if part != ".." {
                hasName = true
                continue
            }
            climbed += 1
            if hasName || climbed > depth {
                throw FetchRefusal("a link leads to '\(shown(target))', which can lead out")
            }
        }
    }

    /// A path for a message: short, and without what could move a cursor.
    static func shown(_ path: String) -> String {
        var text = ""
        for scalar in path.unicodeScalars.prefix(100) {
            text.unicodeScalars.append(scalar.value < 0x20 || scalar.value == 0x7F ? "?" : scalar)
        }
        return text
    }
}
