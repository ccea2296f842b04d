import ArgumentParser
import Foundation
import Glibc
import Hummingbird
import Logging
import ProfferAPI
import ProfferHTTP
import ProfferKernel
import ProfferModel
import Synchronization
import Testing

@testable import ProfferCommands

/// A master that gives the answers of a test over HTTP and notes the calls.
private final class StubMaster: ClusterView {
    private let calls = Mutex<[OperatorCall]>([])
    private let given: @Sendable (OperatorCall) -> OperatorAnswer

    init(_ given: @escaping @Sendable (OperatorCall) -> OperatorAnswer) { self.given = given }

    var asked: [OperatorCall] { calls.withLock { $0 } }

    func answer(_ call: OperatorCall) async throws -> OperatorAnswer {
        calls.withLock { $0.append(call) }
        return given(call)
    }

    func events() -> AsyncStream<ClusterEvent> { AsyncStream { $0.finish() } }

    /// Serves until `body` has ended; that is given the path of a cluster file.
    func serve(_ body: @escaping @Sendable (String) async throws -> Void) async throws {
        let server = MasterServer(view: self, metrics: PrometheusRegistry(), token: "secret")
        let (ports, continuation) = AsyncStream.makeStream(of: Int.self)
        let application = server.application(
            address: .hostname("127.0.0.1", port: 0), logger: Logger(label: "stub")
        ) { port in continuation.yield(port) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await application.run() }
            for await port in ports {
                try await withTemporaryDirectory { folder in
                    let token = folder + "/token"
                    try "secret\n".write(toFile: token, atomically: true, encoding: .utf8)
                    var context = ClusterContext(
                        master: [], masterKey: "", keyFile: "", http: "http://127.0.0.1:\(port)")
                    context.tokenFile = token
                    try context.save(folder + "/context.json")
                    try await body(folder + "/context.json")
                }
                break
            }
            group.cancelAll()
        }
    }
}

/// Takes connections, hears the beginning of what is said, and closes them.
private final class MuteServer: Sendable {
    private let descriptor: Int32
    private let count = Mutex(0)
    private let isListening: Bool
    let base: String

    var connections: Int { count.withLock { $0 } }

    // Connections are taken; or the port is only kept, so that nobody else has it.
    init(isListening: Bool = true) throws {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(socket, address, length) == 0
                    && (!isListening || listen(socket, 8) == 0)
                    && getsockname(socket, address, &length) == 0
            }
        }
        try #require(isBound)
        descriptor = socket
        base = "http://127.0.0.1:\(UInt16(bigEndian: address.sin_port))"
        self.isListening = isListening
        guard isListening else { return }
        let thread = Thread { [self] in
            while case let connection = accept(descriptor, nil, nil), connection >= 0 {
                var buffer = [UInt8](repeating: 0, count: 4096)
                _ = read(connection, &buffer, buffer.count)
                count.withLock { $0 += 1 }
                close(connection)
            }
            close(descriptor)
        }
        thread.start()
    }

    /// Once; the number of the descriptor is another's afterwards.
    func end() {
        // The thread that accepts closes it, when it has seen the end.
        if isListening { shutdown(descriptor, Int32(SHUT_RDWR)) } else { close(descriptor) }
    }
}

@Suite("Commands with a master")
struct StubMasterTests {
    private static let waiting = DemandSummary(
        demand: Demand(id: "/web", role: "web", resources: Resources(cpus: Milli(2)).quantities),
        waitingSince: WallTime(nanosecondsSince1970: 0),
        explanation: PlacementExplanation(agents: 1))

    private static func framework(_ id: FrameworkID, _ name: String) -> FrameworkSummary {
        FrameworkSummary(
            info: FrameworkInfo(name: name, id: id, roles: ["*"]), isConnected: true,
            isActive: true)
    }

    private static func answer(_ call: OperatorCall) -> OperatorAnswer {
        switch call {
        case .frameworks:
            .frameworks([framework("f-1", "services"), framework("f-2", "batch")])
        case .agents: .agents([])
        case .whyFramework("f-1"): .demands([waiting])
        case .whyFramework: .demands([])
        case .why: .why(PlacementExplanation(agents: 1))
        case .quotas: .quotas([])
        case .roles: .roles([])
        case .inverseOffers: .inverseOffers([])
        case .whitelist: .whitelist(["n1"])
        case .setQuotas(let list, _) where list.contains { $0.role == "greedy" }:
            .refused("there are 4 cpus")
        case .setQuotas, .setWeight: .done
        case .tasks: .tasks([])
        default: .refused("not asked in this test")
        }
    }

