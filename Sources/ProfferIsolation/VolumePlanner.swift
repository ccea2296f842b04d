public import ProfferModel

/// Mounts volumes that are kept elsewhere, such as on a file server.
///
/// A driver only says what is to be done; the executor does it, and undoes it after the task, after
/// a crash too. An operator gives `proffer-agent` drivers of the kind ``CommandVolumeDriver``; who
/// has executors of their own can give them others.
public protocol VolumeDriver: Sendable {
    /// What mounts a volume.
    ///
    /// - Parameters:
    ///   - volume: What the task asks for; its driver is this one.
    ///   - target: An empty directory that is there by then and removed afterwards. Steps that are
    ///     not undone by an unmount of it have to know their undoing.
    /// - Returns: The steps.
    /// - Throws: ``ContainerProblem`` for a volume that may not be had; the task fails with it.
    func steps(
        mounting volume: Volume.External, at target: String
    ) throws(ContainerProblem) -> [IsolationStep]
}

/// A driver that runs a program to mount and one to unmount: `mount -t nfs`, or any other.
public struct CommandVolumeDriver: VolumeDriver, Hashable {
    /// The program and its words.
    ///
    /// `{name}` stands for the volume's name, `{target}` for the
    /// directory, `{option:x}` for the value of its option x, nothing when it has none.
    public var mount: [String]
    /// What undoes it, written in the same way.
    public var unmount: [String]
    /// How the names of volumes must begin; any name when empty.
    public var names: [String]

    /// Sets every field; what is left out has the default shown.
    public init(
        mount: [String], unmount: [String] = ["umount", "{target}"], names: [String] = []
    ) {
        self.mount = mount
        self.unmount = unmount
        self.names = names
    }

    /// Mounts `server:/path` by NFS, with the volume's option `o` as mount options beside `nosuid`
    /// and `nodev`.
    public static let nfs = CommandVolumeDriver(
        mount: ["mount", "-t", "nfs", "-o", "nosuid,nodev,{option:o}", "{name}", "{target}"])

    /// Runs the first program, and the second one to undo it.
    public func steps(
        mounting volume: Volume.External, at target: String
    ) throws(ContainerProblem) -> [IsolationStep] {
        let texts = [volume.name] + volume.options.compactMap(\.value)
        let isSafe = texts.allSatisfy { text in
            !text.hasPrefix("-") && text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F }
        }
        guard isSafe, !volume.name.isEmpty, !volume.name.split(separator: "/").contains("..") else {
            throw ContainerProblem(description: "'\(volume.name)' cannot be the name of a volume")
        }
        guard names.isEmpty || names.contains(where: volume.name.hasPrefix) else {
            throw ContainerProblem(
                description: "the driver '\(volume.driver)' of this agent has no volume"
                    + " '\(volume.name)'")
        }
        return [
            .run(
                invocation(mount, volume, target), undo: invocation(unmount, volume, target))
        ]
    }

    private func invocation(
        _ words: [String], _ volume: Volume.External, _ target: String
    ) -> Invocation {
        Invocation(
            words.map { Self.filled($0, volume, target) },
            environment: [EnvironmentVariable(name: "PATH", value: Self.searchPath)])
    }

    private static let searchPath =
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

    /// A word with what its places in braces stand for; what is filled in is not looked at again.
    private static func filled(
        _ word: String, _ volume: Volume.External, _ target: String
    ) -> String {
        var result = ""
        var rest = Substring(word)
        while let open = rest.firstIndex(of: "{") {
            result += rest[..<open]
            guard let close = rest[open...].firstIndex(of: "}") else { break }
            let place = rest[rest.index(after: open)..<close]
            switch place {
            case "name": result += volume.name
            case "target": result += target
            case _ where place.hasPrefix("option:"):
                let key = place.dropFirst("option:".count)
                result += volume.options.last { $0.key == key }?.value ?? ""
            default: result += rest[open...close]
            }
            rest = rest[rest.index(after: close)...]
        }
        return result + rest
    }
}

/// What an operator has decided about volumes.
public struct VolumeSettings: Hashable, Sendable {
    /// Where persistent volumes of the root disk are; nowhere when empty.
    public var directory: String
    /// Where volumes of drivers are mounted.
    public var mounts: String
    /// The drivers, by the name that tasks call them by.
    public var drivers: [String: CommandVolumeDriver]

