import Glibc
import ProfferIsolation
import ProfferModel
import Testing

@testable import ProfferContainers

@Suite("Volumes on the disk")
struct VolumeTests {
    private let scratch: Scratch

    init() throws { scratch = try Scratch() }

    private func place(_ names: String...) -> VolumePlace {
        VolumePlace(top: scratch.path + "/volumes", names: names)
    }

    private func shell(_ command: String) throws {
        let exit = try scratch.run(scratch.plan(command))
        #expect(exit?.code == 0, "\(command): \(scratch.text("stderr"))")
    }

    private func exists(_ name: String) -> Bool {
        var status = stat()
        return lstat("\(scratch.path)/\(name)", &status) == 0
    }

    @Test("the data of a destroyed volume goes, and nothing that a link in it leads to")
    func destroy() throws {
        try shell(
            """
            mkdir -p volumes/roles/db/a/deep outside
            echo x >outside/kept; echo x >volumes/roles/db/a/x
            ln -s "$PROFFER_SANDBOX/outside" volumes/roles/db/a/out
            ln -s "$PROFFER_SANDBOX/outside/kept" volumes/roles/db/a/deep/file
            mkdir -p volumes/roles/db/b; echo x >volumes/roles/db/b/kept
            """)
        let store = VolumeStore()
        let moved = try store.discard([place("roles", "db", "a"), place("roles", "db", "never")])
        #expect(!exists("volumes/roles/db/a"))
        #expect(moved.count == 1)
        #expect(store.remove(moved).isEmpty)
        #expect(exists("outside/kept"))
        #expect(exists("volumes/roles/db/b/kept"))
        try shell("test \"$(ls -A volumes/roles/db)\" = b")
    }

    @Test("a volume whose place has become a link is not followed")
    func link() throws {
        try shell(
            """
            mkdir -p volumes/roles/db outside; echo x >outside/kept
            ln -s "$PROFFER_SANDBOX/outside" volumes/roles/db/a
            """)
        let store = VolumeStore()
        #expect(store.remove(try store.discard([place("roles", "db", "a")])).isEmpty)
        #expect(exists("outside/kept"))
        #expect(!exists("volumes/roles/db/a"))
    }

    @Test("of a disk of its own the top stays, and everything in it goes")
    func whole() throws {
        try shell("mkdir -p disk/a disk/lost+found; echo x >disk/a/b; echo x >disk/c")
        let store = VolumeStore()
        let moved = try store.discard([VolumePlace(top: scratch.path + "/disk", names: [])])
        #expect(store.remove(moved).isEmpty)
        try shell("test \"$(ls -A disk)\" = lost+found")
    }

    @Test("what a crash has left of destroyed volumes goes later, and nothing else")
    func later() throws {
        try shell(
            """
            mkdir -p volumes/roles/db/a volumes/roles/db/b/.destroyed-0-x volumes/roles/x+/y/c
            echo x >volumes/roles/db/a/x; echo x >volumes/roles/x+/y/c/x
            """)
        let store = VolumeStore()
        _ = try store.discard([place("roles", "db", "a"), place("roles", "x+", "y", "c")])
        #expect(store.removeDiscarded(below: scratch.path + "/volumes").isEmpty)
        try shell(
            """
            test "$(ls -A volumes/roles/db)" = b; test -e volumes/roles/db/b/.destroyed-0-x
            """)
    }

    @Test("what stands in the place of a new volume is kept under another name")
    func aside() throws {
        try shell("mkdir -p volumes/roles/db/a; echo x >volumes/roles/db/a/x")
        let moved = try VolumeStore().setAside([place("roles", "db", "a"), place("roles", "n")])
        #expect(moved == [scratch.path + "/volumes/roles/db/.set-aside-0-a"])
        #expect(exists("volumes/roles/db/.set-aside-0-a/x"))
        #expect(!exists("volumes/roles/db/a"))
    }

    // MARK: Plans

    private func carryOut(_ steps: [IsolationStep]) throws -> IsolationPlan {
        let plan = IsolationPlan(name: "p", steps: steps)
        try PlanRunner(directory: scratch.path).carryOut(plan)
        return plan
    }

