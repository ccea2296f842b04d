import Foundation
import Hummingbird
import Proffer
@_spi(Driver) import ProfferKernel
import ServicePolicy
import Synchronization
import Testing

@testable import service_scheduler

/// A directory of its own, removed at the end of the test.
final class Scratch: Sendable {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.path + "/services-" + UUID().uuidString
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// The HTTP side over a policy without a cluster.
final class ServerStage: Sendable {
    let bridge = PolicyBridge()
    let store: ServiceStore
    private let scratch: Scratch
    private let policy: Mutex<ServicePolicy>

    init() throws {
        scratch = try Scratch()
        store = try ServiceStore(path: scratch.path + "/services.sqlite")
        policy = Mutex(try ServicePolicy(ServiceConfiguration()))
        bridge.open { [self] command in
            do {
                try carryOut(command)
                return true
            } catch {
                Issue.record(error)
                return false
            }
        }
    }

    private func carryOut(_ command: ServicePolicy.Command) throws {
        let outputs = policy.withLock { policy in
            var outbox = Outbox<FrameworkAction<ServiceOutput>>()
            policy.handle(.command(command), at: .zero, into: &outbox)
            return outbox.takeAll().compactMap { action in
                if case .output(let output) = action { return output }
                return nil
            }
        }
        try bridge.perform(outputs, in: store)
    }

    var application: some ApplicationProtocol {
        Application(responder: HTTPFace(bridge: bridge))
    }
}