    /// Sets every field; what is left out has the default shown.
    public init(
        directory: String = "", mounts: String = "", drivers: [String: CommandVolumeDriver] = [:]
    ) {
        self.directory = directory
        self.mounts = mounts
        self.drivers = drivers
    }
}

/// A persistent volume that a task has taken and is to find in its sandbox.
public struct VolumeMount: Hashable, Sendable {
    /// Where the data is.
    public var place: VolumePlace
    /// Where the task finds it, below its sandbox.
    public var path: String
    /// Whether other tasks may have it at the same time.
    public var isShared: Bool

    /// Sets every field.
    public init(place: VolumePlace, path: String, isShared: Bool) {
        self.place = place
        self.path = path
        self.isShared = isShared
    }
}

/// Plans how tasks find their volumes.
public struct VolumePlanner: Sendable {
    private let settings: VolumeSettings
    private let drivers: [String: any VolumeDriver]

    /// Plans for one node.
    ///
    /// - Parameters:
    ///   - settings: What the operator has decided.
    ///   - drivers: Further drivers; of the same name they go before those of the operator.
    public init(_ settings: VolumeSettings, drivers: [String: any VolumeDriver] = [:]) {
        self.settings = settings
        self.drivers = drivers
    }

    /// The persistent volumes among what a task has taken.
    ///
    /// - Throws: ``ContainerProblem`` where the agent has no place for them.
    public func mounts(of resources: Resources) throws(ContainerProblem) -> [VolumeMount] {
        var mounts: [VolumeMount] = []
        for item in resources.persistentVolumes.items {
            guard let place = item.volumePlace(below: settings.directory) else { continue }
            if place.top.isEmpty {
                throw ContainerProblem(description: "this agent has no place for volumes")
            }
            let path = item.disk?.containerPath ?? item.disk?.persistenceID ?? ""
            guard Self.isPlain(path) else {
                throw ContainerProblem(
                    description: "'\(path)' is no path for a volume in a sandbox")
            }
            mounts.append(VolumeMount(place: place, path: path, isShared: item.isShared))
        }
        return mounts
    }

    /// Whether a path has names only, no way back.
    static func isPlain(_ path: some StringProtocol) -> Bool {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        return !path.utf8.contains(0)
            && parts.allSatisfy { !$0.isEmpty && $0 != "." && $0 != ".." }
    }

    /// What makes sure that a volume's directory is there and the task's.
    static func making(_ mount: VolumeMount, owner: ContainerUser) -> IsolationStep {
        .ensureVolume(
            mount.place.path, below: mount.place.top, owner: owner, isShared: mount.isShared)
    }

    /// What a task without a container needs to find its volumes in its sandbox.
    ///
    /// Where the executor is privileged they are mounted, so that a task under another user reaches
    /// them; elsewhere they are links.
    ///
    /// - Parameters:
    ///   - name: The name of the task's plan.
    ///   - mounts: Its persistent volumes.
    ///   - container: What it asks for beside that; only volumes of drivers are looked at.
    ///   - sandbox: Its sandbox.
    ///   - owner: Who it is.
    ///   - isRoot: Whether the executor is privileged.
    /// - Returns: The steps.
    /// - Throws: ``ContainerProblem`` for a volume that may not be had.
    public func steps(
        _ name: String, _ mounts: [VolumeMount], _ container: ContainerInfo?, sandbox: String,
        owner: ContainerUser, isRoot: Bool
    ) throws(ContainerProblem) -> [IsolationStep] {
        var steps: [IsolationStep] = []
        func bind(_ source: String, _ top: String, _ path: String, isReadOnly: Bool) {
            let target = "\(sandbox)/\(path)"
            steps.append(.ensureDirectory(target, below: sandbox, owner: owner))
            steps.append(
                .mount(
                    MountPoint(
                        source: source, target: target, kind: "bind",
                        options: ["nosuid", "nodev"] + (isReadOnly ? ["ro"] : []), below: top,
                        targetBelow: sandbox)))
        }
        for mount in mounts {
            steps.append(Self.making(mount, owner: owner))
            if isRoot {
                bind(mount.place.path, mount.place.top, mount.path, isReadOnly: false)
            } else {
                steps.append(
                    .linkVolume(
                        mount.place.path, at: "\(sandbox)/\(mount.path)", below: sandbox))
            }
        }
        for (index, volume) in (container?.volumes ?? []).enumerated() {
            guard let external = volume.external else { continue }
            guard isRoot else {
                throw ContainerProblem(description: "only a privileged agent mounts volumes")
            }
            guard Self.isPlain(volume.containerPath) else {
                throw ContainerProblem(
                    description: "'\(volume.containerPath)' is no path in a sandbox")
            }
            let made = try self.external(external, name: "\(name)-\(index)")
            steps += made.steps
            bind(
                made.directory, made.directory, volume.containerPath,
                isReadOnly: volume.isReadOnly)
        }
        return steps
    }