    private func owner(_ name: String) -> uid_t? {
        var status = stat()
        return lstat("\(scratch.path)/\(name)", &status) == 0 ? status.st_uid : nil
    }

    @Test(
        "a volume is given to its task, those above it to nobody; a shared one to the first only",
        .enabled(if: isRoot, "needs root"))
    func ownership() throws {
        try shell("mkdir volumes")
        let top = scratch.path + "/volumes"
        func ensure(_ name: String, _ user: UInt32, isShared: Bool) throws {
            _ = try carryOut([
                .ensureVolume(
                    "\(top)/roles/db/\(name)", below: top,
                    owner: ContainerUser(id: user, group: user), isShared: isShared)
            ])
        }
        try ensure("a", 1234, isShared: false)
        #expect(owner("volumes/roles/db/a") == 1234)
        #expect(owner("volumes/roles/db") == 0)
        #expect(owner("volumes/roles") == 0)
        try ensure("a", 1235, isShared: false)
        #expect(owner("volumes/roles/db/a") == 1235)
        try ensure("s", 1234, isShared: true)
        try ensure("s", 1235, isShared: true)
        #expect(owner("volumes/roles/db/s") == 1234)
    }

    @Test("a link in the place of a volume is refused")
    func linkedVolume() throws {
        try shell("mkdir -p volumes/roles outside; ln -s ../../outside volumes/roles/db")
        let top = scratch.path + "/volumes"
        let user = ContainerUser(id: geteuid(), group: getegid())
        #expect(throws: SystemError.self) {
            try carryOut([
                .ensureVolume("\(top)/roles/db/a", below: top, owner: user, isShared: false)
            ])
        }
        #expect(!exists("outside/a"))
    }

    @Test(
        "a volume is mounted in a sandbox, and no link in the sandbox leads it elsewhere",
        .enabled(if: isRoot, "needs root"))
    func mounted() throws {
        try shell("mkdir -p v sandbox/data outside; echo x >v/x; ln -s ../outside sandbox/link")
        func mount(_ name: String) throws -> IsolationPlan {
            try carryOut([
                .mount(
                    MountPoint(
                        source: scratch.path + "/v", target: "\(scratch.path)/sandbox/\(name)",
                        kind: "bind", options: ["nosuid", "nodev"], below: scratch.path + "/v",
                        targetBelow: scratch.path + "/sandbox"))
            ])
        }
        let plan = try mount("data")
        #expect(exists("sandbox/data/x"))
        // A directory with a mount in it is not emptied.
        #expect(!FileTree.remove(scratch.path + "/sandbox/data"))
        #expect(exists("v/x"))
        #expect(PlanRunner(directory: scratch.path).undo(plan))
        #expect(!exists("sandbox/data/x"))
        #expect(throws: SystemError.self) { try mount("link") }
        #expect(!exists("outside/x"))
    }

    @Test("a link to a volume is made where there is nothing yet")
    func madeLink() throws {
        try shell("mkdir -p v sandbox/there; echo x >v/x")
        func link(_ name: String) throws {
            _ = try carryOut([
                .linkVolume(
                    scratch.path + "/v", at: "\(scratch.path)/sandbox/\(name)",
                    below: scratch.path + "/sandbox")
            ])
        }
        try link("data")
        #expect(exists("sandbox/data/x"))
        try link("data")
        #expect(throws: SystemError.self) { try link("there") }
    }
}

@Suite("GPUs of a node")
struct GPUTests {
    private let scratch: Scratch

    init() throws { scratch = try Scratch() }

