internal import Glibc
public import ProfferIsolation
internal import ProfferModel

/// Finds the GPUs of the node, as the driver's tools and files tell of them.
public enum NodeGPUs {
    private static let timeout: Int32 = 20_000
    private static let common = [
        "nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-modeset",
    ]

    /// Looks for GPUs: by `nvidia-smi -L` where that is in the path, else by the device files.
    ///
    /// A GPU without a device file cannot be given to a task, and is none.
    ///
    /// - Parameters:
    ///   - path: Where to look for programs, as `PATH` has it.
    ///   - devices: The directory of device files.
    ///   - driver: The directory in which the driver tells of each GPU.
    /// - Returns: What there is; nothing on a node without GPUs.
    public static func find(
        path: String = Self.variable("PATH") ?? "/usr/bin:/bin", devices: String = "/dev",
        driver: String = "/proc/driver/nvidia/gpus"
    ) -> GPUSettings {
        let minors = minorNumbers(driver)
        var found: [GPUDevice] = []
        if let listed = list(path) {
            for (index, uuid) in listed {
                let minor = minors[uuid] ?? index
                guard let node = node("\(devices)/nvidia\(minor)") else { continue }
                found.append(GPUDevice(index: index, uuid: uuid, node: node))
            }
        } else {
            for minor in numbers(in: devices) {
                guard let node = node("\(devices)/nvidia\(minor)") else { continue }
                let uuid = minors.first { $0.value == minor }?.key ?? ""
                found.append(GPUDevice(index: minor, uuid: uuid, node: node))
            }
        }
        if found.isEmpty { return GPUSettings() }
        return GPUSettings(
            devices: found, common: common.compactMap { node("\(devices)/\($0)") })
    }

    /// A variable of this process's environment.
    public static func variable(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }
    }

    /// What `nvidia-smi` lists; `nil` when it is not there or fails.
    private static func list(_ path: String) -> [(index: Int, uuid: String)]? {
        let names = path.split(separator: ":").map { "\($0)/nvidia-smi" }
        let program = names.first { (name: String) in access(name, X_OK) == 0 }
        guard let program,
            let result = try? Program.run(
                Invocation(
                    [program, "-L"], environment: [EnvironmentVariable(name: "PATH", value: path)]),
                within: timeout),
            result.exit?.code == 0
        else { return nil }
        return GPUSettings.list(result.output)
    }

    /// The numbers of device files, by the names of the GPUs.
    private static func minorNumbers(_ directory: String) -> [String: Int] {
        var minors: [String: Int] = [:]
        for name in DirectoryNames.list(directory) {
            let text = ProcFile.text("\(directory)/\(name)/information", limit: 65_536) ?? ""
            if let (uuid, minor) = GPUSettings.information(text) { minors[uuid] = minor }
        }
        return minors
    }

    private static func numbers(in directory: String) -> [Int] {
        DirectoryNames.list(directory).compactMap { name in
            name.hasPrefix("nvidia") ? Int(name.dropFirst(6)) : nil
        }.sorted()
    }

    private static func node(_ path: String) -> DeviceNode? {
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFCHR else { return nil }
        // As glibc puts them together.
        let number = UInt64(status.st_rdev)
        return DeviceNode(
            path: path,
            major: UInt32(truncatingIfNeeded: number >> 8 & 0xFFF | number >> 32 & ~0xFFF),
            minor: UInt32(truncatingIfNeeded: number & 0xFF | number >> 12 & ~0xFF))
    }
}
