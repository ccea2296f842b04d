internal import ProfferElection
internal import ProfferHTTP
internal import ProfferRegistry

/// What a leading master does for etcd besides writing: looks for a lack of space, and lets it
/// forget history that nobody reads.
struct RegistryCare: Sendable {
    /// From one look at the space to the next.
    static let lookInterval = Duration.seconds(10)
    /// History is kept for this long; in looks.
    static let keptLooks = 30

    let registry: EtcdRegistry
    let standing: StandingBox
    let sink: MasterSink
    /// Is told when the space has run out, and when it is there again.
    let tell: @Sendable (Bool) -> Void

    /// Runs until the task is cancelled.
    func run() async {
        await greet()
        var revisions: [Revision] = []
        var isOut = false
        while !Task.isCancelled {
            try? await Task.sleep(for: Self.lookInterval)
            guard standing.value.leads, !Task.isCancelled else {
                revisions = []
                continue
            }
            if let now = try? await registry.isOutOfSpace(), now != isOut {
                isOut = now
                tell(now)
            }
            guard let head = try? await registry.head().head else { continue }
            revisions.append(head.modified)
            if revisions.count > Self.keptLooks {
                try? await registry.compact(before: revisions[0])
                revisions = []
            }
        }
    }

    private func greet() async {
        while !Task.isCancelled {
            do throws(StoreProblem) {
                let version = try await registry.version()
                if let warning = EtcdRegistry.warning(version: version) { sink.warned(warning) }
                return
            } catch {
                if error.kind != .unreachable { sink.degraded(error.because) }
                try? await Task.sleep(for: .seconds(2))
            }
        }
    }
}
