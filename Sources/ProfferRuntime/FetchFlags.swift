internal import ProfferContainers
internal import ProfferFetching

extension FetchSettings {
    /// Reads what an operator has decided about files that tasks want to have fetched.
    ///
    /// - Throws: ``DaemonProblem`` that names the first setting that is not valid.
    init(_ settings: DaemonSettings) throws {
        self.init()
        let mebibytes = 1...1_073_741_824
        fileBytes = Int64(try settings.number("fetch-size", default: 2048, in: mebibytes)) << 20
        unpackedBytes =
            Int64(try settings.number("fetch-unpacked-size", default: 8192, in: mebibytes)) << 20
        entries = try settings.number("fetch-entries", default: entries, in: 1...100_000_000)
        cacheBytes =
            Int64(try settings.number("fetch-cache", default: 2048, in: 0...1_073_741_824)) << 20
        stall = try settings.duration("fetch-stall-timeout", default: stall)
        for path in (settings.text("fetch-roots") ?? "").split(separator: ":") {
            let parts = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
            guard path.hasPrefix("/"), parts.allSatisfy({ !$0.isEmpty && $0 != "." && $0 != ".." })
            else {
                throw settings.invalid(
                    "fetch-roots", String(path), "an absolute path without '.' and '..'")
            }
            roots.append(String(path))
        }
        guard let text = settings.text("fetch-networks") else { return }
        let list = text.split(separator: ",").map(String.init)
        do throws(FetchRefusal) {
            _ = try FetchNetworks(list) { IPAddress.bytes($0) }
        } catch {
            throw settings.invalid(
                "fetch-networks", text, "a list of networks such as 10.0.0.0/8,2001:db8::/32")
        }
        networks = list
    }
}
