import Glibc
import ProfferIsolation
import ProfferModel
import Testing

@testable import ProfferContainers

@Suite("Tasks that harm")
struct HostileTests {
    // MARK: Memory

    @Test(
        "a task that fills the cache of files stays within its memory, and is not killed for it",
        .enabled(if: canMakeCgroups, "needs root and writable cgroups"))
    func pageCache() throws {
        let bench = try CgroupBench()
        try bench.start(
            "head -c 100000000 /dev/zero >big && cat big >/dev/null && rm big",
            limits: CgroupBench.limits(memory: 24 << 20))
        #expect(bench.end()?.code == 0)
        let account = bench.probe.account(of: "task")
        #expect(account.outOfMemoryKills == 0)
        #expect((account.peakMemoryBytes ?? .max) <= 24 << 20)
        #expect(bench.undo())
    }

    @Test(
        "files in memory count for the task that writes them: only it is killed",
        .enabled(
            if: canMakeCgroups && SandboxTests.canMount, "needs root, writable cgroups and mounts"))
    func memoryFiles() throws {
        let bench = try CgroupBench()
        let disk = bench.scratch.path + "/disk"
        #expect(mkdir(disk, 0o700) == 0)
        let mounted = try bench.scratch.run(
            bench.scratch.plan("mount -t tmpfs -o size=200m tmpfs '\(disk)'"))
        #expect(mounted?.code == 0)
        defer { umount2(disk, Int32(MNT_DETACH)) }
        try bench.start("exec sleep 1000", name: "neighbour")
        try bench.start(
            "exec head -c 100000000 /dev/zero >disk/big",
            limits: CgroupBench.limits(memory: 24 << 20))
        let end = try #require(bench.end())
        #expect(end.signal == Int(SIGKILL))
        #expect(bench.probe.account(of: "task").outOfMemoryKills > 0)
        #expect(bench.members("neighbour").count == 1)
        #expect(unlink(disk + "/big") == 0)
        #expect(bench.undoPlan("task"))
        #expect(eventually { bench.probe.kill("neighbour") })
        #expect(bench.undo("neighbour"))
    }

    // MARK: Files

    @Test("a tree of thousands of levels goes as a whole, with few descriptors")
    func depth() throws {
        let scratch = try Scratch()
        let top = scratch.path + "/top"
        #expect(mkdir(top, 0o755) == 0)
        var here = open(top, O_RDONLY | O_DIRECTORY)
        for level in 0..<4000 {
            #expect(mkdirat(here, "d", 0o755) == 0)
            if level % 100 == 0 {
                close(openat(here, "file", O_CREAT | O_WRONLY, 0o644))
                #expect(mkdirat(here, "other", 0o755) == 0)
            }
            let next = openat(here, "d", O_RDONLY | O_DIRECTORY)
            close(here)
            here = next
        }
        close(here)
        #expect(FileTree.remove(top))
        #expect(access(top, F_OK) != 0)
    }

    @Test("a name that is in the way of what lies deep does not keep it")
    func collision() throws {
        let scratch = try Scratch()
        let top = scratch.path + "/top"
        #expect(mkdir(top, 0o755) == 0)
        let root = open(top, O_RDONLY | O_DIRECTORY)
        defer { close(root) }
        for number in 0..<3 {
            let name = "\u{1}deep-\(number)"
            #expect(mkdirat(root, name, 0o755) == 0)
            close(openat(root, name + "/file", O_CREAT | O_WRONLY, 0o644))
        }
        var here = dup(root)
        for _ in 0..<350 {
            #expect(mkdirat(here, "a", 0o755) == 0)
            let next = openat(here, "a", O_RDONLY | O_DIRECTORY)
            close(here)
            here = next
        }
        close(here)
        #expect(FileTree.remove(top))
    }

    @Test("thousands of files are removed, and a link among them is not followed")
    func many() throws {
        let scratch = try Scratch()
        let kept = scratch.path + "/kept"
        close(open(kept, O_CREAT | O_WRONLY, 0o644))
        let top = scratch.path + "/top"
        #expect(mkdir(top, 0o755) == 0)
        for number in 0..<5000 {
            close(open("\(top)/\(number)", O_CREAT | O_WRONLY, 0o644))
        }
        #expect(symlink(scratch.path, top + "/up") == 0)
        #expect(FileTree.remove(top))
        #expect(access(kept, F_OK) == 0)
    }

    // MARK: Output

    @Test("the end of a line without end is bounded")
    func endlessLine() throws {
        let scratch = try Scratch()
        #expect(try scratch.run(scratch.plan("head -c 50000000 /dev/zero | tr '\\0' x"))?.code == 0)
        let tail = OutputFile.tail(scratch.path + "/stdout")
        #expect(tail.utf8.count <= 8192)
    }

    // MARK: The agent's place

    private static let version1 = CgroupHierarchy(
        version: .one, mountPoint: "/sys/fs/cgroup/cpu", controllers: ["cpu", "cpuacct"])
    private static let version2 = CgroupHierarchy(
        version: .two, mountPoint: "/sys/fs/cgroup", controllers: ["cpu", "memory"])

    @Test(
        "a process is found in the tree of its processors",
        arguments: [
            (version1, "3:cpuset:/a\n2:cpu,cpuacct:/b/c\n0::/d", "/b/c"),
            (version2, "2:cpu:/b\n0::/d", "/d"), (version1, "0::/d", nil),
        ] as [(CgroupHierarchy, String, String?)])
    func membership(tree: CgroupHierarchy, text: String, path: String?) {
        #expect(NodeCgroups.path(in: tree, text) == path)
    }
}
