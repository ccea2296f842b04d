import ClusterProbe
import Foundation

/// Somebody who follows a page of the documents to the letter, on a machine of their own.
///
/// The machine is a temporary directory: home, `/var/lib/proffer` and `/etc/proffer` are in it, all
/// addresses are loopback and all ports free ones.
final class Reader {
    /// Commands that are not run, and why not.
    static let notRun: [String: String] = [
        "make demo": "builds everything in release mode, and then runs for a minute",
        "make test": "would run this test",
        "make bench": "builds everything in release mode, and then measures for minutes",
    ]

    private struct Daemon {
        var text: String
        var process: ShellProcess
    }

    private let page: DocumentPage
    private let directory: TemporaryDirectory
    private var environment: [String: String]
    /// What is different on this machine, in the order in which it is replaced.
    private var replacements: [(text: String, by: String)]
    private var daemons: [Daemon] = []
    private var etcd: EtcdCluster?

    init(_ page: DocumentPage) throws {
        self.page = page
        directory = try TemporaryDirectory("documents")
        for name in ["home", "var", "etc"] {
            try FileManager.default.createDirectory(
                atPath: directory.file(name), withIntermediateDirectories: false,
                attributes: [.posixPermissions: 0o700])
        }
        environment = [
            "PATH": ShellProcess.programs + ":/usr/local/bin:/usr/bin:/bin",
            "HOME": directory.file("home"), "LANG": "C.UTF-8",
            // As flags that are not given, so that those of the page are used as they are.
            "PROFFER_MASTER_HTTP_PORT": "0", "PROFFER_MASTER_FRAMEWORK_PORT": "0",
            "PROFFER_MASTER_AGENT_PORT": "0", "PROFFER_AGENT_HTTP_PORT": "0",
        ]
        environment["LD_LIBRARY_PATH"] = ProcessInfo.processInfo.environment["LD_LIBRARY_PATH"]
        replacements = [
            ("swift run -c release ", ShellProcess.programs + "/"),
            (".build/release/", ShellProcess.programs + "/"),
            ("/var/lib/proffer", directory.file("var")),
            ("/etc/proffer", directory.file("etc")),
        ]
        for block in page.blocks where block.language == "yaml" {
            let name = block.text.split(separator: "\n").first?.dropFirst("name: ".count) ?? "job"
            try TextFile.write(block.text, to: directory.file("\(name).yaml"))
        }
    }

    private func replaced(_ text: String) -> String {
        var text = replacements.reduce(text) { $0.replacingOccurrences(of: $1.text, with: $1.by) }
        for number in 1...9 {
            text = text.replacingOccurrences(of: "10.0.0.\(number)", with: "127.0.0.\(number)")
        }
        return text
    }

    /// Runs every command of the page, in order; returns those that did not do well, in words.
    func follow() async throws -> [String] {
        var problems: [String] = []
        let members = "etcd://10.0.0.1:2379,10.0.0.2:2379,10.0.0.3:2379"
        if page.commands.contains(where: { $0.text.contains(members) }) {
            let etcd = try await EtcdCluster(members: 3)
            replacements.append((members, etcd.registry))
            self.etcd = etcd
        }
        for command in page.commands where Self.notRun[command.text] == nil {
            let place = "\(page.path):\(command.line): '\(command.text)'"
            do {
                if let problem = try await run(command.text) { problems.append(place + problem) }
            } catch {
                problems.append(place + ": \(error)")
                break
            }
        }
        for daemon in daemons.reversed() {
            let code = try await daemon.process.interrupt()
            // A program that has not come to its first line yet is ended by the signal itself.
            let hasBegun = !daemon.process.output.isEmpty
            if code != 0, hasBegun || code != SIGINT {
                problems.append(
                    "\(page.path): '\(daemon.text)' ended with \(code) after Ctrl-C and wrote: "
                        + daemon.process.output)
            }
        }
        for pid in ProcessTable.having("PROFFER_SANDBOX", below: directory.path)
            + ProcessTable.having("PROFFER_DIRECTORY", below: directory.path)
        {
            ProcessTable.kill(pid)
        }
        return problems
    }

