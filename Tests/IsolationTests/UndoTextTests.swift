import ProfferIsolation
import ProfferModel
import Testing

@Suite("What a plan has to undo, as text")
struct UndoTextTests {
    private static let steps: [UndoStep] = [
        .removeCgroup("/sys/fs/cgroup/pids/proffer/a"),
        .removeDirectory("/var/lib/x y/%41"),
        .removeFile("/tmp/a\tb\nc\r"),
        .unmount("/mnt/ü"),
        .run(Invocation(["/bin/rm", "-r", "a b", ""])),
        .run(
            Invocation(
                ["cni", "del"],
                environment: [
                    EnvironmentVariable(name: "A", value: ""),
                    EnvironmentVariable(name: "B", value: "x\n%y"),
                ], input: "{\"a\": 1}\n\n")),
    ]

    @Test("every step is read back as it was written", arguments: steps)
    func single(step: UndoStep) throws {
        #expect(try UndoStep.steps(in: UndoStep.text(of: [step])) == [step])
    }

    @Test("the order stays, and nothing is something")
    func order() throws {
        let text = UndoStep.text(of: Self.steps)
        #expect(try UndoStep.steps(in: text) == Self.steps)
        #expect(try UndoStep.steps(in: "").isEmpty)
    }

    @Test(
        "a text that is not whole, or says something else, is refused with its line",
        arguments: [
            "cgroup\t/a", "cgroup\trelative\n", "mkdir\t/a\n", "unmount\t/a\t/b\n", "\n",
            "run\tx\t1\ta\n", "run\t\t-1\ta\n", "run\t\t99999999999\ta\n", "file\t/a%4\n",
            "file\t/%FF\n", "directory\n",
        ])
    func refused(text: String) {
        let good = "file\t/x\n"
        #expect(throws: UndoTextProblem(line: 2)) { try UndoStep.steps(in: good + text) }
    }

    @Test("a text that ends anywhere within is refused")
    func cut() {
        let text = Array(UndoStep.text(of: Self.steps).utf8)
        for end in 1..<text.count where text[end - 1] != 0x0A {
            let part = String(decoding: text[..<end], as: UTF8.self)
            #expect(throws: UndoTextProblem.self) { try UndoStep.steps(in: part) }
        }
    }

    @Test("steps are undone in the opposite order, and settings go with their group")
    func undoing() {
        let plan = IsolationPlan(
            name: "a",
            steps: [
                .makeCgroup("/c"), .set("/c/pids.max", to: "1", .required),
                .makeDirectory("/d", mode: 0o700),
                .mount(MountPoint(source: "tmpfs", target: "/d", kind: "tmpfs")),
                .run(Invocation(["a"]), undo: nil),
                .run(Invocation(["b"]), undo: Invocation(["c"])),
            ])
        #expect(
            plan.undoing == [
                .run(Invocation(["c"])), .unmount("/d"), .removeDirectory("/d"),
                .removeCgroup("/c"),
            ])
    }
}
