import Glibc
import ProfferModel
import Testing

@testable import ProfferContainers

@Suite("Ended directories")
struct EndedDirectoriesTests {
    private func made(_ scratch: Scratch) throws -> EndedDirectories {
        _ = try Sandbox.create(["sandboxes", "f", "t1"], below: scratch.path)
        _ = try Sandbox.create(["sandboxes", "f", "t2"], below: scratch.path)
        _ = try Sandbox.create(["executors", "f", "e", "c"], below: scratch.path)
        symlink("/etc", scratch.path + "/sandboxes/f/link")
        return EndedDirectories(root: scratch.path)
    }

    @Test("those of tasks and of executors are found, with the time of their last change")
    func entries() throws {
        let scratch = try Scratch()
        let directories = try made(scratch)
        _ = try scratch.run(
            scratch.plan(
                "touch -d @1000 sandboxes/f/t1/stdout sandboxes/f/t1 sandboxes/f/t2; "
                    + "touch -d @2000 sandboxes/f/t2/stderr; touch -d @1000 sandboxes/f/t2"))
        let entries = directories.entries()
        #expect(
            entries.map(\.path)
                == [
                    "sandboxes/f/t1", "sandboxes/f/t2", "executors/f/e/c",
                ].map { scratch.path + "/" + $0 })
        #expect(entries.prefix(2).map(\.changedAt) == [1000, 2000])
        directories.touch(scratch.path + "/sandboxes/f/t1")
        #expect(directories.entries()[0].changedAt > 2000)
        #expect((0...1000).contains(directories.diskUse()))
    }

    @Test("a discarded directory frees its path at once, and what it holds later")
    func discard() throws {
        let scratch = try Scratch()
        let directories = try made(scratch)
        "precious".withCString { text in
            let file = open(scratch.path + "/precious", O_CREAT | O_WRONLY, 0o600)
            #expect(write(file, text, 8) == 8)
            close(file)
        }
        symlink(scratch.path + "/precious", scratch.path + "/sandboxes/f/t1/link")
        symlink(scratch.path, scratch.path + "/sandboxes/f/t1/up")
        try directories.discard([
            scratch.path + "/sandboxes/f/t1", scratch.path + "/executors/f/e/c",
        ])
        #expect(directories.entries().map(\.path) == [scratch.path + "/sandboxes/f/t2"])
        #expect(access(scratch.path + "/executors/f", F_OK) != 0)
        #expect(access(scratch.path + "/executors", F_OK) == 0)
        _ = try Sandbox.create(["sandboxes", "f", "t1"], below: scratch.path)
        try directories.discard([scratch.path + "/sandboxes/f/t1"])
        let (removed, left) = directories.removeDiscarded()
        #expect(removed == 3)
        #expect(left.isEmpty)
        #expect(scratch.text("precious") == "precious")
        #expect(access(scratch.path + "/sandboxes/f/t2", F_OK) == 0)
    }

    @Test("a removal that is stopped leaves the rest, and the next one goes on")
    func stopped() throws {
        let scratch = try Scratch()
        let path = scratch.path + "/sandboxes/f/t"
        _ = try Sandbox.create(["sandboxes", "f", "t"], below: scratch.path)
        for number in 0..<100 {
            close(open("\(path)/\(number)", O_CREAT | O_WRONLY, 0o600))
        }
        let directories = EndedDirectories(root: scratch.path)
        try directories.discard([path])
        var asked = 0
        let first = directories.removeDiscarded {
            asked += 1
            return asked > 40
        }
        #expect(first.removed == 0 && first.left.isEmpty)
        let rest = directories.removeDiscarded()
        #expect(rest.removed == 1 && rest.left.isEmpty)
    }

    @Test("one that is not there is told, and the others are discarded")
    func missing() throws {
        let scratch = try Scratch()
        let directories = try made(scratch)
        #expect(throws: SystemError.self) {
            try directories.discard([
                scratch.path + "/sandboxes/f/none", "/etc", scratch.path + "/sandboxes/f/t1",
            ])
        }
        #expect(directories.removeDiscarded().removed == 1)
        #expect(access("/etc/passwd", F_OK) == 0)
    }

    @Test(
        "what is mounted in a discarded directory stays as it is",
        .enabled(if: SandboxTests.canMount, "needs root to mount a file system"))
    func mounted() throws {
        let scratch = try Scratch()
        let directories = try made(scratch)
        mkdir(scratch.path + "/precious", 0o700)
        close(open(scratch.path + "/precious/file", O_CREAT | O_WRONLY, 0o600))
        mkdir(scratch.path + "/sandboxes/f/t1/mount", 0o700)
        var plan = scratch.plan("")
        plan.output = .discarded
        plan.command = CommandInfo(
            value: "mount", shell: false,
            arguments: ["mount", "--bind", "precious", "sandboxes/f/t1/mount"])
        guard try scratch.run(plan)?.code == 0 else {
            withKnownIssue("this machine does not let root mount") { Issue.record("no mount") }
            return
        }
        try directories.discard([scratch.path + "/sandboxes/f/t1"])
        #expect(directories.removeDiscarded().left == [scratch.path + "/discarded/0-t1"])
        #expect(access(scratch.path + "/precious/file", F_OK) == 0)
        plan.command.arguments = ["umount", scratch.path + "/discarded/0-t1/mount"]
        plan.command.value = "umount"
        _ = try scratch.run(plan)
        #expect(directories.removeDiscarded().left.isEmpty)
    }
}
