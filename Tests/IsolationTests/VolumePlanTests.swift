import ProfferIsolation
import ProfferModel
import Testing

@Suite("Volumes, planned")
struct VolumePlanTests {
    private static let owner = ContainerUser(id: 1000, group: 1000)

    private static func volume(_ path: String = "data", isShared: Bool = false) -> Resources {
        Resources([
            Resource(
                "disk", .scalar(Milli(10)), reservations: [Reservation(role: "db")],
                disk: DiskInfo(persistenceID: "a", containerPath: path), isShared: isShared)
        ])
    }

    private func planner(_ drivers: [String: CommandVolumeDriver] = [:]) -> VolumePlanner {
        VolumePlanner(
            VolumeSettings(directory: "/w/volumes", mounts: "/w/mounts", drivers: drivers))
    }

    private func steps(
        _ resources: Resources, isRoot: Bool, container: ContainerInfo? = nil,
        _ drivers: [String: CommandVolumeDriver] = [:]
    ) throws -> [IsolationStep] {
        let planner = planner(drivers)
        return try planner.steps(
            "c.1", planner.mounts(of: resources), container, sandbox: "/w/s", owner: Self.owner,
            isRoot: isRoot)
    }

    @Test("a privileged agent mounts a volume beneath the sandbox, another one makes a link")
    func plain() throws {
        let path = "/w/volumes/roles/db/a"
        let making = IsolationStep.ensureVolume(
            path, below: "/w/volumes", owner: Self.owner, isShared: false)
        #expect(
            try steps(Self.volume(), isRoot: true) == [
                making, .ensureDirectory("/w/s/data", below: "/w/s", owner: Self.owner),
                .mount(
                    MountPoint(
                        source: path, target: "/w/s/data", kind: "bind",
                        options: ["nosuid", "nodev"], below: "/w/volumes", targetBelow: "/w/s")),
            ])
        #expect(
            try steps(Self.volume(), isRoot: false) == [
                making, .linkVolume(path, at: "/w/s/data", below: "/w/s"),
            ])
        #expect(try steps(Resources(disk: Milli(5)), isRoot: true).isEmpty)
    }

    @Test("undoing a mounted volume unmounts it and removes nothing")
    func undoing() throws {
        let plan = IsolationPlan(name: "c.1", steps: try steps(Self.volume(), isRoot: true))
        #expect(plan.undoing == [.unmount("/w/s/data")])
    }

    @Test(
        "a path that leads out of the sandbox is refused",
        arguments: ["..", "a/../b", "/etc", "", ".", "a//b", "a\u{0}b"])
    func paths(path: String) {
        #expect(throws: ContainerProblem.self) {
            try planner().mounts(of: Self.volume(path))
        }
    }

    @Test("an agent without a place for volumes says so")
    func noPlace() {
        #expect(throws: ContainerProblem.self) {
            try VolumePlanner(VolumeSettings()).mounts(of: Self.volume())
        }
    }

    // MARK: Drivers

    private static func external(
        _ name: String, _ options: [Label] = [], driver: String = "d"
    ) -> ContainerInfo {
        ContainerInfo(volumes: [
            Volume(
                containerPath: "far", isReadOnly: true,
                external: .init(driver: driver, name: name, options: options))
        ])
    }

    private static let driver = CommandVolumeDriver(
        mount: ["m", "-o", "a,{option:o}", "{name}", "{target}", "{other}"],
        names: ["server:/x/"])

    @Test("a driver's program is told name, target and options, and is undone after the task")
    func driver() throws {
        let steps = try steps(
            Resources(), isRoot: true,
            container: Self.external("server:/x/{target}", [Label("o", "b")]),
            ["d": Self.driver])
        let target = "/w/mounts/c.1-0"
        guard case .run(let mount, let unmount?) = try #require(steps.dropFirst(2).first) else {
            Issue.record("no program is run: \(steps)")
            return
        }
        #expect(mount.arguments == ["m", "-o", "a,b", "server:/x/{target}", target, "{other}"])
        #expect(unmount.arguments == ["umount", target])
        let plan = IsolationPlan(name: "c.1", steps: steps)
        #expect(
            plan.undoing == [
                .unmount("/w/s/far"), .run(unmount), .unmount(target), .removeDirectory(target),
            ])
    }

    @Test(
        "a name that a program could take for something else is refused",
        arguments: ["", "-o", "server:/x/../y", "server:/x/\n", "other:/x/y"])
    func names(name: String) {
        #expect(throws: ContainerProblem.self) {
            try steps(
                Resources(), isRoot: true, container: Self.external(name), ["d": Self.driver])
        }
    }

    @Test("an option that a program could take for something else is refused")
    func options() {
        for value in ["-x", "a\u{1}b"] {
            #expect(throws: ContainerProblem.self) {
                try steps(
                    Resources(), isRoot: true,
                    container: Self.external("server:/x/y", [Label("o", value)]),
                    ["d": Self.driver])
            }
        }
    }

    @Test("a driver that there is not, and an agent that may not mount, refuse the task")
    func noDriver() {
        #expect(throws: ContainerProblem.self) {
            try steps(Resources(), isRoot: true, container: Self.external("n"))
        }
        #expect(throws: ContainerProblem.self) {
            try steps(
                Resources(), isRoot: false, container: Self.external("server:/x/y"),
                ["d": Self.driver])
        }
    }

    @Test("drivers go to an executor by its environment as they are")
    func environment() {
        var settings = IsolationSettings()
        settings.volumes = VolumeSettings(
            directory: "/w/volumes", mounts: "/w/mounts",
            drivers: ["d": Self.driver, "nfs": .nfs])
        let variables = settings.environment
        let read = IsolationSettings { name in variables.last { $0.name == name }?.value }
        #expect(read == settings)
    }

    @Test("a file of drivers is read whole or not at all")
    func file() {
        let good = #"{"d": {"mount": ["m", "{target}"], "names": ["a"]}}"#
        #expect(
            VolumeSettings.drivers(in: good) == [
                "d": CommandVolumeDriver(mount: ["m", "{target}"], names: ["a"])
            ])
        let wrong = [
            "[]", "{", #"{"d": {}}"#, #"{"d": {"mount": []}}"#, #"{"d": {"mount": "m"}}"#,
            #"{"d": {"mount": [1]}}"#, #"{"d": {"mount": ["m"], "extra": []}}"#,
            #"{"d": {"mount": ["m"], "unmount": []}}"#,
        ]
        for text in wrong { #expect(VolumeSettings.drivers(in: text) == nil, "\(text)") }
    }

    // MARK: GPUs

    private static let gpus = GPUSettings(
        devices: [
            GPUDevice(
                index: 0, uuid: "GPU-a",
                node: DeviceNode(path: "/dev/nvidia0", major: 195, minor: 0)),
            GPUDevice(
                index: 1, uuid: "", node: DeviceNode(path: "/dev/nvidia1", major: 195, minor: 1)),
        ], common: [DeviceNode(path: "/dev/nvidiactl", major: 195, minor: 255)])

    @Test("what a tool prints is read line by line, and nothing but GPUs is taken for one")
    func list() {
        let text = """
            GPU 0: NVIDIA GeForce RTX 3090 (UUID: GPU-1-a)
              MIG 1g.5gb     Device  0: (UUID: MIG-2)
            GPU x: broken (UUID: GPU-3)
            GPU 12: name (UUID: GPU-4-b)
            GPU 3: no name at all
            GPU 4: odd (UUID: a,b)
            No devices were found
            """
        let found = GPUSettings.list(text)
        #expect(found.map(\.index) == [0, 12, 3, 4])
        #expect(found.map(\.uuid) == ["GPU-1-a", "GPU-4-b", "", ""])
        #expect(GPUSettings.list("").isEmpty)
    }

    @Test("what the driver says is read when it says both")
    func information() throws {
        let read = try #require(
            GPUSettings.information("Model: x\nGPU UUID:\t GPU-1\nDevice Minor: \t 7\n"))
        #expect(read.uuid == "GPU-1" && read.minor == 7)
        #expect(GPUSettings.information("GPU UUID: GPU-1\n") == nil)
        #expect(GPUSettings.information("GPU UUID: GPU-1\nDevice Minor: x\n") == nil)
    }

    @Test("a task's GPUs are known by its environment, which an executor reads as they are")
    func assigned() {
        var settings = IsolationSettings()
        settings.gpus = Self.gpus
        let variables = settings.environment
        let read = IsolationSettings { name in variables.last { $0.name == name }?.value }
        #expect(read.gpus == Self.gpus)
        func devices(_ value: String) -> [Int] {
            read.gpus.devices(of: [EnvironmentVariable(name: "PROFFER_GPUS", value: value)])
                .map(\.index)
        }
        #expect(devices("GPU-a,1") == [0, 1])
        #expect(devices("1") == [1])
        #expect(devices("") == [])
        #expect(devices("GPU-b") == [])
        #expect(read.gpus.devices(of: []).isEmpty)
    }

    @Test("without GPUs an executor is told nothing of any")
    func noGPUs() {
        #expect(!IsolationSettings().environment.contains { $0.name == "PROFFER_GPU_DEVICES" })
    }

    @Test("a container finds the devices that it was given, under their usual names")
    func container() throws {
        var subject = BundleSubject(
            name: "c.1", root: "/image", image: ImageDefaults(),
            command: CommandInfo(value: "true"), environment: [], sandbox: "/w/s",
            groupSandbox: "/w/s", user: Self.owner, container: ContainerInfo(), limits: [],
            cgroup: "/p/c.1", oomScore: 0,
            mounts: try planner().mounts(of: Self.volume()))
        subject.devices = [DeviceNode(path: "/x/nvidia0", major: 195, minor: 0)]
        let steps = try ContainerPlanner(directory: "/b").steps(subject)
        let text = steps.compactMap { step -> String? in
            if case .makeFile(_, let contents, _) = step { contents } else { nil }
        }.joined()
        let config = try JSON(text: text)
        let rules = config["linux"]?["resources"]?["devices"]?.elements ?? []
        #expect(rules.count == 2)
        #expect(rules.last?["major"]?.integer == 195)
        #expect(rules.last?["access"]?.text == "rw")
        let targets = (config["mounts"]?.elements ?? []).compactMap { $0["destination"]?.text }
        #expect(targets.contains("/dev/nvidia0"))
        #expect(targets.contains("/mnt/mesos/sandbox/data"))
        #expect(
            steps.contains(
                .ensureVolume(
                    "/w/volumes/roles/db/a", below: "/w/volumes", owner: Self.owner,
                    isShared: false)))
    }
}
