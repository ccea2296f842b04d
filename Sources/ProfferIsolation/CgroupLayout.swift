/// One tree of cgroups, as it is mounted on a node.
public struct CgroupHierarchy: Hashable, Sendable {
    /// Which interface it has.
    public enum Version: Int, Hashable, Sendable {
        /// A tree of its own for some controllers.
        case one = 1
        /// The unified tree.
        case two = 2
    }

    /// Its interface.
    public var version: Version
    /// Where it is mounted.
    public var mountPoint: String
    /// What it controls; for the unified tree, what its top offers to those below.
    public var controllers: [String]

    /// Sets every field.
    public init(version: Version, mountPoint: String, controllers: [String]) {
        self.version = version
        self.mountPoint = mountPoint
        self.controllers = controllers
    }
}

/// Which controllers a node has and where: all in trees of their own (v1), all in the unified
/// tree (v2), or some here and some there (hybrid).
public struct CgroupLayout: Hashable, Sendable {
    /// The trees, in the order in which they were mounted.
    public var hierarchies: [CgroupHierarchy]
    /// Where trees are mounted that isolation has no use for; container runtimes make groups there
    /// too.
    public var others: [String]

    /// Sets every field.
    public init(hierarchies: [CgroupHierarchy], others: [String] = []) {
        self.hierarchies = hierarchies
        self.others = others
    }

    /// The controllers that isolation has a use for.
    public static let known = [
        "cpu", "cpuacct", "cpuset", "memory", "pids", "freezer", "devices",
    ]

    /// Reads the layout from the kernel's tables.
    ///
    /// - Parameters:
    ///   - mountInfo: The text of `/proc/self/mountinfo`.
    ///   - unified: The text of `cgroup.controllers` at the top of the unified tree mounted here.
    public init(mountInfo: String, unified: (_ mountPoint: String) -> String?) {
        hierarchies = []
        others = []
        for line in mountInfo.split(separator: "\n") {
            // Any number of optional fields stands before the dash.
            let fields = line.split(separator: " ")
            guard let dash = fields.firstIndex(of: "-"), dash >= 5, fields.count > dash + 3 else {
                continue
            }
            let point = Self.unescaped(fields[4])
            let hierarchy: CgroupHierarchy
            switch fields[dash + 1] {
            case "cgroup2":
                let names = (unified(point) ?? "").split { $0 == " " || $0 == "\n" }
                hierarchy = CgroupHierarchy(
                    version: .two, mountPoint: point, controllers: names.map(String.init))
            case "cgroup":
                let names = fields[dash + 3].split(separator: ",").map(String.init)
                let controllers = names.filter { Self.known.contains($0) }
                if controllers.isEmpty {
                    if !others.contains(point) { others.append(point) }
                    continue
                }
                hierarchy = CgroupHierarchy(
                    version: .one, mountPoint: point, controllers: controllers)
            default: continue
            }
            // A second mount of the same tree is the same tree.
            let isNew = !hierarchies.contains {
                $0.version == hierarchy.version
                    && (hierarchy.version == .two || $0.controllers == hierarchy.controllers)
            }
            if isNew { hierarchies.append(hierarchy) }
        }
    }

    /// Undoes the kernel's way of writing blanks and backslashes, as three octal digits.
    private static func unescaped(_ text: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            let digits = rest.prefix(3)
            guard byte == 0x5C, digits.count == 3,
                let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 8)
            else {
                bytes.append(byte)
                continue
            }
            bytes.append(value)
            rest = rest.dropFirst(3)
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The tree that has a controller; one of its own goes before the unified one.
    public func hierarchy(of controller: String) -> CgroupHierarchy? {
        hierarchies.first { $0.version == .one && $0.controllers.contains(controller) }
            ?? hierarchies.first { $0.version == .two && $0.controllers.contains(controller) }
    }

    /// The unified tree; any group in it can be frozen and killed as a whole.
    public var unified: CgroupHierarchy? { hierarchies.first { $0.version == .two } }

    /// What the layout is called: `v1`, `v2`, `hybrid` or `none`.
    public var name: String {
        let versions = hierarchies.map(\.version)
        let isUnifiedUsed = unified.map { $0.controllers.contains { Self.known.contains($0) } }
        switch (versions.contains(.one), versions.contains(.two)) {
        case (false, false): return "none"
        case (false, true): return "v2"
        case (true, false): return "v1"
        case (true, true): return isUnifiedUsed == true ? "hybrid" : "v1"
        }
    }

    /// Controllers without which limits cannot be kept and which this node does not have.
    public var missing: [String] {
        ["cpu", "memory", "pids"].filter { hierarchy(of: $0) == nil }
    }
}
