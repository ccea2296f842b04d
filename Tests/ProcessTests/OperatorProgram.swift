import ClusterProbe
import Foundation
import ProfferRuntime

extension ProcessCluster {
    /// Writes the context by which `proffer` reaches the cluster.
    func writeContext() throws {
        let master = try master
        let context =
            [
                "master": [try master.frameworks.orThrow("no address")],
                "masterKey": try master.publicKey.orThrow("no key"),
                "keyFile": data("client.key"), "http": master.http,
                "tokenFile": data("master") + "/operator.token",
            ] as [String: Any]
        try JSONSerialization.data(withJSONObject: context)
            .write(to: URL(fileURLWithPath: data("context.json")))
    }

    /// Runs `proffer` to its end.
    func proffer(_ arguments: String...) async throws -> (code: Int32, output: String) {
        let program = try start(
            "proffer", arguments, environment: ["PROFFER_CONTEXT": data("context.json")],
            log: "proffer-\(UUID().uuidString.prefix(8))")
        let code = try await program.exitCode()
        return (code, program.output)
    }

    /// Waits until an agent is in a state, as `proffer agents` shows it.
    func agent(_ id: String, is state: String) async throws {
        try await eventually("agent \(id) to be \(state)") {
            try await proffer("agents").output.split(separator: "\n").contains {
                $0.hasPrefix(id) && $0.contains(" \(state) ")
            }
        }
    }
}

/// Runs `body` with a master, an agent and the context of an operator.
func withOperator(_ body: (ProcessCluster) async throws -> Void) async throws {
    try await withProcesses { cluster in
        _ = try await cluster.startMaster()
        _ = try await cluster.startAgent()
        try cluster.writeContext()
        try await body(cluster)
    }
}
