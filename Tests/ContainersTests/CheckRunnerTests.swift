import Glibc
import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferContainers

/// A server that gives every connection the same answer and then closes it.
private final class OneAnswerServer: Sendable {
    let port: Int
    private let descriptor: Int32

    /// Listens; with `nil`, connections are made but nothing is ever said.
    init(_ answer: String?) throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                _ = bind(listener, $0, size)
                _ = listen(listener, 8)
                _ = getsockname(listener, $0, &size)
            }
        }
        descriptor = listener
        port = Int(UInt16(bigEndian: address.sin_port))
        guard let answer else { return }
        var thread = pthread_t()
        let box = Unmanaged.passRetained(Job(listener: listener, answer: answer))
        pthread_create(
            &thread, nil,
            { raw in
                guard let raw else { return nil }
                let job = Unmanaged<Job>.fromOpaque(raw).takeRetainedValue()
                while true {
                    let client = accept(job.listener, nil, nil)
                    if client < 0 { return nil }
                    var buffer = [UInt8](repeating: 0, count: 4096)
                    _ = recv(client, &buffer, buffer.count, 0)
                    let bytes = Array(job.answer.utf8)
                    _ = send(client, bytes, bytes.count, Int32(MSG_NOSIGNAL))
                    close(client)
                }
            }, box.toOpaque())
        pthread_detach(thread)
    }

    deinit {
        shutdown(descriptor, Int32(SHUT_RDWR))
        close(descriptor)
    }

    private final class Job: Sendable {
        let listener: Int32
        let answer: String
        init(listener: Int32, answer: String) {
            self.listener = listener
            self.answer = answer
        }
    }
}

@Suite("Check runner")
struct CheckRunnerTests {
    private func answer(
        to kind: CheckKind, in scratch: Scratch, timeout: Duration = .seconds(20),
        network: String? = nil
    ) throws -> CheckAnswer? {
        var runner = try CheckRunner()
        let plan = CheckPlan(
            kind: kind, directory: scratch.path, environment: scratch.standardEnvironment,
            network: network, deadline: monotonicNow() + timeout)
        runner.start(plan, token: 5)
        while let deadline = runner.nextDeadline {
            let wait = max(.zero, deadline - monotonicNow())
            let milliseconds = Int32(clamping: wait.inNanoseconds / 1_000_000 + 1)
            let answers = runner.takeAnswers(at: monotonicNow(), within: milliseconds)
            if let first = answers.first {
                #expect(first.token == 5)
                #expect(answers.count == 1)
                return first.answer
            }
        }
        return nil
    }

    @Test("an HTTP check gives the status code", arguments: [200, 302, 404, 503])
    func http(status: Int) throws {
        let server = try OneAnswerServer(
            "HTTP/1.1 \(status) Word\r\nLocation: http://10.0.0.1/\r\n\r\n"
                + String(repeating: "x", count: 100_000))
        let kind = CheckKind.http(scheme: "http", port: server.port, path: "/health")
        #expect(try answer(to: kind, in: try Scratch()) == .http(status: status))
    }

    @Test("an answer that is not HTTP is a failure", arguments: ["hello\n", "", "HTTP/1.1 abc\n"])
    func notHTTP(text: String) throws {
        let server = try OneAnswerServer(text)
        let kind = CheckKind.http(scheme: "http", port: server.port, path: "/")
        #expect(try answer(to: kind, in: try Scratch()) == .failed("the answer was not HTTP"))
    }

    @Test("a first line without end is cut off")
    func endless() throws {
        let server = try OneAnswerServer(String(repeating: "y", count: 1_000_000))
        let kind = CheckKind.http(scheme: "http", port: server.port, path: "/")
        #expect(try answer(to: kind, in: try Scratch()) == .failed("the answer was not HTTP"))
    }

    @Test("a server that says nothing times out")
    func silent() throws {
        let server = try OneAnswerServer(nil)
        let kind = CheckKind.http(scheme: "http", port: server.port, path: "/")
        let result = try answer(to: kind, in: try Scratch(), timeout: .milliseconds(50))
        #expect(result == .timedOut)
    }