    /// Files of the kernel that look like those of two GPUs: those of zero and full are harmless.
    private func makeDevices(_ minors: [Int]) throws {
        let nodes = zip(minors, [5, 7, 9]).map { "mknod dev/nvidia\($0) c 1 \($1)" }
        try #require(
            try scratch.run(
                scratch.plan(
                    "mkdir -p dev bin; \(nodes.joined(separator: "; ")); mknod dev/nvidiactl c 1 8"
                ))?.code == 0)
    }

    private func find(driver: String = "none") -> GPUSettings {
        NodeGPUs.find(
            path: scratch.path + "/bin:/usr/bin:/bin", devices: scratch.path + "/dev",
            driver: scratch.path + "/" + driver)
    }

    @Test("a node without the maker's tools and files has none")
    func none() { #expect(find() == GPUSettings()) }

    @Test(
        "the tool lists them, and the driver says which file is whose",
        .enabled(if: isRoot, "needs root, to make device files"))
    func listed() throws {
        try makeDevices([0, 1])
        let script = """
            cat >bin/nvidia-smi <<'END'
            #!/bin/sh
            test "$1" = -L || exit 2
            echo 'GPU 0: NVIDIA A100 (80GB) (UUID: GPU-aaaa-1)'
            echo '  MIG 1g.5gb Device 0: (UUID: MIG-cccc)'
            echo 'GPU 1: NVIDIA A100 (80GB) (UUID: GPU-bbbb-2)'
            END
            chmod +x bin/nvidia-smi
            mkdir -p driver/0000:01 driver/0000:02
            printf 'Model: \\t A100\\nGPU UUID: \\t GPU-aaaa-1\\nDevice Minor: \\t 1\\n' \
                >driver/0000:01/information
            printf 'GPU UUID: \\t GPU-bbbb-2\\nDevice Minor: \\t 0\\n' >driver/0000:02/information
            """
        #expect(try scratch.run(scratch.plan(script))?.code == 0)
        let found = find(driver: "driver")
        #expect(found.devices.map(\.uuid) == ["GPU-aaaa-1", "GPU-bbbb-2"])
        #expect(found.devices.map(\.node.path.last) == ["1", "0"])
        #expect(found.devices.map(\.node.minor) == [7, 5])
        #expect(found.common.map(\.minor) == [8])
        // Without the driver's word, the number is that of the file.
        #expect(find().devices.map(\.node.path.last) == ["0", "1"])
    }

    @Test(
        "without the tool the device files are enough, and a tool that fails is none",
        .enabled(if: isRoot, "needs root, to make device files"))
    func files() throws {
        try makeDevices([0, 2])
        #expect(find().devices.map(\.name) == ["0", "2"])
        #expect(
            try scratch.run(
                scratch.plan("echo 'exit 9' >bin/nvidia-smi; chmod +x bin/nvidia-smi"))?.code == 0)
        #expect(find().devices.map(\.name) == ["0", "2"])
    }

    @Test(
        "a task in a cgroup can use the GPUs it was given and no others",
        .enabled(
            if: canMakeCgroups && NodeCgroups.layout().hierarchy(of: "devices")?.version == .one,
            "needs root and a tree of the controller devices"))
    func kept() throws {
        try makeDevices([0, 1])
        let gpus = find()
        var settings = IsolationSettings(mode: .cgroup)
        settings.cgroupRoot = "/proffer-test-\(scratch.path.suffix(6))"
        settings.gpus = gpus
        let planner = TaskPlanner(
            settings: settings, facts: NodeIsolation.facts(for: settings))
        let cgroups = try #require(planner.cgroups)
        try NodeCgroups.prepare(cgroups, cores: false)
        defer { NodeCgroups.discard(cgroups, cores: false) }
        func use(_ assigned: [GPUDevice]) throws -> String {
            let plan = planner.plan(
                IsolationSubject(
                    name: "t", resources: Resources(cpus: Milli(1), mem: Milli(32)),
                    gpus: assigned))
            let runner = PlanRunner(directory: scratch.path)
            try runner.carryOut(plan)
            var start = scratch.plan(
                """
                for name in nvidia0 nvidia1 nvidiactl; do
                    (: <dev/$name) 2>/dev/null && echo $name
                done
                true
                """)
            start.confinement = plan.confinement
            unlink(scratch.path + "/stdout")
            #expect(try scratch.run(start)?.code == 0)
            #expect(eventually { runner.undo(plan) })
            return scratch.text("stdout")
        }
        #expect(try use([gpus.devices[0]]) == "nvidia0\nnvidiactl\n")
        #expect(try use([gpus.devices[1]]) == "nvidia1\nnvidiactl\n")
        #expect(try use([]) == "")
    }
}
