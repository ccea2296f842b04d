internal import ProfferContainers
@_spi(Driver) internal import ProfferKernel
internal import ProfferModel
internal import ProfferTransport

/// What the sandboxes of running tasks take on the disk, measured on another thread.
///
/// A pass over all of them is followed by a pause of twenty times its length, so that it costs a
/// twentieth of a core at most, whatever a task puts into its sandbox.
struct SandboxSizes {
    /// What a pass has found.
    struct Pass: Sendable {
        var sizes: [UInt64: Int64]
        var length: Duration
    }

    /// So many files of one sandbox are counted at most.
    private static let entryLimit = 200_000
    private static let pauseFactor = 20

    private var sizes: [UInt64: Int64] = [:]
    private var isRunning = false
    private var nextAt = Instant.zero

    /// The size measured last, in bytes; `nil` until there is one.
    subscript(token: UInt64) -> Int64? { sizes[token] }

    /// Begins a pass, if it is time for one.
    ///
    /// - Parameters:
    ///   - sandboxes: The sandboxes by their tasks' tokens.
    ///   - now: The present instant.
    ///   - background: Where it is done.
    ///   - finish: Told of the end, on the other thread.
    mutating func refresh(
        _ sandboxes: @autoclosure () -> [(token: UInt64, path: String)], at now: Instant,
        on background: BackgroundWork, finish: @escaping @Sendable (Pass) -> Void
    ) {
        guard !isRunning, nextAt <= now else { return }
        let list = sandboxes()
        if list.isEmpty { return }
        isRunning = true
        background.submit {
            let start = SystemClock.now()
            var found: [UInt64: Int64] = [:]
            for sandbox in list {
                found[sandbox.token] = Sandbox.size(sandbox.path, entries: Self.entryLimit)
            }
            finish(Pass(sizes: found, length: SystemClock.now() - start))
        }
    }

    /// Takes over what a pass has found.
    mutating func take(_ pass: Pass, at now: Instant) {
        sizes = pass.sizes
        isRunning = false
        nextAt = now + pass.length * Self.pauseFactor
    }
}