    /// What a command asks, and the problem with which it ends.
    private func run(
        _ arguments: [String],
        _ answer: @escaping @Sendable (OperatorCall) -> OperatorAnswer = {
            StubMasterTests.answer($0)
        }
    ) async throws -> ([OperatorCall], CommandProblem?) {
        let master = StubMaster(answer)
        let problem = Mutex<CommandProblem?>(nil)
        try await master.serve { context in
            do {
                let parsed = try ProfferCommand.parseAsRoot(arguments + ["--context", context])
                var command = try #require(parsed as? any AsyncParsableCommand)
                try await command.run()
            } catch let error as CommandProblem {
                problem.withLock { $0 = error }
            }
        }
        return (master.asked, problem.withLock { $0 })
    }

    @Test("a framework is asked about by its id, the beginning of it, or its name")
    func framework() async throws {
        for name in ["f-1", "services"] {
            let (asked, problem) = try await run(["why", "framework", name])
            #expect(problem == nil)
            #expect(asked == [.frameworks, .whyFramework("f-1"), .agents])
        }
        let (_, several) = try await run(["why", "framework", "f"])
        #expect(several?.because == "f-1, f-2")
        let (_, none) = try await run(["why", "framework", "x"])
        #expect(none?.code == .notFound)
    }

    @Test("a demand is looked for in its framework; another one is not there")
    func demand() async throws {
        let (asked, problem) = try await run([
            "why", "demand", "/web", "--framework", "services", "-o", "json",
        ])
        #expect(problem == nil)
        #expect(asked == [.frameworks, .whyFramework("f-1")])
        let (_, missing) = try await run(["why", "demand", "/api", "--framework", "services"])
        #expect(missing?.code == .notFound)
        #expect(missing?.because == "it states '/web'")
    }