    @Test("a path with a line end in it is not sent")
    func injection() throws {
        let kind = CheckKind.http(scheme: "http", port: 80, path: "/ HTTP/1.1\r\nX: y")
        #expect(try answer(to: kind, in: try Scratch()) == .failed("the path is not valid"))
    }

    @Test("a scheme that is neither HTTP nor HTTPS is refused")
    func scheme() throws {
        let kind = CheckKind.http(scheme: "ftp", port: 1, path: "/")
        #expect(try answer(to: kind, in: try Scratch()) == .failed("'ftp' is not supported"))
    }

    @Test(
        "an HTTPS check gives the status code, whoever signed the certificate",
        .enabled(if: SecureServer.isPossible, "needs curl and openssl"))
    func https() throws {
        let scratch = try Scratch()
        let server = try SecureServer(scratch)
        let kind = CheckKind.http(scheme: "HTTPS", port: server.port, path: "/")
        #expect(try answer(to: kind, in: scratch) == .http(status: 200))
        server.end()
        guard case .failed(let why) = try answer(to: kind, in: scratch) else {
            Issue.record("a closed port gave an answer")
            return
        }
        #expect(why.contains("onnect"), "\(why)")
    }

    @Test(
        "HTTPS that is answered with something else is a failure",
        .enabled(if: SecureServer.isPossible, "needs curl and openssl"))
    func notSecure() throws {
        let server = try OneAnswerServer("HTTP/1.1 200 OK\r\n\r\n")
        let kind = CheckKind.http(scheme: "https", port: server.port, path: "/")
        guard case .failed = try answer(to: kind, in: try Scratch()) else {
            Issue.record("an answer without TLS was taken")
            return
        }
    }

    @Test(
        "a task with a network of its own is asked there, and the next one on the node again",
        .enabled(if: geteuid() == 0, "needs root"))
    func network() throws {
        let scratch = try Scratch()
        let server = try OneAnswerServer(nil)
        let ready = "echo >up; mv up ready; exec sleep 1000"
        let process = try ProcessLauncher.start(
            scratch.plan("exec unshare --net sh -c '\(ready)'"))
        var watcher = try ProcessWatcher()
        try watcher.watchChild(process, token: 1)
        #expect(eventually { access(scratch.path + "/ready", F_OK) == 0 })
        let kind = CheckKind.tcp(port: server.port)
        let away = "/proc/\(process.pid)/ns/net"
        #expect(try answer(to: kind, in: scratch, network: away) != .tcp(succeeded: true))
        #expect(try answer(to: kind, in: scratch) == .tcp(succeeded: true))
        let own = try answer(to: kind, in: scratch, network: "/proc/self/ns/net")
        #expect(own == .tcp(succeeded: true))
        guard case .failed = try answer(to: kind, in: scratch, network: "/proc/0/ns/net") else {
            Issue.record("a network that there is not was entered")
            return
        }
        watcher.signalGroup(1, SIGKILL)
        _ = watcher.takeEnds(within: 10_000)
    }

    @Test("a TCP check tells an open port from a closed one")
    func tcp() throws {
        let server = try OneAnswerServer(nil)
        let scratch = try Scratch()
        #expect(try answer(to: .tcp(port: server.port), in: scratch) == .tcp(succeeded: true))
        // Bound but not listening: nobody else can have the port meanwhile.
        let closed = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(closed) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                _ = bind(closed, $0, size)
                _ = getsockname(closed, $0, &size)
            }
        }
        let port = Int(UInt16(bigEndian: address.sin_port))
        #expect(try answer(to: .tcp(port: port), in: scratch) == .tcp(succeeded: false))
    }

    @Test("a command check gives the exit code and runs in the sandbox")
    func command() throws {
        let scratch = try Scratch()
        let kind = CheckKind.command(CommandInfo(value: "touch here; exit 5"))
        #expect(try answer(to: kind, in: scratch) == .command(exitCode: 5))
        #expect(access(scratch.path + "/here", F_OK) == 0)
    }

    @Test("a command that takes too long is killed with its children")
    func slowCommand() throws {
        let scratch = try Scratch()
        let kind = CheckKind.command(
            CommandInfo(value: "sleep 1000 & echo $! > pid; mv pid child; wait"))
        let result = try answer(to: kind, in: scratch, timeout: .seconds(1))
        #expect(result == .timedOut)
        let child = try #require(Int32(scratch.text("child").dropLast()))
        let identity = ProcessIdentity(pid: child)
        #expect(eventually { identity?.isAlive != true })
    }

    @Test("a command that does not exist is a failure, not an exit code")
    func missingCommand() throws {
        let kind = CheckKind.command(CommandInfo(value: "/no/such", shell: false))
        let result = try answer(to: kind, in: try Scratch())
        #expect(result == .failed("cannot start '/no/such': No such file or directory"))
    }
}

