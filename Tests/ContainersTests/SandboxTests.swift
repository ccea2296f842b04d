import Glibc
import ProfferModel
import Testing

@testable import ProfferContainers

@Suite("Sandboxes")
struct SandboxTests {
    @Test("a sandbox is made with all levels above it, for its owner only")
    func creates() throws {
        let scratch = try Scratch()
        let path = try Sandbox.create(["frameworks", "a b", "x"], below: scratch.path)
        #expect(path == scratch.path + "/frameworks/a b/x")
        var status = stat()
        #expect(stat(path, &status) == 0)
        #expect(status.st_mode & 0o777 == 0o700)
        #expect(try Sandbox.create(["frameworks", "a b", "x"], below: scratch.path) == path)
    }

    @Test("a name that could lead elsewhere is refused", arguments: ["", ".", "..", "a/b", "a\0"])
    func badName(name: String) throws {
        let scratch = try Scratch()
        let error = #expect(throws: SystemError.self) {
            try Sandbox.create(["a", name], below: scratch.path)
        }
        #expect(error?.code == EINVAL)
    }

    @Test("a symbolic link on the way is refused")
    func link() throws {
        let scratch = try Scratch()
        symlink("/tmp", scratch.path + "/link")
        #expect(throws: SystemError.self) {
            try Sandbox.create(["link", "x"], below: scratch.path)
        }
        #expect(throws: SystemError.self) { try Sandbox.create(["link"], below: scratch.path) }
    }

    @Test("a file in the place of a level is refused", arguments: [["f"], ["f", "x"]])
    func file(names: [String]) throws {
        let scratch = try Scratch()
        _ = try scratch.run(scratch.plan("echo > f"))
        let error = #expect(throws: SystemError.self) {
            try Sandbox.create(names, below: scratch.path)
        }
        #expect(error?.code == ENOTDIR)
    }

    @Test("a link in the place of an output file is not followed")
    func replaced() throws {
        let scratch = try Scratch()
        _ = try scratch.run(scratch.plan("echo precious > precious; echo out"))
        let file = try #require(OutputFile(scratch.path + "/stdout"))
        unlink(scratch.path + "/stdout")
        symlink(scratch.path + "/precious", scratch.path + "/stdout")
        #expect(try file.rotate(limit: 1) == false)
        #expect(scratch.text("precious") == "precious\n")
        #expect(OutputFile(scratch.path + "/stdout") == nil)
        #expect(scratch.text("stdout").isEmpty)
        #expect(throws: SystemError.self) {
            try ProcessLauncher.start(scratch.plan("true"))
        }
    }

    @Test("the tail of a file has whole lines, and bytes that are no text are replaced")
    func tail() throws {
        let scratch = try Scratch()
        _ = try scratch.run(scratch.plan("printf 'one\\ntwo\\nthr\\377ee\\n'"))
        #expect(OutputFile.tail(scratch.path + "/stdout", limit: 8) == "thr\u{FFFD}ee\n")
        #expect(OutputFile.tail(scratch.path + "/absent").isEmpty)
    }

    static var canMount: Bool { geteuid() == 0 }

    @Test(
        "a full disk in the sandbox is a clear error",
        .enabled(if: SandboxTests.canMount, "needs root to mount a small file system"))
    func fullDisk() throws {
        let scratch = try Scratch()
        let disk = try Sandbox.create(["disk"], below: scratch.path)
        var plan = scratch.plan("")
        plan.output = .discarded
        plan.command = CommandInfo(
            value: "mount", shell: false,
            arguments: ["mount", "-t", "tmpfs", "-o", "size=64k,nr_inodes=3", "tmpfs", disk])
        guard try scratch.run(plan)?.code == 0 else {
            withKnownIssue("this machine does not let root mount") { Issue.record("no mount") }
            return
        }
        defer {
            plan.command.arguments = ["umount", disk]
            plan.command.value = "umount"
            _ = try? scratch.run(plan)
        }
        var task = scratch.plan("head -c 1000000 /dev/zero; exit $?")
        task.directory = disk
        let exit = try scratch.run(task)
        #expect(exit?.code != 0)
        #expect(OutputFile.tail(disk + "/stdout", limit: 10).utf8.count == 10)
        unlink(disk + "/stderr")
        close(open(disk + "/filler", O_CREAT | O_WRONLY, 0o600))
        let error = #expect(throws: SystemError.self) { try ProcessLauncher.start(task) }
        #expect(error?.code == ENOSPC)
        #expect(error?.description.contains("No space left on device") == true)
    }
}
