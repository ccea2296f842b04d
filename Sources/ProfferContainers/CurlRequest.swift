internal import Glibc
internal import ProfferModel

/// A check by HTTPS, which the node's `curl` makes: no executor carries a library for it.
struct CurlRequest {
    private static let places = ["/usr/local/bin/curl", "/usr/bin/curl", "/bin/curl"]
    private static let outputLimit = 4096
    /// The answer is longer than is read; its status is known all the same.
    private static let tooLong = 63

    let command: CommandInfo

    /// - Throws: ``SystemError`` when there is no `curl` or no such port.
    init(port: Int, path: String) throws(SystemError) {
        guard let port = UInt16(exactly: port), port > 0 else {
            throw SystemError("connect to", "port \(port)", code: EINVAL)
        }
        guard let program = Self.places.first(where: { access($0, X_OK) == 0 }) else {
            throw SystemError(
                "ask by", "HTTPS", code: ENOENT, hint: "curl is not installed on this node")
        }
        let url = "https://127.0.0.1:\(port)" + (path.hasPrefix("/") ? path : "/" + path)
        // The first option keeps it from reading a file in the sandbox; no redirect is followed.
        command = CommandInfo(
            value: program, shell: false,
            arguments: [
                program, "--disable", "--silent", "--show-error", "--insecure", "--globoff",
                "--noproxy", "*", "--proto", "=https", "--max-filesize", "1048576",
                "--user-agent", "proffer-executor", "--output", "/dev/null", "--write-out",
                "\\n%{http_code}\\n", "--url", url,
            ])
    }

    /// What it has found out; reads what it wrote.
    static func answer(_ exitCode: Int, _ output: Int32) -> CheckAnswer {
        var bytes = [UInt8](repeating: 0, count: outputLimit)
        let count = max(0, read(output, &bytes, bytes.count))
        let lines = bytes[..<count].split(separator: 0x0A).map {
            String(decoding: $0, as: UTF8.self)
        }
        let status = lines.lazy.compactMap { $0.utf8.count == 3 ? Int($0) : nil }.first ?? 0
        if exitCode == 0 || exitCode == tooLong, (100...999).contains(status) {
            return .http(status: status)
        }
        let words = lines.filter { $0 != "000" }
        return .failed(words.first ?? "curl exited with code \(exitCode)")
    }
}
