public import ProfferModel

/// A device file of the node.
public struct DeviceNode: Hashable, Sendable {
    /// Its path on the node.
    public var path: String
    /// Its numbers, as the kernel writes them in its tables of devices.
    public var major: UInt32
    /// The second number.
    public var minor: UInt32

    /// Sets every field.
    public init(path: String, major: UInt32, minor: UInt32) {
        self.path = path
        self.major = major
        self.minor = minor
    }

    /// Where a contained task finds it: programs look for it there, whatever its path is here.
    var containerPath: String { "/dev/\(path.split(separator: "/").last ?? "")" }

    /// What the kernel's table of devices says about it.
    func rule(_ access: String) -> String { "c \(major):\(minor) \(access)" }
}

/// A GPU of the node.
public struct GPUDevice: Hashable, Sendable {
    /// Its number among those of the node, from 0.
    public var index: Int
    /// Its own name, such as `GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77`; empty when not known.
    public var uuid: String
    /// Its device file.
    public var node: DeviceNode

    /// Sets every field.
    public init(index: Int, uuid: String, node: DeviceNode) {
        self.index = index
        self.uuid = uuid
        self.node = node
    }

    /// What tells it from others for good: its own name, or its number.
    public var name: String { uuid.isEmpty ? "\(index)" : uuid }
}

/// The GPUs of a node, and what all who use any of them need.
public struct GPUSettings: Hashable, Sendable {
    /// The GPUs.
    public var devices: [GPUDevice]
    /// Further device files, such as `/dev/nvidiactl`.
    public var common: [DeviceNode]

    /// Sets every field; what is left out has the default shown.
    public init(devices: [GPUDevice] = [], common: [DeviceNode] = []) {
        self.devices = devices
        self.common = common
    }

    /// Those of a task, by its environment.
    public func devices(of environment: [EnvironmentVariable]) -> [GPUDevice] {
        let names = GPUNames.names(in: environment)
        return devices.filter { names.contains($0.name) }
    }

    /// The device files that a task with these GPUs may use.
    public func nodes(of assigned: [GPUDevice]) -> [DeviceNode] {
        assigned.isEmpty ? [] : assigned.map(\.node) + common
    }

    /// The device files that a task with these GPUs may not use, as the kernel's rules.
    func denied(but assigned: [GPUDevice]) -> [String] {
        let allowed = nodes(of: assigned)
        let all = devices.map(\.node) + common
        return all.filter { !allowed.contains($0) }.map { $0.rule("rwm") }
    }
}

// MARK: What tools say

extension GPUSettings {
    /// Reads what `nvidia-smi -L` prints: a line for each GPU, with its number and name.
    ///
    /// - Returns: Number and name of each, in the order of the text; parts of one GPU, which the
    ///   tool lists below it, are left out.
    public static func list(_ text: String) -> [(index: Int, uuid: String)] {
        text.split(separator: "\n").compactMap { line in
            guard line.hasPrefix("GPU "), let colon = line.firstIndex(of: ":"),
                let index = Int(line[..<colon].dropFirst(4))
            else { return nil }
            let mark = "(UUID: "
            var uuid = ""
            if let start = position(of: mark, in: line), let end = line.lastIndex(of: ")"),
                start <= end
            {
                uuid = String(line[start..<end])
            }
            let isName = uuid.utf8.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D: true
                case _: false
                }
            }
            return (index, isName ? uuid : "")
        }
    }

    /// The place behind a mark, the last one in a line.
    private static func position(of mark: String, in line: Substring) -> Substring.Index? {
        var found: Substring.Index?
        var place = line.startIndex
        while place < line.endIndex {
            if line[place...].hasPrefix(mark) {
                found = line.index(place, offsetBy: mark.count)
            }
            place = line.index(after: place)
        }
        return found
    }

    /// Reads what the driver tells of a GPU in `/proc/driver/nvidia/gpus/…/information`.
    ///
    /// - Returns: Its name and the number of its device file; `nil` when either is missing.
    public static func information(_ text: String) -> (uuid: String, minor: Int)? {
        var fields: [String: String] = [:]
        for line in text.split(separator: "\n") {
            guard let colon = line.firstIndex(of: ":") else { continue }
            let value = line[line.index(after: colon)...].drop { $0 == " " || $0 == "\t" }
            fields[String(line[..<colon])] = String(value)
        }
        guard let uuid = fields["GPU UUID"], let minor = fields["Device Minor"].flatMap({ Int($0) })
        else { return nil }
        return (uuid, minor)
    }
}

// MARK: As environment

extension GPUSettings {
    /// What an executor finds in its environment; nothing on a node without GPUs.
    var environment: [EnvironmentVariable] {
        if devices.isEmpty { return [] }
        let json: JSON = [
            "devices": .array(
                devices.map {
                    [
                        "index": .number(Int64($0.index)), "uuid": .string($0.uuid),
                        "node": Self.json($0.node),
                    ]
                }),
            "common": .array(common.map(Self.json)),
        ]
        return [EnvironmentVariable(name: "PROFFER_GPU_DEVICES", value: json.description)]
    }

    init(environment: (String) -> String?) {
        self.init()
        guard let text = environment("PROFFER_GPU_DEVICES"), let json = try? JSON(text: text)
        else { return }
        devices = (json["devices"]?.elements ?? []).compactMap { entry in
            guard let index = entry["index"]?.integer, let node = entry["node"].flatMap(Self.node)
            else { return nil }
            return GPUDevice(
                index: Int(index), uuid: entry["uuid"]?.text ?? "", node: node)
        }
        common = (json["common"]?.elements ?? []).compactMap(Self.node)
    }

    private static func json(_ node: DeviceNode) -> JSON {
        [
            "path": .string(node.path), "major": .number(Int64(node.major)),
            "minor": .number(Int64(node.minor)),
        ]
    }

    private static func node(_ json: JSON) -> DeviceNode? {
        guard let path = json["path"]?.text, path.hasPrefix("/"),
            let major = json["major"]?.integer.flatMap({ UInt32(exactly: $0) }),
            let minor = json["minor"]?.integer.flatMap({ UInt32(exactly: $0) })
        else { return nil }
        return DeviceNode(path: path, major: major, minor: minor)
    }
}
