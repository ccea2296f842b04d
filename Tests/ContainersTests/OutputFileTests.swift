import CLinux
import Glibc
import ProfferModel
import Testing

@testable import ProfferContainers

@Suite("Rotation of a task's output")
struct OutputFileTests {
    /// Whether the file system of the tests can cut off the front of a file.
    static var canCut: Bool {
        guard let scratch = try? Scratch() else { return false }
        let file = open(scratch.path + "/x", O_CREAT | O_RDWR, 0o600)
        defer { close(file) }
        return linux_cut_front(file, 1) != 0 && errno == EINVAL
    }

    private func size(_ path: String) -> Int {
        var status = stat()
        return lstat(path, &status) == 0 ? Int(status.st_size) : -1
    }

    private func all(_ scratch: Scratch, _ count: Int) -> String {
        let older = (1...count).reversed().map { scratch.text("stdout.\($0)") }
        return older.joined() + scratch.text("stdout")
    }

    @Test(
        "nothing is lost of what a task writes while its file is rotated",
        .enabled(if: OutputFileTests.canCut, "the file system cannot cut off the front of a file"))
    func lossless() throws {
        let scratch = try Scratch()
        var watcher = try ProcessWatcher()
        let plan = scratch.plan("i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done")
        try watcher.watchChild(try ProcessLauncher.start(plan), token: 1)
        let file = try #require(OutputFile(scratch.path + "/stdout"))
        var rotations = 0
        var isRunning = true
        while isRunning {
            isRunning = watcher.takeEnds(within: 1).isEmpty
            if try file.rotate(limit: 40_000, keeping: 20) { rotations += 1 }
        }
        #expect(rotations > 1)
        let expected = (0..<20_000).map { "line \($0)\n" }.joined()
        #expect(all(scratch, 20) == expected)
        for number in 1...4 { #expect(size(scratch.path + "/stdout.\(number)") <= 40_000) }
        #expect(size(scratch.path + "/stdout") <= 40_000)
    }

    @Test("only so many older files are kept, and a file far too large is not copied as a whole")
    func bounded() throws {
        let scratch = try Scratch()
        _ = try scratch.run(scratch.plan("head -c 1000000 /dev/zero; printf end"))
        let file = try #require(OutputFile(scratch.path + "/stdout"))
        #expect(try file.rotate(limit: 2_000_000, keeping: 2) == false)
        #expect(try file.rotate(limit: 50_000, keeping: 2))
        #expect(size(scratch.path + "/stdout") <= 50_000)
        for name in ["stdout.1", "stdout.2"] {
            #expect(size("\(scratch.path)/\(name)") <= 50_000)
        }
        #expect(size(scratch.path + "/stdout.3") == -1)
        #expect(all(scratch, 2).hasSuffix("end"))
    }

    @Test("a limit below a block of the file system, and none kept")
    func small() throws {
        let scratch = try Scratch()
        _ = try scratch.run(scratch.plan("echo 0123456789"))
        let file = try #require(OutputFile(scratch.path + "/stdout"))
        #expect(try file.rotate(limit: 5))
        #expect(scratch.text("stdout.1") == "6789\n")
        #expect(scratch.text("stdout").isEmpty)
        _ = try scratch.run(scratch.plan("echo more"))
        #expect(try file.rotate(limit: 1, keeping: 0))
        #expect(scratch.text("stdout").isEmpty)
        #expect(scratch.text("stdout.1") == "6789\n")
    }

    @Test("what a task puts in the place of an older file is not written to")
    func planted() throws {
        let scratch = try Scratch()
        _ = try scratch.run(
            scratch.plan("echo precious > precious; ln precious stdout.1; head -c 9000 /dev/zero"))
        let file = try #require(OutputFile(scratch.path + "/stdout"))
        #expect(try file.rotate(limit: 4096, keeping: 1))
        #expect(scratch.text("precious") == "precious\n")
        unlink(scratch.path + "/stdout.1")
        symlink("precious", scratch.path + "/stdout.1")
        _ = try scratch.run(scratch.plan("head -c 9000 /dev/zero"))
        #expect(try file.rotate(limit: 4096, keeping: 1))
        #expect(scratch.text("precious") == "precious\n")
        unlink(scratch.path + "/stdout.1")
        mkdir(scratch.path + "/stdout.1", 0o700)
        _ = try scratch.run(scratch.plan("head -c 9000 /dev/zero"))
        #expect(try file.rotate(limit: 4096, keeping: 1))
        #expect(size(scratch.path + "/stdout") <= 4096)
    }
}