    private func run(_ text: String) async throws -> String? {
        let words = replaced(text).split(separator: " ").map(String.init)
        let program = words.first?.split(separator: "/").last.map(String.init) ?? ""
        let command = words.count > 1 ? program + " " + words[1] : program
        switch (program, command) {
        case (_, "proffer dev") where !words.contains("fault"): try await startDev(text)
        case ("proffer-master", _): try await startMaster(text)
        case ("proffer-agent", _): try await startAgent(text)
        case ("service-scheduler", _), (_, "batch-scheduler serve"):
            try await startScheduler(text)
        case (_, "proffer logs") where words.contains("-f"): try start(text)
        default:
            let process = try process(replaced(text))
            let code = try await process.exitCode()
            if code != 0 { return " ended with \(code) and wrote: \(process.output)" }
            if command == "proffer keygen" { try allow(process.output, in: "frameworks.allow") }
        }
        return nil
    }

    private func process(_ text: String) throws -> ShellProcess {
        try ShellProcess(text, in: directory.path, environment: environment)
    }

    @discardableResult
    private func start(_ text: String, _ more: String = "") throws -> ShellProcess {
        let process = try process(replaced(text) + more)
        daemons.append(Daemon(text: text, process: process))
        return process
    }

    /// Waits for a file while the program that makes it runs.
    private func wait(for path: String, of process: ShellProcess) async throws -> Data {
        try await eventually("\(path); '\(process.text)' wrote: \(process.output)") {
            guard process.isRunning else {
                throw NeverHappened(
                    description: "'\(process.text)' has ended and wrote: \(process.output)")
            }
            return FileManager.default.contents(atPath: path)
        }
    }

    // MARK: Programs that run until they are stopped

    private func startDev(_ text: String) async throws {
        let path = directory.file("home") + "/.proffer/context.json"
        for attempt in 1... {
            do {
                _ = try await wait(for: path, of: try start(text))
                return
            } catch {
                // It looks which ports are free, and another test may be faster.
                let isTaken = daemons.last?.process.output.contains("in use") == true
                guard isTaken, attempt < 5 else { throw error }
                daemons.removeLast()
            }
        }
    }

    private func startMaster(_ text: String) async throws {
        struct Endpoints: Decodable {
            var http: String
            var frameworks: String
            var agents: String
            var publicKey: String
        }
        let data = try await wait(
            for: directory.file("var") + "/master/endpoints.json", of: try start(text))
        let endpoints = try JSONDecoder().decode(Endpoints.self, from: data)
        environment["MASTER_KEY"] = endpoints.publicKey
        replacements += [
            ("tcp://10.0.0.1:5060", endpoints.frameworks),
            ("tcp://10.0.0.1:5061", endpoints.agents),
            ("http://10.0.0.1:5050", endpoints.http),
            ("the master's public key", endpoints.publicKey),
        ]
        try FileManager.default.copyItem(
            atPath: directory.file("var") + "/master/operator.token",
            toPath: directory.file("etc") + "/operator.token")
        for block in page.blocks
        where block.language == "json" && block.text.contains("\"masterKey\"") {
            try TextFile.write(replaced(block.text), to: directory.file("etc") + "/context.json")
        }
        environment["PROFFER_CONTEXT"] = directory.file("etc") + "/context.json"
    }

    private func startAgent(_ text: String) async throws {
        let process = try start(text)
        let keys = try await wait(for: directory.file("var") + "/agent/agent.key", of: process)
        let words = String(decoding: keys, as: UTF8.self).split { " \n".contains($0) }
        let place = words.firstIndex(of: "public").map { $0 + 1 } ?? words.endIndex
        guard place < words.endIndex else {
            throw NeverHappened(description: "agent.key has no word 'public'")
        }
        try allow(String(words[place]), in: "agents.allow")
        try await eventually("the agent to be admitted; it wrote: \(process.output)") {
            process.output.contains("admitted by the master")
        }
    }

    private func startScheduler(_ text: String) async throws {
        let words = replaced(text).split(separator: " ").map(String.init)
        guard let flag = words.firstIndex(of: "--data-dir"), flag + 1 < words.count else {
            throw NeverHappened(description: "no --data-dir")
        }
        let process = try start(text, " --http-port 0")
        _ = try await wait(for: words[flag + 1] + "/endpoints.json", of: process)
    }

    private func allow(_ key: String, in list: String) throws {
        let path = directory.file("var") + "/master/" + list
        let line = key.trimmingCharacters(in: .whitespacesAndNewlines) + " test\n"
        try TextFile.write((TextFile.read(path) ?? "") + line, to: path)
    }
}
