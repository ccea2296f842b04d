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
            let (files, isComplete) = try await sandboxes.list(framework: "f", task: "t")
            #expect(isComplete)
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

    @Test("the list of a directory, level by level")
    func levels() async throws {
        try await withSandbox { sandboxes, root in
            try FileManager.default.createDirectory(
                atPath: root + "/f/t/dir/below", withIntermediateDirectories: true)
            try "x".write(toFile: root + "/f/t/dir/below/x", atomically: false, encoding: .utf8)
            func names(_ directory: String, _ depth: Int) async throws -> [String] {
                try await sandboxes.list(
                    framework: "f", task: "t", directory: directory, depth: depth
                ).files.map(\.name)
            }
            #expect(try await names("dir", 1) == ["dir/below"])
            #expect(try await names("/dir/", 2) == ["dir/below", "dir/below/x"])
            for path in ["up", "dir/../..", "..", "link"] {
                let problem = await #expect(throws: ProblemObject.self) {
                    try await names(path, 1)
                }
                #expect(problem?.status == 403)
            }
        }
    }

    @Test("a list that is not all says so")
    func long() async throws {
        try await withSandbox { sandboxes, root in
            for number in 0...Sandboxes.listLimit {
                close(open("\(root)/f/t/dir/\(number)", O_CREAT | O_WRONLY, 0o600))
            }
            let (files, isComplete) = try await sandboxes.list(
                framework: "f", task: "t", directory: "dir")
            #expect(files.count == Sandboxes.listLimit)
            #expect(!isComplete)
        }
    }

    @Test(
        "a second name of somebody else's file is not read",
        .enabled(if: geteuid() == 0, "only root can give files away"))
    func hardLink() async throws {
        try await withSandbox { sandboxes, root in
            link(root + "/secret", root + "/f/t/hard")
            chown(root + "/f/t", 65534, 65534)
            let problem = await #expect(throws: ProblemObject.self) {
                try await sandboxes.read(
                    framework: "f", task: "t", path: "hard", offset: 0, length: 100)
            }
            #expect(problem?.status == 403)
            chown(root + "/f/t/stdout", 65534, 65534)
            link(root + "/f/t/stdout", root + "/f/t/own")
            let own = try await sandboxes.read(
                framework: "f", task: "t", path: "own", offset: 0, length: 100)
            #expect(own.bytes.count == 10)
        }
    }

    @Test("a name that changes between a file and a link never leads outside")
    func swapped() async throws {
        try await withSandbox { sandboxes, root in
            let name = root + "/f/t/swapped"
            let swaps = Task.detached {
                while !Task.isCancelled {
                    unlink(name)
                    symlink("../../secret", name)
                    unlink(name)
                    close(open(name, O_CREAT | O_WRONLY, 0o600))
                }
            }
            for _ in 0..<5000 {
                let chunk = try? await sandboxes.read(
                    framework: "f", task: "t", path: "swapped", offset: 0, length: 100)
                #expect(chunk?.bytes.isEmpty != false)
            }
            swaps.cancel()
            await swaps.value
        }
    }
}
