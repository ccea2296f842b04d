internal import AsyncHTTPClient
internal import BatchPolicy
internal import Foundation
internal import NIOCore
internal import NIOHTTP1
internal import Proffer

/// Reads files from the sandboxes that agents serve.
struct AgentFiles: Sendable {
    /// Part of a file.
    struct Chunk: Sendable {
        var bytes: ByteBuffer
        /// How long the file was then.
        var fileSize: Int64
        /// Where the bytes start.
        var offset: Int64
    }

    /// Why there is nothing to read.
    enum Failure: Error, CustomStringConvertible {
        /// The agent has no such file.
        case missing(String)
        /// The agent cannot be asked.
        case unreachable(String)

        var description: String {
            switch self {
            case .missing(let text), .unreachable(let text): text
            }
        }
    }

    /// At most `length` bytes from `offset`; a negative offset counts from the end.
    func read(
        _ file: String, of task: TaskID, at place: Place, offset: Int64, length: Int64
    ) async throws(Failure) -> Chunk {
        let path =
            ([place.framework.value, task.value] + file.split(separator: "/").map(String.init))
            .map { $0.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? $0 }
            .joined(separator: "/")
        let agent = "\(place.hostname):\(place.port)"
        var request = HTTPClientRequest(
            url: "http://\(agent)/v1/sandboxes/\(path)?offset=\(offset)&length=\(length)")
        request.headers.add(name: "Accept", value: "application/octet-stream")
        do {
            let response = try await WebClient.http.execute(request, timeout: .seconds(30))
            guard response.status != .notFound else {
                throw Failure.missing("agent \(agent) has no file '\(file)' of task \(task)")
            }
            // Asking again does not change what the agent refuses, such as a link out of it.
            guard !(400..<500).contains(response.status.code) else {
                throw Failure.missing(
                    "agent \(agent) refuses file '\(file)' of task \(task): \(response.status)")
            }
            guard response.status == .ok else {
                throw Failure.unreachable("agent \(agent) answered \(response.status)")
            }
            let bytes = try await response.body.collect(upTo: 2 << 20)
            let size = response.headers.first(name: "X-File-Size").flatMap(Int64.init)
            let start = response.headers.first(name: "X-File-Offset").flatMap(Int64.init)
            return Chunk(
                bytes: bytes, fileSize: size ?? max(0, offset) + Int64(bytes.readableBytes),
                offset: start ?? max(0, offset))
        } catch let failure as Failure {
            throw failure
        } catch {
            throw .unreachable("agent \(agent) cannot be asked: \(error)")
        }
    }
}