    @Test("a service that waits is found in every framework by the name of its demand")
    func task() async throws {
        let (asked, problem) = try await run(["why", "task", "web"])
        #expect(problem == nil)
        #expect(
            asked == [.frameworks, .whyFramework("f-1"), .whyFramework("f-2"), .agents])
        let (_, missing) = try await run(["why", "task", "api"])
        #expect(missing?.code == .notFound)
    }

    @Test("a framework that ended is passed over, and a master that cannot say is said to")
    func unanswered() async throws {
        let (_, ended) = try await run(["why", "task", "web"]) { call in
            call == .whyFramework("f-2") ? .notFound("it ended") : Self.answer(call)
        }
        #expect(ended == nil)
        let (_, mute) = try await run(["why", "task", "web"]) { call in
            call == .whyFramework("f-2") ? .refused("not served") : Self.answer(call)
        }
        #expect(mute?.because == "not served")
    }

    @Test("an order that may have been carried out is not given to a second master")
    func unknownOutcome() async throws {
        let master = StubMaster { Self.answer($0) }
        try await master.serve { path in
            let context = try ClusterContext.load(path)
            let mute = try MuteServer()
            let client = Client(
                base: mute.base + "," + context.http, tokenFile: context.tokenFile)
            _ = try await client.get("/v1/whitelist", as: WhitelistObject.self)
            #expect(mute.connections == 1)
            await #expect(throws: CommandProblem.self) {
                try await client.order(.put, "/v1/whitelist", WhitelistChangeObject(["n1"]))
            }
            #expect(mute.connections == 2)
            mute.end()
        }
        #expect(master.asked == [.whitelist])
    }

    @Test("an order that was certainly not heard is given to the next master")
    func refusedConnection() async throws {
        let master = StubMaster { _ in .done }
        try await master.serve { path in
            let context = try ClusterContext.load(path)
            let mute = try MuteServer(isListening: false)
            let client = Client(
                base: mute.base + "," + context.http, tokenFile: context.tokenFile)
            try await client.order(.put, "/v1/whitelist", WhitelistChangeObject(["n1"]))
            mute.end()
        }
        #expect(master.asked == [.setWhitelist(["n1"])])
    }

    @Test("a shape is asked about as it is given")
    func shape() async throws {
        let (asked, problem) = try await run([
            "why", "shape", "--role", "web", "--cpus", "2", "--framework", "batch",
        ])
        #expect(problem == nil)
        let demand = Demand(
            id: "question", role: "web", resources: Resources(cpus: Milli(2)).quantities)
        #expect(
            asked == [
                .frameworks, .why(PlacementQuestion(framework: "f-2", demand: demand)), .agents,
            ])
    }

    @Test("quotas are shown, set and cleared")
    func quota() async throws {
        #expect(try await run(["quota"]).0 == [.quotas])
        let (asked, problem) = try await run([
            "quota", "set", "web", "--guarantee", "cpus:2", "--limit", "cpus:4.5", "--force",
        ])
        #expect(problem == nil)
        let quota = Quota(
            role: "web", guarantees: Resources(cpus: Milli(2)).quantities,
            limits: [QuotaLimit(name: "cpus", amount: Milli(thousandths: 4500))])
        #expect(asked == [.setQuotas([quota], isForced: true)])
        #expect(
            try await run(["quota", "clear", "web"]).0
                == [.setQuotas([Quota(role: "web")], isForced: false)])
        let (_, refused) = try await run(["quota", "set", "greedy", "--guarantee", "cpus:9"])
        #expect(refused?.code == .conflict)
        #expect(refused?.because == "there are 4 cpus")
    }

    @Test("weights are shown and set, roles are listed with their quotas")
    func weight() async throws {
        #expect(try await run(["weight"]).0 == [.roles])
        #expect(
            try await run(["weight", "set", "eng/dev", "2.5"]).0
                == [.setWeight(role: "eng/dev", thousandths: 2500)])
        #expect(try await run(["roles"]).0 == [.roles, .quotas])
        #expect(try await run(["roles", "-o", "json"]).0 == [.roles])
    }

    @Test("limits of priority are shown, set and taken away")
    func priority() async throws {
        #expect(try await run(["priority"]).0 == [.roles])
        #expect(
            try await run(["priority", "set", "eng/dev", "5"]).0
                == [.setPriorityLimit(role: "eng/dev", 5)])
        #expect(
            try await run(["priority", "clear", "eng/dev"]).0
                == [.setPriorityLimit(role: "eng/dev", nil)])
    }

    @Test("the whitelist is shown, set and taken away; none has to be said")
    func whitelist() async throws {
        #expect(try await run(["whitelist"]).0 == [.whitelist])
        #expect(
            try await run(["whitelist", "set", "n1", "n2"]).0 == [.setWhitelist(["n1", "n2"])])
        #expect(try await run(["whitelist", "set", "--none"]).0 == [.setWhitelist([])])
        #expect(try await run(["whitelist", "clear"]).0 == [.setWhitelist(nil)])
        for wrong in [["whitelist", "set"], ["whitelist", "set", "n1", "--none"]] {
            #expect(throws: (any Error).self) { try ProfferCommand.parseAsRoot(wrong) }
        }
    }

    @Test("reservations are made, changed and taken off")
    func reservations() async throws {
        func cpus(_ role: String, _ principal: String? = nil) -> Resources {
            Resources([
                Resource(
                    "cpus", .scalar(Milli(2)),
                    reservations: [.init(role: role, principal: principal)])
            ])
        }
        #expect(
            try await run(["reserve", "a-1", "web", "cpus:2", "--principal", "p"]).0
                == [.reserve("a-1", cpus("web", "p"), source: Resources())])
        #expect(
            try await run(["reserve", "a-1", "web", "cpus:2", "--from", "batch"]).0
                == [.reserve("a-1", cpus("web"), source: cpus("batch"))])
        #expect(
            try await run(["unreserve", "a-1", "web", "cpus:2"]).0
                == [.unreserve("a-1", cpus("web"))])
        for wrong in [["reserve", "a-1", "web"], ["unreserve", "a-1", "web", "cpus"]] {
            #expect(throws: (any Error).self) { try ProfferCommand.parseAsRoot(wrong) }
        }
    }

    @Test("inverse offers are listed instead of offers when they are asked for")
    func inverseOffers() async throws {
        #expect(try await run(["offers", "--inverse"]).0 == [.inverseOffers])
    }
}
