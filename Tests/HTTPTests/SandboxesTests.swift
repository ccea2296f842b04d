import Foundation
import Glibc
import ProfferAPI
import Testing

@testable import ProfferHTTP

@Suite("Sandboxes over HTTP")
struct SandboxesTests {
    /// A fresh agent directory with one sandbox, and a secret outside of it.
    private func withSandbox(
        _ body: (Sandboxes, String) async throws -> Void
    ) async throws {
        let root = NSTemporaryDirectory() + "proffer-" + UUID().uuidString
        let sandbox = root + "/f/t"
        try FileManager.default.createDirectory(
            atPath: sandbox + "/dir", withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: root) }
        try "0123456789".write(toFile: sandbox + "/stdout", atomically: false, encoding: .utf8)
        try "secret".write(toFile: root + "/secret", atomically: false, encoding: .utf8)
        symlink("../../secret", sandbox + "/link")
        symlink("../..", sandbox + "/up")
        mkfifo(sandbox + "/pipe", 0o600)
        try await body(
            Sandboxes(root: root) { framework, task in
                framework == "f" && task == "t" ? "f/t" : nil
            }, root)
    }

    @Test(
        "nothing outside of the sandbox and nothing but regular files is read",
        arguments: [
            ("../../secret", 403), ("%2e%2e/%2e%2e/secret", 403), ("dir/../stdout", 403),
            ("/etc/passwd", 403), ("link", 403), ("up/secret", 403), ("", 403), (".", 403),
            ("stdout/", 403), ("pipe", 400), ("dir", 400), ("missing", 404), ("a%00b", 403),
        ])
    func refused(path: String, status: Int) async throws {
        try await withSandbox { sandboxes, _ in
            let problem = await #expect(throws: ProblemObject.self) {
                try await sandboxes.read(
                    framework: "f", task: "t", path: path, offset: 0, length: 100)
            }
            #expect(problem?.status == status)
        }
    }

    @Test(
        "offset and length choose a part; a negative offset counts from the end",
        arguments: [
            (0, 100, "0123456789"), (3, 4, "3456"), (-3, 100, "789"), (-99, 2, "01"),
            (50, 5, ""), (2, 0, ""), (2, -5, ""),
        ] as [(Int64, Int64, String)])
    func parts(offset: Int64, length: Int64, text: String) async throws {
        try await withSandbox { sandboxes, _ in
            let chunk = try await sandboxes.read(
                framework: "f", task: "t", path: "stdout", offset: offset, length: length)
            #expect(String(decoding: chunk.bytes, as: UTF8.self) == text)
            #expect(chunk.fileSize == 10)
        }
    }

    @Test("the list names files, directories and links without following them")
    func list() async throws {
        try await withSandbox { sandboxes, _ in
            let files = try await sandboxes.list(framework: "f", task: "t")
            #expect(files.map(\.name) == ["dir", "link", "pipe", "stdout", "up"])
            #expect(files.map(\.state) == ["directory", "link", "other", "file", "link"])
            #expect(files[3].sizeBytes == 10)
        }
    }

    @Test("an unknown task has no sandbox")
    func unknown() async throws {
        try await withSandbox { sandboxes, _ in
            let problem = await #expect(throws: ProblemObject.self) {
                try await sandboxes.list(framework: "f", task: "other")
            }
            #expect(problem?.status == 404)
        }
    }
}
