internal import ArgumentParser
internal import Foundation
internal import Glibc

/// What `proffer dev fault` can do.
enum DevFaultKind: String, ExpressibleByArgument, CaseIterable, Sendable {
    case killLeader = "kill-leader"
    case pause
    case partition
    case heal
}

struct DevFault: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fault",
        abstract: "Harm a running dev cluster that has several masters, to see what it does.",
        discussion: """
            EXAMPLES:
              proffer dev fault kill-leader   kill -9 of the leading master; it is started again
              proffer dev fault pause         stop it as a hung machine does
              proffer dev fault partition     cut it off from etcd
              proffer dev fault heal          let everything go on

            It waits until another master leads, and says how long that took.
            """)

    @Argument(help: "kill-leader, pause, partition or heal.")
    var fault: DevFaultKind

    @Option(help: ArgumentHelp("Where the cluster's data is.", valueName: "directory"))
    var dataDir: String?

    func run() async throws {
        let path =
            dataDir.map { URL(fileURLWithPath: $0).standardizedFileURL.path }
            ?? homeDirectory + "/.proffer/dev"
        let cluster = try FaultCluster(path)
        if fault == .heal {
            try cluster.heal()
            say("healed: paused masters go on, and nothing is cut off")
            return
        }
        let before = try await cluster.leader()
        let begin = ContinuousClock.now
        switch fault {
        case .killLeader:
            kill(before.pid, SIGKILL)
            say("\(before.name) led and was killed (pid \(before.pid))")
        case .pause:
            kill(before.pid, SIGSTOP)
            say(
                "\(before.name) led and is paused (pid \(before.pid));"
                    + " 'proffer dev fault heal' ends it")
        case .partition:
            try cluster.partition(before.name)
            say("\(before.name) led and is cut off from etcd; 'proffer dev fault heal' ends it")
        case .heal: break
        }
        let after = try await cluster.leader(otherThan: before)
        say("\(after.name) leads after \(brief(ContinuousClock.now - begin)), epoch \(after.epoch)")
    }
}

/// A dev cluster as its data directory shows it.
struct FaultCluster {
    struct Leader: Sendable {
        var name: String
        var pid: Int32
        var epoch: UInt64
    }

    private struct Standing: Decodable {
        var leads: Bool
        var epoch: UInt64?
    }

    /// The name of the file that holds the name of the master that is cut off.
    static let partitionFile = "partition"

    let path: String
    private let names: [String]

    init(_ path: String) throws {
        self.path = path
        let found = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        names = found.filter { $0.hasPrefix("master-") }.sorted()
        guard names.count > 1 else {
            throw CommandProblem(
                .unreachable, "there is no dev cluster with several masters in \(path)",
                because: "it has no directories of masters",
                try: "start one with 'proffer dev --masters 3 --etcd', or name its --data-dir")
        }
    }

    private func endpoints(_ name: String) -> DevCluster.Endpoints? {
        FileManager.default.contents(atPath: "\(path)/\(name)/endpoints.json").flatMap {
            try? JSONDecoder().decode(DevCluster.Endpoints.self, from: $0)
        }
    }

    /// Waits for a leader, at most two minutes.
    func leader(otherThan before: Leader? = nil) async throws -> Leader {
        let end = ContinuousClock.now + .seconds(120)
        while ContinuousClock.now < end {
            for name in names where before.map({ $0.name != name }) ?? true {
                guard let known = endpoints(name), kill(known.pid, 0) == 0,
                    let standing = try? await Client(base: known.http).get(
                        "/v1/leader", as: Standing.self), standing.leads
                else { continue }
                return Leader(name: name, pid: known.pid, epoch: standing.epoch ?? 0)
            }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw CommandProblem(
            .timedOut, "no master leads", because: "two minutes were not enough",
            try: "look at \(path)/logs, and run 'proffer dev fault heal'")
    }

    func partition(_ name: String) throws {
        guard
            FileManager.default.createFile(
                atPath: "\(path)/\(Self.partitionFile)", contents: Data(name.utf8))
        else {
            throw CommandProblem(
                .failed, "\(path)/\(Self.partitionFile) cannot be written",
                because: String(cString: strerror(errno)),
                try: "run it as the user who started the cluster")
        }
    }

    func heal() throws {
        unlink("\(path)/\(Self.partitionFile)")
        for name in names {
            if let known = endpoints(name) { kill(known.pid, SIGCONT) }
        }
    }
}