    /// What mounts the volume of a driver, and where; `name` names the mount among those of the
    /// agent, and is a file name.
    func external(
        _ volume: Volume.External, name: String
    ) throws(ContainerProblem) -> (steps: [IsolationStep], directory: String) {
        let driver: (any VolumeDriver)? = drivers[volume.driver] ?? settings.drivers[volume.driver]
        guard let driver, !settings.mounts.isEmpty else {
            throw ContainerProblem(
                description: "the agent has no volume driver '\(volume.driver)'; see its"
                    + " --volume-drivers")
        }
        let target = "\(settings.mounts)/\(name)"
        let mounting = try driver.steps(mounting: volume, at: target)
        // Whatever the driver's own undoing does: nothing is removed while it is mounted.
        return (
            [.makeDirectory(target, mode: 0o711), .promise(.unmount(target))] + mounting, target
        )
    }
}

// MARK: As text

extension VolumeSettings {
    /// What an executor finds in its environment.
    var environment: [EnvironmentVariable] {
        if directory.isEmpty { return [] }
        var list = [
            EnvironmentVariable(name: "PROFFER_VOLUMES", value: directory),
            EnvironmentVariable(name: "PROFFER_MOUNTS", value: mounts),
        ]
        if !drivers.isEmpty {
            list.append(
                EnvironmentVariable(
                    name: "PROFFER_VOLUME_DRIVERS", value: Self.json(of: drivers).description))
        }
        return list
    }

    init(environment: (String) -> String?) {
        self.init(
            directory: environment("PROFFER_VOLUMES") ?? "",
            mounts: environment("PROFFER_MOUNTS") ?? "",
            drivers: environment("PROFFER_VOLUME_DRIVERS").flatMap { Self.drivers(in: $0) } ?? [:])
    }

    private static func json(of drivers: [String: CommandVolumeDriver]) -> JSON {
        .object(
            drivers.sorted { $0.key < $1.key }.map { name, driver in
                JSON.Member(
                    name,
                    [
                        "mount": .strings(driver.mount), "unmount": .strings(driver.unmount),
                        "names": .strings(driver.names),
                    ])
            })
    }

    /// Reads drivers: an object with one for each name, each with `mount`, `unmount` (`umount` of
    /// the target when absent) and `names` (all when absent), lists of text.
    ///
    /// - Returns: The drivers; `nil` when the text is something else.
    public static func drivers(in text: String) -> [String: CommandVolumeDriver]? {
        guard let json = try? JSON(text: text), case .object(let members) = json else { return nil }
        var drivers: [String: CommandVolumeDriver] = [:]
        for member in members {
            guard case .object(let fields) = member.value,
                fields.allSatisfy({ ["mount", "unmount", "names"].contains($0.name) })
            else { return nil }
            var lists: [String: [String]] = [:]
            for field in fields {
                guard case .array(let elements) = field.value else { return nil }
                let texts = elements.compactMap(\.text)
                guard texts.count == elements.count else { return nil }
                lists[field.name] = texts
            }
            guard let mount = lists["mount"], !mount.isEmpty, lists["unmount"] != [] else {
                return nil
            }
            drivers[member.name] = CommandVolumeDriver(
                mount: mount, unmount: lists["unmount"] ?? ["umount", "{target}"],
                names: lists["names"] ?? [])
        }
        return drivers
    }
}