@Suite("Probes")
struct ProbeTests {
    @Test("a node has cores, memory, disk and the default ports")
    func node() {
        let resources = NodeProbe.resources(diskAt: "/tmp")
        #expect(resources.cpus >= Milli(1))
        #expect(resources.mem > .zero)
        #expect(resources.disk > .zero)
        #expect(resources.ports == IntervalSet([31_000...32_000]))
        #expect(NodeProbe.bootID.utf8.count == 36)
        #expect(!NodeProbe.hostname.isEmpty)
    }

    @Test("what a node uses is within what it has")
    func nodeUsage() {
        let usage = UsageProbe.node(diskAt: "/tmp")
        #expect(usage.cpuTime > .zero)
        #expect(usage.memoryUsedBytes > 0)
        #expect(usage.memoryUsedBytes < usage.memoryTotalBytes)
        #expect(usage.diskUsedBytes <= usage.diskTotalBytes)
        #expect(usage.diskTotalBytes > 0)
    }

    @Test("a session is measured with all its processes")
    func sessionUsage() throws {
        let scratch = try Scratch()
        var watcher = try ProcessWatcher()
        let process = try ProcessLauncher.start(
            scratch.plan("sleep 1000 & sleep 1000 & touch up; wait"))
        try watcher.watchChild(process, token: 1)
        #expect(eventually { access(scratch.path + "/up", F_OK) == 0 })
        #expect(eventually { UsageProbe.sessions([process.pid])[0].processes == 3 })
        let usages = UsageProbe.sessions([process.pid, 0x7FFF_FFFF])
        #expect(usages.count == 2)
        #expect(usages[0].memoryBytes > 0)
        #expect(usages[1] == SessionUsage())
        watcher.signalGroup(1, SIGKILL)
        _ = watcher.takeEnds(within: 10_000)
    }

    @Test("a program's name cannot confuse the reader of its state")
    func oddName() throws {
        let text = "42 (a) b (c)) S 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 999 1000 77 1 1"
        let stat = try #require(ProcessStat(Array(text.utf8)))
        #expect(stat.parent == 1)
        #expect(stat.session == 42)
        #expect(stat.cpuTicks == 5 + 6 + 7 + 8)
        #expect(stat.startTicks == 999)
        #expect(stat.residentPages == 77)
        #expect(ProcessStat(Array("42 (x".utf8)) == nil)
        #expect(ProcessStat([]) == nil)
    }
}

@Suite("Executor launcher")
struct ExecutorLauncherTests {
    @Test("an executor writes to its log, and its end is reported")
    func starts() throws {
        let scratch = try Scratch()
        var launcher = try ExecutorLauncher()
        let process = try launcher.start(
            CommandInfo(value: "echo started; echo $NAME >&2; exit 4"),
            environment: scratch.standardEnvironment
                + [EnvironmentVariable(name: "NAME", value: "value")],
            directory: scratch.path, token: 9)
        let first = launcher.takeEnds(within: 10_000).first
        let end = try #require(first)
        #expect(end.token == 9)
        #expect(end.process == process)
        #expect(end.exit?.code == 4)
        #expect(scratch.text(ExecutorLauncher.logName) == "started\nvalue\n")
    }

    @Test("an executor that has died meanwhile is not adopted")
    func adoptDead() throws {
        var launcher = try ExecutorLauncher()
        let gone = ProcessIdentity(pid: 1, startTicks: .max)
        let isAdopted = try launcher.adopt(gone, token: 1)
        #expect(!isAdopted)
    }
}
