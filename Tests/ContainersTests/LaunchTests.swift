import Glibc
import ProfferIsolation
import ProfferModel
import Testing

@testable import ProfferContainers

/// Whether this machine lets tests act as root, which some of them need.
let isRoot = geteuid() == 0

@Suite("Processes, confined")
struct LaunchTests {
    @Test("limits hold for the process and its children")
    func limits() throws {
        let scratch = try Scratch()
        var plan = scratch.plan("ulimit -n; ulimit -Hn; ulimit -c; sh -c 'ulimit -f'")
        plan.confinement.limits = [
            ProcessLimit(.descriptors, soft: 32, hard: 48), ProcessLimit(.core, soft: 0, hard: 0),
            ProcessLimit(.fileSize, soft: 1 << 20, hard: 1 << 20),
        ]
        #expect(try scratch.run(plan)?.code == 0)
        #expect(scratch.text("stdout") == "32\n48\n0\n2048\n")
    }

    @Test("a limit that the kernel does not take is named")
    func badLimit() throws {
        let scratch = try Scratch()
        var plan = scratch.plan("true")
        plan.confinement.limits = [ProcessLimit(.descriptors, soft: 48, hard: 32)]
        let error = #expect(throws: SystemError.self) { try ProcessLauncher.start(plan) }
        #expect(error?.description == "cannot set the limit 'NOFILE': Invalid argument")
    }

    @Test("a task that uses up its descriptors harms nobody else")
    func descriptors() throws {
        let scratch = try Scratch()
        var plan = scratch.plan(
            "i=3; while eval \"exec $i</dev/null\" 2>/dev/null; do i=$((i+1)); done; echo $i")
        plan.confinement.limits = [ProcessLimit(.descriptors, soft: 64, hard: 64)]
        // The shell ends when it cannot redirect.
        let exit = try scratch.run(plan)
        #expect(exit?.code != 0)
        #expect(try scratch.run(scratch.plan("exec 9</dev/null; echo fine"))?.code == 0)
    }

    @Test("no program gives privileges to a process that is to stay without")
    func noNewPrivileges() throws {
        let scratch = try Scratch()
        var plan = scratch.plan("grep NoNewPrivs /proc/self/status")
        plan.confinement.keepsUnprivileged = true
        #expect(try scratch.run(plan)?.code == 0)
        #expect(scratch.text("stdout") == "NoNewPrivs:\t1\n")
    }

    @Test("the node's memory is taken from tasks first")
    func oomScore() throws {
        let scratch = try Scratch()
        var plan = scratch.plan("cat /proc/self/oom_score_adj")
        plan.confinement.oomScore = 300
        #expect(try scratch.run(plan)?.code == 0)
        #expect(scratch.text("stdout") == "300\n")
    }

    @Test("nothing of the caller is inherited: descriptors, signals, environment, session")
    func clean() throws {
        let scratch = try Scratch()
        let leak = open("/dev/null", O_RDONLY)
        defer { close(leak) }
        signal(SIGUSR1, SIG_IGN)
        defer { signal(SIGUSR1, SIG_DFL) }
        let command = """
            ls /proc/self/fd | wc -l; grep -E '^Sig(Ign|Blk)' /proc/self/status; env | sort; \
            cut -d' ' -f1,5,6 /proc/$$/stat | tr ' ' '\\n' | uniq | wc -l
            """
        var plan = scratch.plan(command)
        plan.environment = [EnvironmentVariable(name: "PATH", value: "/usr/bin:/bin")]
        #expect(try scratch.run(plan)?.code == 0)
        // ls has one more for the directory it reads.
        #expect(
            scratch.text("stdout").hasPrefix(
                "4\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"))
        let environment = scratch.text("stdout").split(separator: "\n").filter {
            $0.contains("=")
        }
        #expect(Set(environment.map { $0.prefix { $0 != "=" } }) == ["PATH", "PWD"])
        #expect(scratch.text("stdout").hasSuffix("\n1\n"))
    }

    @Test(
        "a task drops to its user, with the user's groups and no way back",
        .enabled(if: isRoot, "needs root"))
    func user() throws {
        let scratch = try Scratch()
        #expect(chmod(scratch.path, 0o711) == 0)
        var plan = scratch.plan("id -u; id -G; grep -E '^(CapEff|NoNew)' /proc/self/status")
        plan.command.user = "nobody"
        #expect(try scratch.run(plan)?.code == 0)
        let lines = scratch.text("stdout").split(separator: "\n")
        #expect(lines == ["65534", "65534", "CapEff:\t0000000000000000", "NoNewPrivs:\t1"])
    }

    @Test("threads that start processes at once do not disturb each other")
    func together() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for index in 0..<8 {
                group.addTask {
                    let scratch = try Scratch()
                    for _ in 0..<10 {
                        #expect(try scratch.run(scratch.plan("exit \(index)"))?.code == index)
                    }
                }
            }
            try await group.waitForAll()
        }
    }
}
