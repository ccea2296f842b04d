internal import BatchPolicy
internal import Foundation
internal import Logging
internal import NIOCore
internal import Proffer
internal import ServiceLifecycle

/// Fetches the outputs of instances that have finished.
///
/// They go to `<directory>/<job>/<task>/<index>/`, where nobody removes them: they are results.
struct Collector: Service {
    /// The largest output that is kept, in bytes.
    static let fileLimit: Int64 = 64 << 20
    /// How many instances are collected from at the same time.
    private static let width = 8
    /// How often an agent that cannot be reached is asked.
    private static let attempts = 4

    let directory: String
    let files: AgentFiles
    let logger: Logger
    let done: @Sendable (Collection, String?) -> Void
    private let queue: AsyncStream<Collection>
    private let continuation: AsyncStream<Collection>.Continuation

    init(
        directory: String, files: AgentFiles, logger: Logger,
        done: @escaping @Sendable (Collection, String?) -> Void
    ) {
        self.directory = directory
        self.files = files
        self.logger = logger
        self.done = done
        (queue, continuation) = AsyncStream.makeStream(of: Collection.self)
    }

    func add(_ collection: Collection) { continuation.yield(collection) }

    func run() async throws {
        await withDiscardingTaskGroup { group in
            for _ in 0..<Self.width {
                group.addTask {
                    for await collection in queue.cancelOnGracefulShutdown() {
                        await collect(collection)
                    }
                }
            }
        }
    }

    private func collect(_ collection: Collection) async {
        var problems: [String] = []
        for file in collection.files {
            do {
                try await fetch(file, collection)
            } catch {
                problems.append("'\(file)': \(error)")
                logger.warning(
                    "an output was not collected",
                    metadata: [
                        "task.id": "\(collection.taskID)", "file": "\(file)", "error": "\(error)",
                    ])
            }
        }
        done(
            collection,
            problems.isEmpty
                ? nil : "outputs were not collected: " + problems.joined(separator: "; "))
    }

    private func fetch(_ file: String, _ collection: Collection) async throws {
        let folder = "\(directory)/\(collection.job)/\(collection.task)/\(collection.index)"
        let target = URL(fileURLWithPath: folder + "/" + file)
        try FileManager.default.createDirectory(
            at: target.deletingLastPathComponent(), withIntermediateDirectories: true)
        let temporary = target.path + ".part"
        guard FileManager.default.createFile(atPath: temporary, contents: nil) else {
            throw Unusable(reason: "\(temporary) cannot be written")
        }
        let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: temporary))
        defer {
            try? handle.close()
            unlink(temporary)
        }
        var offset: Int64 = 0
        while true {
            let chunk = try await read(file, collection, offset)
            guard chunk.fileSize <= Self.fileLimit else {
                throw Unusable(
                    reason: "it has \(chunk.fileSize) bytes; the limit is \(Self.fileLimit)")
            }
            try handle.write(contentsOf: Data(chunk.bytes.readableBytesView))
            offset += Int64(chunk.bytes.readableBytes)
            if offset >= chunk.fileSize || chunk.bytes.readableBytes == 0 { break }
        }
        guard rename(temporary, target.path) == 0 else {
            throw Unusable(reason: String(cString: strerror(errno)))
        }
    }

    private func read(
        _ file: String, _ collection: Collection, _ offset: Int64
    ) async throws -> AgentFiles.Chunk {
        var attempt = 1
        while true {
            do {
                return try await files.read(
                    file, of: collection.taskID, at: collection.place, offset: offset,
                    length: 1 << 20)
            } catch .unreachable(let reason) {
                guard attempt < Self.attempts else { throw Unusable(reason: reason) }
                try await Task.sleep(for: .seconds(1 << attempt))
                attempt += 1
            } catch .missing(let reason) {
                throw Unusable(reason: reason)
            }
        }
    }

    private struct Unusable: Error, CustomStringConvertible {
        var reason: String

        var description: String { reason }
    }
}
