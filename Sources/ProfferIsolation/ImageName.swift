/// Where an image is.
public enum ImageName: Hashable, Sendable {
    /// In a registry, as `skopeo` writes it without `docker://`: `docker.io/library/alpine:3`.
    case registry(String)
    /// In a directory in the layout of the Open Container Initiative, under a name.
    case layout(directory: String, name: String)
    /// An unpacked root file system.
    case directory(String)

    /// Reads a name: `docker://…` and a plain name are in a registry, `oci:/directory[:name]` is a
    /// layout, `dir:/directory` and an absolute path are an unpacked root.
    ///
    /// - Returns: `nil` when the text is none of these.
    public init?(_ text: String) {
        let rest = { (prefix: String) in
            text.hasPrefix(prefix) ? String(text.dropFirst(prefix.count)) : nil
        }
        if let path = rest("oci:") {
            let parts = path.split(separator: ":", maxSplits: 1).map(String.init)
            guard let directory = parts.first, Self.isPath(directory) else { return nil }
            self = .layout(directory: directory, name: parts.count > 1 ? parts[1] : "latest")
        } else if let path = rest("dir:") ?? (text.hasPrefix("/") ? text : nil) {
            guard Self.isPath(path) else { return nil }
            self = .directory(path)
        } else {
            let name = rest("docker://") ?? text
            // Nothing that a program could take for an option or for another kind of name.
            let isPlain = name.utf8.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
                case _: "./_-:@[]".utf8.contains(byte)
                }
            }
            let first = name.utf8.first.map { $0 != 0x2D && $0 != 0x2F } ?? false
            guard isPlain, first, !name.contains("//"), !name.contains("..") else { return nil }
            self = .registry(name)
        }
    }

    private static func isPath(_ text: String) -> Bool {
        text.hasPrefix("/") && !text.utf8.contains(0)
            && text.split(separator: "/").allSatisfy { $0 != ".." && $0 != "." }
    }

    /// The directory of the node that has to be allowed; `nil` for a registry.
    public var hostPath: String? {
        switch self {
        case .registry: nil
        case .layout(let directory, _), .directory(let directory): directory
        }
    }

    /// Whether the registry is on this very node, where it needs no certificate.
    public var isLocal: Bool {
        guard case .registry(let name) = self, let slash = name.firstIndex(of: "/") else {
            return false
        }
        let host = name[..<slash].split(separator: ":").first.map(String.init) ?? ""
        return host == "127.0.0.1" || host == "localhost" || name.hasPrefix("[::1]")
    }
}
