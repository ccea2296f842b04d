public import ProfferModel

/// What an operator has decided about containers.
public struct ContainerSettings: Hashable, Sendable {
    /// The path of the runtime; found by trying when empty.
    public var runtime: String
    /// Where bundles and the runtime's own state are; a path that everybody can walk.
    public var bundles: String
    /// Where images are kept.
    public var images: String
    /// How much the unpacked images may take on the disk before those are removed that no task
    /// has used for longest, in bytes.
    public var imageBytes: Int64
    /// A file with the credentials of registries, as `skopeo login` writes it; `nil` is none.
    public var credentials: String?
    /// Which directories of the node tasks may have as volumes or images, with all below them.
    public var hostPaths: [String]
    /// What tasks may be granted when they ask for it.
    public var capabilities: [Capability]
    /// Whether tasks may keep the privileges of the agent.
    public var allowsPrivileged: Bool
    /// The directory with the descriptions of networks.
    public var networks: String
    /// The directories with their plug-ins.
    public var networkPlugins: [String]

    /// Sets every field; what is left out has the default shown.
    public init(
        runtime: String = "", bundles: String = "", images: String = "",
        imageBytes: Int64 = 10 << 30, credentials: String? = nil, hostPaths: [String] = [],
        capabilities: [Capability] = [], allowsPrivileged: Bool = false,
        networks: String = "/etc/cni/net.d",
        networkPlugins: [String] = ["/opt/cni/bin", "/usr/lib/cni"]
    ) {
        self.runtime = runtime
        self.bundles = bundles
        self.images = images
        self.imageBytes = imageBytes
        self.credentials = credentials
        self.hostPaths = hostPaths
        self.capabilities = capabilities
        self.allowsPrivileged = allowsPrivileged
        self.networks = networks
        self.networkPlugins = networkPlugins
    }

    /// What a task asks for and may not have, as a sentence; `nil` when there is nothing.
    public func problem(with container: ContainerInfo) -> String? {
        if container.isPrivileged, !allowsPrivileged {
            return "the agent runs no privileged tasks; see its --allow-privileged"
        }
        if let wrong = container.capabilities.first(where: { !capabilities.contains($0) }) {
            return "the agent grants no task the capability \(wrong); see its"
                + " --allowed-capabilities"
        }
        return nil
    }
}

// MARK: As environment

extension ContainerSettings {
    var environment: [EnvironmentVariable] {
        var list = [
            ("PROFFER_RUNTIME", runtime), ("PROFFER_BUNDLES", bundles),
            ("PROFFER_IMAGES", images), ("PROFFER_IMAGE_BYTES", "\(imageBytes)"),
            ("PROFFER_HOST_PATHS", hostPaths.joined(separator: ":")),
            ("PROFFER_CAPABILITIES", capabilities.map(\.description).joined(separator: ",")),
            ("PROFFER_ALLOW_PRIVILEGED", allowsPrivileged ? "1" : "0"),
            ("PROFFER_NETWORKS", networks),
            ("PROFFER_NETWORK_PLUGINS", networkPlugins.joined(separator: ":")),
        ]
        if let credentials { list.append(("PROFFER_REGISTRY_CREDENTIALS", credentials)) }
        return list.map { EnvironmentVariable(name: $0.0, value: $0.1) }
    }

    init(environment: (String) -> String?) {
        self.init()
        runtime = environment("PROFFER_RUNTIME") ?? runtime
        bundles = environment("PROFFER_BUNDLES") ?? bundles
        images = environment("PROFFER_IMAGES") ?? images
        imageBytes = environment("PROFFER_IMAGE_BYTES").flatMap { Int64($0) } ?? imageBytes
        credentials = environment("PROFFER_REGISTRY_CREDENTIALS")
        hostPaths = (environment("PROFFER_HOST_PATHS") ?? "").split(separator: ":").map(String.init)
        capabilities = (environment("PROFFER_CAPABILITIES") ?? "").split(separator: ",")
            .compactMap { Capability(String($0)) }
        allowsPrivileged = environment("PROFFER_ALLOW_PRIVILEGED") == "1"
        networks = environment("PROFFER_NETWORKS") ?? networks
        networkPlugins =
            environment("PROFFER_NETWORK_PLUGINS")?.split(separator: ":").map(String.init)
            ?? networkPlugins
    }
}
