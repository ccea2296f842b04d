import Glibc
import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferContainers

@Suite("Processes")
struct ProcessTests {
    @Test("a process ends with its code, its processor time and its peak of memory")
    func exits() throws {
        let scratch = try Scratch()
        let exit = try #require(try scratch.run(scratch.plan("echo out; echo err >&2; exit 7")))
        #expect(exit.code == 7)
        #expect(exit.signal == nil)
        #expect(try #require(exit.peakMemoryBytes) > 0)
        #expect(scratch.text("stdout") == "out\n")
        #expect(scratch.text("stderr") == "err\n")
    }

    @Test("a process that was ended by a signal says so", arguments: [SIGKILL, SIGTERM, SIGSEGV])
    func signalled(number: Int32) throws {
        let scratch = try Scratch()
        let exit = try #require(try scratch.run(scratch.plan("kill -\(number) $$")))
        #expect(exit.signal == Int(number))
        #expect(exit.code == nil)
    }

    @Test("a program without a shell is found by the PATH it is given")
    func withoutShell() throws {
        let scratch = try Scratch()
        var plan = scratch.plan("")
        plan.command = CommandInfo(value: "echo", shell: false, arguments: ["echo", "a  b", "$c"])
        #expect(try scratch.run(plan)?.code == 0)
        #expect(scratch.text("stdout") == "a  b $c\n")
    }

    @Test("an identity that is not exact holds no later tick than the very one of the start")
    func looseIdentity() throws {
        let scratch = try Scratch()
        let before = ProcessIdentity.presentTicks
        let process = try ProcessLauncher.start(scratch.plan("exit 0"), isExact: false)
        let exact = try #require(ProcessIdentity(pid: process.pid))
        #expect((before...exact.startTicks).contains(process.startTicks))
        var watcher = try ProcessWatcher()
        try watcher.watchChild(process, token: 1)
        #expect(watcher.takeEnds(within: 30_000).first?.exit?.code == 0)
    }

