/// Where an agent keeps the data of a persistent volume.
public struct VolumePlace: Hashable, Comparable, Sendable {
    /// The part of the path that only the operator can change.
    public var top: String
    /// The path below that, one name a level.
    ///
    /// Empty when the volume is a whole file system, whose top stays when the volume goes.
    public var names: [String]

    /// Names a place.
    public init(top: String, names: [String]) {
        self.top = top
        self.names = names
    }

    /// The whole path.
    public var path: String { names.isEmpty ? top : "\(top)/\(names.joined(separator: "/"))" }

    /// Compares the paths, so that lists have one order.
    public static func < (left: VolumePlace, right: VolumePlace) -> Bool { left.path < right.path }
}

extension Resource {
    /// Where the data of this volume is; `nil` when it is no persistent volume.
    ///
    /// On the root disk that is `roles/<role>/<id>` below `directory`, on a disk with a path of its
    /// own `volumes/roles/<role>/<id>` below that; a disk that is a whole file system is the
    /// volume.
    /// Different volumes have different places, whatever their names.
    ///
    /// - Parameter directory: Where the agent keeps volumes of its root disk.
    /// - Returns: The place.
    public func volumePlace(below directory: String) -> VolumePlace? {
        guard let disk, let id = disk.persistenceID else { return nil }
        let names =
            ["roles"] + VolumeName.levels(reservedRole ?? "") + VolumeName.levels(id)
        switch disk.source {
        case .mount(let root?): return VolumePlace(top: root, names: [])
        case .path(let root?): return VolumePlace(top: root, names: ["volumes"] + names)
        case .path(nil), .mount(nil), nil: return VolumePlace(top: directory, names: names)
        }
    }
}

/// Makes file names of roles and ids.
private enum VolumeName {
    private static let longest = 200

    /// The names, one a level; all but the last end with a plus, which is in no other name.
    static func levels(_ text: String) -> [String] {
        let digits = Array("0123456789ABCDEF".utf8)
        var levels: [String] = []
        var name: [UInt8] = []
        for byte in text.utf8 {
            if name.count > longest - 3 {
                levels.append(String(decoding: name + [0x2B], as: UTF8.self))
                name = []
            }
            if isPlain(byte) || byte == 0x2E && !name.isEmpty {
                name.append(byte)
            } else {
                name += [0x25, digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return levels + [name.isEmpty ? "%" : String(decoding: name, as: UTF8.self)]
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x5F, 0x2D: true
        case _: false
        }
    }
}
