internal import Foundation
internal import Glibc

/// The etcd of a dev cluster: three members, and for each master a relay to them.
struct DevEtcd: Sendable {
    static let memberCount = 3

    /// A member's ports.
    struct Member: Codable, Sendable {
        var client: UInt16
        var peer: UInt16
    }

    let program: String
    let members: [Member]

    /// Looks for etcd, and for the ports of an earlier run in a directory that was kept.
    ///
    /// - Throws: ``CommandProblem`` when etcd is not installed.
    init(_ directory: DevDirectory) throws {
        program = try Self.find()
        let file = directory.path + "/etcd.json"
        if let data = FileManager.default.contents(atPath: file),
            let kept = try? JSONDecoder().decode([Member].self, from: data),
            kept.count == Self.memberCount
        {
            members = kept
            return
        }
        let ports = try Relay.freePorts(Self.memberCount * 2)
        members = (0..<Self.memberCount).map {
            Member(client: ports[$0 * 2], peer: ports[$0 * 2 + 1])
        }
        let data = try JSONEncoder().encode(members)
        guard
            FileManager.default.createFile(
                atPath: file, contents: data, attributes: [.posixPermissions: 0o600])
        else {
            throw CommandProblem(
                .failed, "\(file) cannot be written", because: String(cString: strerror(errno)),
                try: "give --data-dir a directory that you may write to")
        }
    }

    private static func find() throws -> String {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/local/bin:/usr/bin:/bin"
        for folder in path.split(separator: ":") where access("\(folder)/etcd", X_OK) == 0 {
            return "\(folder)/etcd"
        }
        throw CommandProblem(
            .failed, "etcd cannot be started", because: "there is no program 'etcd' on the PATH",
            try: "install it (Debian and Ubuntu: apt install etcd-server), or leave --etcd out")
    }

    /// The arguments of a member, apart from its directory.
    func arguments(_ index: Int) -> [String] {
        let own = members[index]
        let client = "http://127.0.0.1:\(own.client)"
        let peer = "http://127.0.0.1:\(own.peer)"
        return [
            "--name", "etcd-\(index + 1)", "--listen-client-urls", client,
            "--advertise-client-urls", client, "--listen-peer-urls", peer,
            "--initial-advertise-peer-urls", peer, "--initial-cluster",
            members.enumerated().map { "etcd-\($0 + 1)=http://127.0.0.1:\($1.peer)" }
                .joined(separator: ","), "--initial-cluster-token", "proffer-dev",
            "--logger", "zap", "--log-outputs", "stderr",
        ]
    }
}