    @Test("a missing program is named in the error")
    func missing() throws {
        let scratch = try Scratch()
        var plan = scratch.plan("")
        plan.command = CommandInfo(value: "no-such-program", shell: false)
        let error = #expect(throws: SystemError.self) { try ProcessLauncher.start(plan) }
        #expect(
            error?.description
                == "cannot start 'no-such-program': No such file or directory")
    }

    @Test("a file that may not be executed is named in the error")
    func notExecutable() throws {
        let scratch = try Scratch()
        _ = try scratch.run(scratch.plan("echo hello > data"))
        var plan = scratch.plan("")
        plan.command = CommandInfo(value: "./data", shell: false)
        let error = #expect(throws: SystemError.self) { try ProcessLauncher.start(plan) }
        #expect(error?.description == "cannot start './data': Permission denied")
    }

    @Test("a missing directory is not taken for a missing program")
    func missingDirectory() throws {
        let scratch = try Scratch()
        var plan = scratch.plan("true")
        plan.directory += "/absent"
        plan.output = .discarded
        let error = #expect(throws: SystemError.self) { try ProcessLauncher.start(plan) }
        #expect(error?.operation == "enter")
    }

    @Test("a process inherits no descriptor, no variable and no blocked signal")
    func clean() throws {
        let scratch = try Scratch()
        setenv("PROFFER_TEST_SECRET", "secret", 1)
        defer { unsetenv("PROFFER_TEST_SECRET") }
        let leak = open("/dev/null", O_RDONLY)
        defer { close(leak) }
        // grep looks at itself: the shell blocks signals for a moment whenever it starts something.
        let plan = scratch.plan("ls -1 /proc/$$/fd; env; grep -E 'Sig(Blk|Ign)' /proc/self/status")
        #expect(try scratch.run(plan)?.code == 0)
        let text = scratch.text("stdout")
        #expect(text.hasPrefix("0\n1\n2\n"))
        #expect(!text.hasPrefix("0\n1\n2\n3"))
        #expect(!text.contains("secret"))
        #expect(text.contains("SigBlk:\t0000000000000000"))
        #expect(text.contains("SigIgn:\t0000000000000000"))
    }

    @Test("a process leads a session of its own, away from the terminal")
    func session() throws {
        let scratch = try Scratch()
        #expect(try scratch.run(scratch.plan("ps -o pid=,pgid=,sid= -p $$ | tr -s ' '"))?.code == 0)
        let ids = scratch.text("stdout").split(whereSeparator: { $0 == " " || $0 == "\n" })
        #expect(ids.count == 3)
        #expect(Set(ids).count == 1)
    }

    @Test("two hundred processes are all reaped, each with its own code")
    func many() throws {
        let scratch = try Scratch()
        var watcher = try ProcessWatcher()
        for number in 0..<200 {
            var plan = scratch.plan("exit \(number)")
            plan.output = .discarded
            try watcher.watchChild(try ProcessLauncher.start(plan), token: UInt64(number))
        }
        var codes: [UInt64: Int?] = [:]
        while watcher.count > 0 {
            let ends = watcher.takeEnds(within: 10_000)
            if ends.isEmpty { break }
            for end in ends { codes[end.token] = end.exit?.code }
        }
        #expect(codes.count == 200)
        #expect(codes.allSatisfy { $0.value == Int($0.key) })
    }

    @Test("a task that ignores TERM is ended by KILL, with all its children")
    func ignoresTerm() throws {
        let scratch = try Scratch()
        var watcher = try ProcessWatcher()
        let plan = scratch.plan("trap '' TERM; sleep 1000 & echo $! ; sleep 1000; sleep 1000")
        try watcher.watchChild(try ProcessLauncher.start(plan), token: 1)
        #expect(eventually { scratch.text("stdout").hasSuffix("\n") })
        let child = try #require(Int32(scratch.text("stdout").dropLast()))
        let identity = try #require(ProcessIdentity(pid: child))
        let isSent = watcher.signal(1, SIGTERM)
        #expect(isSent)
        #expect(identity.isAlive)
        watcher.signalGroup(1, SIGKILL)
        let end = watcher.takeEnds(within: 10_000).first
        #expect(end?.exit?.signal == Int(SIGKILL))
        #expect(eventually { !identity.isAlive })
    }

    @Test("what is left of a group dies when its first process has ended")
    func leftovers() throws {
        let scratch = try Scratch()
        #expect(try scratch.run(scratch.plan("sleep 1000 & echo $!"))?.code == 0)
        let child = try #require(Int32(scratch.text("stdout").dropLast()))
        let identity = ProcessIdentity(pid: child)
        #expect(eventually { identity?.isAlive != true })
    }

    @Test("a child that has made a session of its own is swept by its mark")
    func escapee() throws {
        let scratch = try Scratch()
        var watcher = try ProcessWatcher()
        let plan = scratch.plan("setsid sh -c 'echo $$ > pid; exec sleep 1000' & wait")
        let process = try ProcessLauncher.start(plan)
        try watcher.watchChild(process, token: 1)
        #expect(eventually { scratch.text("pid").hasSuffix("\n") })
        let pid = try #require(Int32(scratch.text("pid").dropLast()))
        let escapee = try #require(ProcessIdentity(pid: pid))
        watcher.signalGroup(1, SIGKILL)
        _ = watcher.takeEnds(within: 10_000)
        #expect(escapee.isAlive)
        var sweeper = ProcessSweeper()
        sweeper.add(sandbox: scratch.path, process: process)
        #expect(sweeper.sweep() >= 1)
        #expect(sweeper.isEmpty)
        #expect(eventually { !escapee.isAlive })
    }

    @Test("strays of a live task get its signals")
    func strays() throws {
        let scratch = try Scratch()
        var watcher = try ProcessWatcher()
        let plan = scratch.plan("setsid sh -c 'echo $$ > pid; exec sleep 1000' & wait")
        let process = try ProcessLauncher.start(plan)
        try watcher.watchChild(process, token: 1)
        #expect(eventually { scratch.text("pid").hasSuffix("\n") })
        let pid = try #require(Int32(scratch.text("pid").dropLast()))
        let stray = try #require(ProcessIdentity(pid: pid))
        ProcessSweeper.signalStrays(of: process, sandbox: scratch.path, SIGKILL)
        #expect(eventually { !stray.isAlive })
        _ = watcher.takeEnds(within: 10_000)
    }

    @Test("the end of a process that is no child is seen too, and a reused id is not taken for it")
    func stranger() throws {
        let scratch = try Scratch()
        var watcher = try ProcessWatcher()
        let process = try ProcessLauncher.start(scratch.plan("sleep 1000"))
        #expect(process.isAlive)
        let other = ProcessIdentity(pid: process.pid, startTicks: process.startTicks + 1)
        #expect(!other.isAlive)
        var strangers = try ProcessWatcher()
        let isTaken = try strangers.watchStranger(other, token: 1)
        #expect(!isTaken)
        let isWatched = try strangers.watchStranger(process, token: 2)
        #expect(isWatched)
        try watcher.watchChild(process, token: 3)
        watcher.signalGroup(3, SIGKILL)
        let first = strangers.takeEnds(within: 10_000).first
        let end = try #require(first)
        #expect(end.token == 2)
        #expect(end.exit == nil)
        _ = watcher.takeEnds(within: 10_000)
        let isWatchedAgain = try strangers.watchStranger(process, token: 4)
        #expect(!isWatchedAgain)
    }
}
