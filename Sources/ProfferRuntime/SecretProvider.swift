public import ProfferAgent
public import ProfferContainers
public import ProfferModel

/// Where an agent finds the secrets that its tasks name.
///
/// The values go from here to the executor and the task, and nowhere else: no record, log, metric
/// or answer has them. Errors are told to the framework as text, so that they must not have any
/// either.
public protocol SecretProvider: Sendable {
    /// Finds a secret.
    ///
    /// Called once for each secret that tasks name, every time when some are launched. Whoever asks
    /// is known, so that the provider decides who may have what. A launch that waits longer than
    /// its limit is given up.
    ///
    /// - Parameters:
    ///   - reference: Which one.
    ///   - request: Who wants it: the role whose resources are used, the framework, the tasks.
    /// - Returns: The value, of at most ``SecretValue/longest`` bytes.
    /// - Throws: When there is none or it may not be had; the error says why.
    func value(of reference: SecretReference, for request: SecretRequest) async throws -> [UInt8]
}

extension SecretDirectory: SecretProvider {
    /// Reads the secret in the directory of the request's role.
    public func value(
        of reference: SecretReference, for request: SecretRequest
    ) async throws -> [UInt8] {
        try read(reference, role: request.role)
    }
}

/// Secrets cannot be handed over.
struct SecretsMissing: Error, CustomStringConvertible {
    let description: String
}

extension SecretRequest {
    /// How much the secrets of one launch may have together, in bytes: they are one message.
    private static let longestTogether = 8 * SecretValue.longest

    /// Asks a provider for all of them.
    ///
    /// - Throws: ``SecretsMissing`` that names the first one that cannot be had.
    func values(from provider: (any SecretProvider)?) async throws(SecretsMissing) -> [SecretValue]
    {
        guard let provider else {
            throw SecretsMissing(
                description: "the agent has no secrets; see its --secrets-directory")
        }
        var values: [SecretValue] = []
        for reference in references {
            let bytes: [UInt8]
            do {
                bytes = try await provider.value(of: reference, for: self)
            } catch {
                throw SecretsMissing(
                    description: "the secret '\(reference.name)' cannot be had: \(error)")
            }
            guard bytes.count <= SecretValue.longest else {
                throw SecretsMissing(
                    description: "the secret '\(reference.name)' has more than"
                        + " \(SecretValue.longest) bytes")
            }
            values.append(SecretValue(reference: reference, bytes: bytes))
        }
        guard values.reduce(0, { $0 + $1.bytes.count }) <= Self.longestTogether else {
            throw SecretsMissing(
                description: "the secrets have more than \(Self.longestTogether) bytes together")
        }
        return values
    }
}

extension ExecutorLaunch {
    /// The launch with the values of its secrets in its environment.
    func with(_ values: [SecretValue]) throws(SecretsMissing) -> ExecutorLaunch {
        var launch = self
        for index in launch.environment.indices {
            guard let secret = launch.environment[index].secret else { continue }
            let bytes = values.first { $0.reference == secret.reference }?.bytes ?? []
            guard let text = String(validating: bytes, as: UTF8.self), !bytes.contains(0) else {
                let name = secret.reference?.name ?? ""
                throw SecretsMissing(
                    description: "the secret '\(name)' cannot be in an environment: it is no text")
            }
            launch.environment[index].value = text
            launch.environment[index].secret = nil
        }
        return launch
    }
}

extension ExecutorEvent {
    /// The launch with the values of its secrets.
    func with(_ values: [SecretValue]) -> ExecutorEvent {
        switch self {
        case .launch(let info, let sandbox, _):
            .launch(info, sandbox: sandbox, secrets: values)
        case .launchGroup(let infos, let sandboxes, _):
            .launchGroup(infos, sandboxes: sandboxes, secrets: values)
        case .subscribed, .kill, .acknowledged, .message, .shutdown, .error, .heartbeat: self
        }
    }
}
