internal import Foundation
internal import Logging
internal import ServiceLifecycle

/// The hosts whose agents may be offered, one a line; `#` begins a comment, and a line with `*` is
/// every host.
struct WhitelistFile: Sendable {
    let path: String

    /// The hosts; `nil` is every one.
    ///
    /// - Throws: ``DaemonProblem`` when the file cannot be read: it keeps agents from being
    ///   offered, so its absence cannot mean that all may be.
    func read() throws -> [String]? {
        let data: Data
        do {
            data = try Data(contentsOf: URL(fileURLWithPath: path))
        } catch {
            throw DaemonProblem(
                .configuration, "the whitelist \(path) cannot be read", because: "\(error)",
                try: "make it readable; a line with * lets every host be offered")
        }
        var hosts: [String] = []
        var seen: Set<String> = []
        for line in String(decoding: data, as: UTF8.self).split(whereSeparator: \.isNewline) {
            let words = line.prefix { $0 != "#" }.split(whereSeparator: \.isWhitespace)
            for word in words {
                if word == "*" { return nil }
                if seen.insert(String(word)).inserted { hosts.append(String(word)) }
            }
        }
        return hosts
    }

    func stamp() -> AllowListFile.Stamp? { AllowListFile(path: path, domain: "").stamp() }
}

/// Tells a master of its whitelist's file whenever that has changed.
struct WhitelistService: Service {
    /// How often the file is looked at.
    private static let interval = Duration.seconds(1)

    let file: WhitelistFile
    /// The file as it was before it was read first.
    let stamp: AllowListFile.Stamp?
    let logger: Logger
    let changed: @Sendable ([String]?) -> Void

    func run() async throws {
        try? await cancelWhenGracefulShutdown {
            var known = stamp
            while !Task.isCancelled {
                try await Task.sleep(for: Self.interval)
                let now = file.stamp()
                guard now != known else { continue }
                known = now
                load()
            }
        }
    }

    private func load() {
        do {
            let hosts = try file.read()
            changed(hosts)
            logger.info(
                "read whose agents may be offered",
                metadata: [
                    "file": "\(file.path)", "hosts": "\(hosts.map { "\($0.count)" } ?? "all")",
                ])
        } catch {
            logger.warning(
                "the whitelist stays as it is", metadata: ["because": "\(error)"])
        }
    }
}
