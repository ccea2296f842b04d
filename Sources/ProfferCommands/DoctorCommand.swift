internal import ArgumentParser
internal import Foundation
internal import Glibc
internal import ProfferAPI
internal import ProfferContainers
internal import ProfferIsolation
internal import ProfferZeroMQ

struct DoctorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Look whether this node is fit for an agent, and say what mends it.",
        discussion: """
            EXAMPLES:
              proffer doctor
              proffer doctor --isolation oci --data-dir /var/lib/proffer/agent
              proffer doctor --ports 5051 --json

            Each line says what works, lacks (the node can do without) or fails, and the command \
            that mends it. Container runtimes are tried, which needs root and leaves nothing. \
            Exit code 0 when nothing fails, 1 otherwise.
            """)

    @Option(
        help: "How the agent is to keep tasks apart: process, cgroup or oci.", transform: mode)
    var isolation: IsolationMode = .process

    @Option(
        name: .customLong("data-dir"),
        help: "The data directory of the agent or master, which need not be there yet.")
    var dataDir = "/var/lib/proffer"

    @Option(name: .customLong("secrets-directory"), help: "The agent's directory of secrets.")
    var secretsDirectory: String?

    @Option(
        name: .customLong("network-config-dir"),
        help: "Where networks of containers are described (default: /etc/cni/net.d).")
    var networkConfigDir: String?

    @Option(
        help: """
            Ports that must be free, separated by commas (default: 5050,5051,5060,5061, which may \
            be in use).
            """)
    var ports: String?

    @Option(name: [.customShort("o"), .long], help: "Format of the result: table or json.")
    var output: OutputFormat = .table

    @Flag(help: "The same as --output json.")
    var json = false

    func run() throws {
        let report = try examine()
        switch json ? .json : output {
        case .json:
            say(String(decoding: try APICoding.encode(report, pretty: true), as: UTF8.self))
        case .table: say(report.text)
        }
        if let problem = outputProblem { throw problem }
        if !report.fit { throw ExitCode(1) }
    }

    /// Looks at this node.
    func examine() throws -> DoctorReport {
        var settings = ContainerSettings()
        settings.networks = networkConfigDir ?? settings.networks
        var found = NodeExaminer(
            settings, dataDirectory: dataDir, secretsDirectory: secretsDirectory
        ).examine()
        found.messagingVersion = LibraryFacts.version
        found.hasEncryption = LibraryFacts.hasCurve
        found.ports = try wantedPorts().map(Self.look)
        found.needsPorts = ports != nil
        found.missingPrograms = Self.missingPrograms()
        return DoctorReport(found.judge(for: isolation), isolation)
    }

    private static func mode(_ text: String) throws -> IsolationMode {
        guard let mode = IsolationMode(rawValue: text) else {
            throw ValidationError("'\(text)' is no mode; write process, cgroup or oci")
        }
        return mode
    }

    private func wantedPorts() throws -> [Int] {
        try (ports ?? "5050,5051,5060,5061").split(separator: ",").map { text in
            guard let number = Int(text), (1...65_535).contains(number) else {
                throw ValidationError("'\(text)' in --ports is no port; write for example 5051")
            }
            return number
        }
    }

    /// Listens on a port for a moment.
    private static func look(at number: Int) -> NodeExamination.Port {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var (address, on) = (sockaddr_in(), Int32(1))
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(number).bigEndian
        setsockopt(
            descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        let size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isFree = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(descriptor, address, size) == 0 && listen(descriptor, 1) == 0
            }
        }
        return NodeExamination.Port(
            number: number, problem: isFree ? nil : String(cString: strerror(errno)))
    }

    private static func missingPrograms() -> [String] {
        let folder = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
            .deletingLastPathComponent()
        return ["proffer-agent", "proffer-executor", "proffer-fetcher"].filter { name in
            access(folder.appendingPathComponent(name).path, X_OK) != 0
        }
    }
}

/// What `proffer doctor` says.
struct DoctorReport: Codable {
    struct Finding: Codable {
        var subject: String
        var verdict: String
        var detail: String
        var mend: String?
    }

    /// Whether nothing fails.
    var fit: Bool
    /// The mode that was judged for.
    var isolation: String
    /// The version of this program.
    var version = profferVersion
    var findings: [Finding]

    init(_ found: [NodeFinding], _ mode: IsolationMode) {
        fit = found.allSatisfy { $0.verdict != .fails }
        isolation = mode.rawValue
        findings = found.map {
            Finding(
                subject: $0.subject, verdict: $0.verdict.rawValue, detail: $0.detail,
                mend: $0.mend)
        }
    }

    /// For people: one line for each finding, and one below for what mends it.
    var text: String {
        var lines: [String] = []
        let width = findings.map(\.subject.count).max() ?? 0
        for finding in findings {
            let subject = finding.subject.padding(toLength: width, withPad: " ", startingAt: 0)
            let verdict = finding.verdict.padding(toLength: 5, withPad: " ", startingAt: 0)
            var table = Table([])
            table.add(["\(verdict)  \(subject)  \(finding.detail)"])
            if let mend = finding.mend { table.add(["       mend: \(mend)"]) }
            lines += table.rows.map { $0.joined() }
        }
        let fails = findings.filter { $0.verdict == NodeFinding.Verdict.fails.rawValue }.count
        lines.append(
            fit
                ? "fit for --isolation \(isolation)"
                : "not fit for --isolation \(isolation): \(fails) of \(findings.count) fail")
        return lines.joined(separator: "\n")
    }
}
