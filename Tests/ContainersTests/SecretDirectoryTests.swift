import Glibc
import ProfferIsolation
import ProfferModel
import Testing

@testable import ProfferContainers

@Suite("Secrets in a directory and in memory")
struct SecretDirectoryTests {
    private static func directory(_ script: String) throws -> (Scratch, SecretDirectory) {
        let scratch = try Scratch()
        #expect(
            try scratch.run(scratch.plan("umask 077; mkdir secrets; cd secrets; " + script))?
                .code == 0)
        return (scratch, SecretDirectory(scratch.path + "/secrets"))
    }

    @Test("a secret is a file of its role's directory, or one of several beside each other")
    func read() throws {
        let (scratch, directory) = try Self.directory(
            """
            mkdir '*' eng eng%2Fweb eng/several
            printf all >'*/db'; printf 'eng\\n' >eng/db; printf web >eng%2Fweb/db
            printf two >eng/several/two
            """)
        defer { withExtendedLifetime(scratch) {} }
        let reference = SecretReference(name: "db")
        #expect(try directory.read(reference, role: "*") == Array("all".utf8))
        #expect(try directory.read(reference, role: "eng") == Array("eng\n".utf8))
        #expect(try directory.read(reference, role: "eng/web") == Array("web".utf8))
        let several = SecretReference(name: "several", key: "two")
        #expect(try directory.read(several, role: "eng") == Array("two".utf8))
        #expect(directory.problem == nil)
    }

    @Test("each role has a directory of its own")
    func roles() {
        let roles = ["a", "a/b", "a%2Fb", "a%b", "a%25b", "a/b/c"]
        let names = roles.map { SecretDirectory.directory(of: $0) }
        #expect(Set(names).count == roles.count)
        #expect(names.allSatisfy { !$0.contains("/") })
    }

    @Test(
        "no name leads out of the role's directory",
        arguments: [
            "../other/db", "/etc/passwd", "..", ".", ".hidden", "a/b", "", "link", "linked/db",
            "missing", "pipe", "directory", "a\0b",
        ])
    func escapes(_ name: String) throws {
        let (scratch, directory) = try Self.directory(
            """
            mkdir eng other eng/directory; printf x >other/db; printf x >eng/.hidden
            ln -s ../other/db eng/link; ln -s ../other eng/linked; mkfifo eng/pipe
            """)
        defer { withExtendedLifetime(scratch) {} }
        #expect(throws: SystemError.self) {
            try directory.read(SecretReference(name: name), role: "eng")
        }
        #expect(throws: SystemError.self) {
            try directory.read(SecretReference(name: "linked", key: "db"), role: "eng")
        }
    }

    @Test(
        "a file or directory that others can read or write is not trusted",
        arguments: [
            "chmod 640 eng/db", "chmod 604 eng/db", "chmod 620 eng/db", "chmod 770 eng",
            "chmod 702 .",
        ])
    func modes(_ spoil: String) throws {
        let (scratch, directory) = try Self.directory("mkdir eng; printf x >eng/db; " + spoil)
        defer { withExtendedLifetime(scratch) {} }
        let error = #expect(throws: SystemError.self) {
            try directory.read(SecretReference(name: "db"), role: "eng")
        }
        #expect(error?.hint?.contains("chmod") == true)
    }

    @Test("a file of another user is not trusted", .enabled(if: isRoot, "needs root"))
    func foreign() throws {
        let (scratch, directory) = try Self.directory(
            "mkdir eng; printf x >eng/db; chown 65534 eng/db")
        defer { withExtendedLifetime(scratch) {} }
        #expect(throws: SystemError.self) {
            try directory.read(SecretReference(name: "db"), role: "eng")
        }
    }

    @Test("a secret has 64 KiB at most")
    func size() throws {
        let (scratch, directory) = try Self.directory(
            "mkdir eng; head -c 65536 /dev/zero >eng/most; head -c 65537 /dev/zero >eng/more")
        defer { withExtendedLifetime(scratch) {} }
        #expect(try directory.read(SecretReference(name: "most"), role: "eng").count == 65_536)
        let error = #expect(throws: SystemError.self) {
            try directory.read(SecretReference(name: "more"), role: "eng")
        }
        #expect(error?.code == EFBIG)
    }

    // MARK: In memory

    private static let owner = ContainerUser(id: geteuid(), group: getegid())

    @Test("a file with a secret is in memory, for its owner to read, and gone afterwards")
    func memory() throws {
        let scratch = try Scratch()
        let memory = try NodeIsolation.memoryDirectory("test-\(getpid())-\(scratch.path.suffix(6))")
        defer { rmdir(memory) }
        #expect(MemoryFile.isInMemory(memory))
        let runner = PlanRunner(directory: scratch.path)
        let plan = IsolationPlan(
            name: "ex.1",
            steps: try SecretPlanner(memory: memory).steps(
                "ex.1", [SecretFile(path: "keys/tls", contents: SecretContents("hunter2"))],
                sandbox: scratch.path, owner: Self.owner))
        try runner.carryOut(plan)
        var status = stat()
        #expect(stat(scratch.path + "/keys/tls", &status) == 0)
        #expect(status.st_mode & 0o777 == 0o400)
        #expect(lstat(scratch.path + "/keys/tls", &status) == 0)
        #expect(status.st_mode & S_IFMT == S_IFLNK)
        #expect(ProcFile.link(scratch.path + "/keys/tls") == memory + "/secrets-ex.1/0")
        #expect(ProcFile.text(memory + "/secrets-ex.1/0") == "hunter2")
        #expect(!(ProcFile.text(scratch.path + "/ex.1.plan") ?? "").contains("hunter2"))
        // As the agent does for an executor that has died.
        #expect(PlanRunner(directory: scratch.path).recover { _ in true }.isEmpty)
        #expect(access(memory + "/secrets-ex.1", F_OK) != 0)
    }

    @Test(
        "no secret is written to a disk",
        .enabled(if: !MemoryFile.isInMemory("/tmp"), "needs a /tmp that is on a disk"))
    func disk() throws {
        let scratch = try Scratch()
        let error = #expect(throws: SystemError.self) {
            try PlanRunner(directory: scratch.path).carryOut(
                IsolationPlan(
                    name: "ex.1",
                    steps: [
                        .makeSecret(
                            scratch.path + "/key", SecretContents("x"), owner: Self.owner)
                    ]))
        }
        #expect(error?.hint?.contains("disk") == true)
        #expect(access(scratch.path + "/key", F_OK) != 0)
    }

    @Test("a link for a secret is not made through a link of the task's")
    func link() throws {
        let scratch = try Scratch()
        #expect(
            try scratch.run(scratch.plan("mkdir sandbox out; ln -s ../out sandbox/keys"))?
                .code == 0)
        #expect(throws: SystemError.self) {
            try PlanRunner(directory: scratch.path).carryOut(
                IsolationPlan(
                    name: "ex.1",
                    steps: [
                        .makeLink(
                            scratch.path + "/sandbox/keys/tls", below: scratch.path + "/sandbox",
                            to: "/dev/null", owner: Self.owner)
                    ]))
        }
        #expect(access(scratch.path + "/out/tls", F_OK) != 0)
    }
}
