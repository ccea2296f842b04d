internal import ProfferModel

/// Where tasks and executors have their directories.
struct Paths: Sendable {
    /// The absolute path below which everything lies.
    let root: String

    /// Where persistent volumes of the root disk are.
    var volumes: String { root + "/volumes" }

    /// The sandbox of a task; `number` tells later ones of the same id apart, from 2.
    func sandbox(_ key: TaskKey, number: Int) -> String {
        let name = Self.name(key.task.value) + (number > 1 ? "~\(number)" : "")
        return "\(root)/sandboxes/\(Self.name(key.framework.value))/\(name)"
    }

    /// The directory of one run of an executor.
    func directory(_ key: ExecutorKey, _ container: ContainerID) -> String {
        "\(root)/executors/\(Self.name(key.framework.value))/\(Self.name(key.executor.value))/"
            + Self.name(container.value)
    }

    /// Makes a file name of an id; different ids have different names.
    ///
    /// Letters, digits, `.`, `_` and `-` stay; a leading dot and everything else is
    /// percent-encoded. What would be too long for a file system ends in a digest instead.
    static func name(_ id: String) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var name: [UInt8] = []
        for byte in id.utf8 {
            if isPlain(byte) || byte == 0x2E && !name.isEmpty {
                name.append(byte)
            } else {
                name += [0x25, digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        if name.isEmpty { return "%" }
        if name.count > 200 {
            return String(decoding: name.prefix(160), as: UTF8.self)
                + "~" + Digest(Array(id.utf8)).text(bytes: 16)
        }
        return String(decoding: name, as: UTF8.self)
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x5F, 0x2D: true
        case _: false
        }
    }
}
