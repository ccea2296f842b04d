internal import Logging
internal import ProfferContainers
internal import ServiceLifecycle

/// Room on the disk of a daemon's records that nobody else can take: it is given up when a record
/// finds no room, and taken again when there is some.
struct DiskReserve: Service {
    let file: ReservedFile
    let interval: Duration
    let logger: Logger

    /// Gives the room up.
    ///
    /// - Returns: Whether there was any.
    @Sendable
    func release() -> Bool {
        guard file.release() else { return false }
        logger.error(
            "the disk is full; the agent lives on what it had reserved",
            metadata: ["path": "\(file.path)", "bytes": "\(file.bytes)"])
        return true
    }

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                file.take()
                try? await Task.sleep(for: interval)
            }
        }
    }
}
