internal import ProfferModel
internal import ProfferSession

extension FetchURI: FieldReadable, FieldWritable {
    init(_ fields: Fields) throws(WireError) {
        self.init(
            value: try fields.required(fields.text(1)),
            isExecutable: try fields.bool(2) ?? false, extract: try fields.bool(3) ?? true,
            cache: try fields.bool(4) ?? false, outputFile: try fields.text(5))
    }

    func write(to fields: inout FieldWriter) {
        fields.text(1, value)
        fields.bool(2, isExecutable)
        fields.bool(3, extract)
        fields.bool(4, cache)
        fields.text(5, outputFile)
    }
}

extension CommandInfo: FieldReadable, FieldWritable {
    init(_ fields: Fields) throws(WireError) {
        self.init(
            value: try fields.text(3), shell: try fields.bool(6) ?? true,
            arguments: try fields.texts(7), environment: try fields.fields(2)?.list(1) ?? [],
            user: try fields.text(5), uris: try fields.list(1))
    }

    func write(to fields: inout FieldWriter) {
        fields.list(1, uris)
        fields.message(2) { $0.list(1, environment) }
        fields.text(3, value)
        fields.text(5, user)
        fields.bool(6, shell)
        fields.texts(7, arguments)
    }
}

extension Volume: FieldReadable, FieldWritable {
    init(_ fields: Fields) throws(WireError) {
        let mode: VolumeMode = try fields.required(fields.kind(3))
        let source = try fields.fields(5)
        let kind: VolumeSourceKind? = try source?.kind(1)
        // What has to be there is asked for whatever the kind is.
        let host = try source?.fields(5)
        let path = try host.map { host throws(WireError) in try host.required(host.text(1)) }
        let sandbox: SandboxPath? = try source?.one(3)
        let secret: Secret? = try source?.one(4)
        let external: External? = try source?.one(2)
        self.init(
            containerPath: try fields.required(fields.text(1)),
            hostPath: kind == .hostPath && path != nil ? path : try fields.text(2),
            isReadOnly: mode == .readOnly, sandboxPath: kind == .sandboxPath ? sandbox : nil,
            temporaryBytes: try fields.int64(1000),
            secret: kind == .secret ? secret ?? .reference(SecretReference(name: "")) : nil,
            external: kind == .dockerVolume ? external : nil)
    }

    func write(to fields: inout FieldWriter) {
        fields.text(1, containerPath)
        fields.text(2, hostPath)
        fields.kind(3, isReadOnly ? VolumeMode.readOnly : .readWrite)
        if sandboxPath != nil || secret != nil {
            fields.message(5) { source in
                source.kind(1, secret == nil ? VolumeSourceKind.sandboxPath : .secret)
                source.one(3, sandboxPath)
                source.one(4, secret)
            }
        }
        if let external {
            fields.message(5) { source in
                source.kind(1, VolumeSourceKind.dockerVolume)
                source.one(2, external)
            }
        }
        fields.int64(1000, temporaryBytes)
    }
}

extension Volume.External: FieldReadable, FieldWritable {
    init(_ fields: Fields) throws(WireError) {
        let options = try fields.fields(3).map { list throws(WireError) in
            let options: [Option] = try list.list(1)
            return options.map(\.label)
        }
        self.init(
            driver: try fields.text(1) ?? "", name: try fields.required(fields.text(2)),
            options: options ?? [])
    }

    func write(to fields: inout FieldWriter) {
        fields.text(1, driver)
        fields.text(2, name)
        fields.message(3) { $0.list(1, options.map { Option(label: $0) }) }
    }

    /// One option: unlike a label, it always has a value.
    private struct Option: FieldReadable, FieldWritable {
        var label: Label

        init(label: Label) { self.label = label }

        init(_ fields: Fields) throws(WireError) {
            label = Label(
                try fields.required(fields.text(1)), try fields.required(fields.text(2)))
        }

        func write(to fields: inout FieldWriter) {
            fields.text(1, label.key)
            fields.text(2, label.value ?? "")
        }
    }
}

extension Volume.SandboxPath: FieldReadable, FieldWritable {
    init(_ fields: Fields) throws(WireError) {
        let kind: SandboxPathKind? = try fields.kind(1)
        self.init(try fields.required(fields.text(2)), isShared: kind == .parent)
    }

    func write(to fields: inout FieldWriter) {
        fields.kind(1, isShared ? SandboxPathKind.parent : .own)
        fields.text(2, path)
    }
}

/// One limit in a list; `nil` when this version does not know what it counts.
private struct LimitEntry: FieldReadable, FieldWritable {
    var limit: ProcessLimit?

    init(_ limit: ProcessLimit) { self.limit = limit }

    init(_ fields: Fields) throws(WireError) {
        let kind: LimitKind? = try fields.kind(1)
        let (hard, soft) = (try fields.uint64(2), try fields.uint64(3))
        limit = kind.flatMap { ProcessLimit.Kind(rawValue: Int($0.rawValue)) }.map {
            ProcessLimit($0, soft: soft, hard: hard)
        }
    }

    func write(to fields: inout FieldWriter) {
        fields.kind(1, limit.flatMap { LimitKind(rawValue: Int32($0.kind.rawValue)) })
        fields.uint64(2, limit?.hard)
        fields.uint64(3, limit?.soft)
    }
}

extension PortMapping: FieldReadable, FieldWritable {
    init(_ fields: Fields) throws(WireError) {
        self.init(
            hostPort: Int(try fields.required(fields.uint32(1))),
            containerPort: Int(try fields.required(fields.uint32(2))),
            protocolName: try fields.text(3))
    }

    func write(to fields: inout FieldWriter) {
        fields.uint32(1, hostPort)
        fields.uint32(2, containerPort)
        fields.text(3, protocolName)
    }
}

/// A named network that a container joins.
private struct NamedNetwork: FieldReadable {
    var name: String

    init(_ fields: Fields) throws(WireError) { name = try fields.text(6) ?? "" }
}

extension ContainerInfo: FieldReadable, FieldWritable {
    init(_ fields: Fields) throws(WireError) {
        let kind: ContainerKind = try fields.required(fields.kind(1))
        let networks: [NamedNetwork] = try fields.list(7)
        let docker = try fields.fields(3)
        let dockerImage: String? = try docker.map { docker throws(WireError) in
            try docker.required(docker.text(1))
        }
        let networkKind: NetworkKind = try docker?.kind(2) ?? .host
        let network: Network =
            switch networkKind {
            case .host: networks.first.map { .named($0.name) } ?? .host
            case .bridge: .bridge
            case .none: .none
            case .user: .named(networks.first?.name ?? "")
            }
        let image =
            if let dockerImage, !dockerImage.isEmpty { dockerImage } else {
                try fields.mesosImage(5)
            }
        self.init(
            kind: kind == .docker ? .docker : .native, image: image,
            hostname: try fields.text(4), volumes: try fields.list(2), network: network,
            portMappings: try docker?.list(3) ?? [],
            isPrivileged: try docker?.bool(4) ?? false, forcePull: try docker?.bool(6) ?? false,
            limits: try Self.limits(fields.fields(9)),
            capabilities: try fields.fields(8)?.fields(3)?.capabilities(1) ?? [])
    }

    private static func limits(_ fields: Fields?) throws(WireError) -> [ProcessLimit] {
        let entries: [LimitEntry] = try fields?.list(1) ?? []
        return entries.compactMap(\.limit)
    }

    func write(to fields: inout FieldWriter) {
        fields.kind(1, kind == .docker ? ContainerKind.docker : .mesos)
        fields.list(2, volumes)
        fields.message(3) { docker in
            docker.text(1, image ?? "")
            docker.kind(2, network.kind)
            docker.list(3, portMappings)
            docker.bool(4, isPrivileged)
            docker.bool(6, forcePull)
        }
        fields.text(4, hostname)
        if case .named(let name) = network { fields.message(7) { $0.text(6, name) } }
        if !capabilities.isEmpty {
            fields.message(8) { linux in
                linux.message(3) { list in
                    for capability in capabilities {
                        list.int32(1, Self.firstCapability + capability.number)
                    }
                }
            }
        }
        if !limits.isEmpty {
            fields.message(9) { $0.list(1, limits.map { LimitEntry($0) }) }
        }
    }

    /// The number on the wire of the kernel's first capability.
    fileprivate static let firstCapability = 1000
}

extension ContainerInfo.Network {
    fileprivate var kind: NetworkKind {
        switch self {
        case .host: .host
        case .bridge: .bridge
        case .none: .none
        case .named: .user
        }
    }
}

extension Fields {
    fileprivate func capabilities(_ number: UInt32) throws(WireError) -> [Capability] {
        try numbers(number).compactMap {
            Capability(number: Int(Int32(truncatingIfNeeded: $0)) - ContainerInfo.firstCapability)
        }
    }

    /// The name of the image that the agent's own containerizer is to use.
    fileprivate func mesosImage(_ number: UInt32) throws(WireError) -> String? {
        guard let image = try fields(number)?.fields(1) else { return nil }
        let _: ImageKind = try image.required(image.kind(1))
        guard let docker = try image.fields(3) else { return "" }
        return try docker.required(docker.text(1))
    }
}

extension DiscoveryPort: FieldReadable, FieldWritable {
    init(_ fields: Fields) throws(WireError) {
        self.init(
            number: Int(try fields.required(fields.uint32(1))), name: try fields.text(2),
            protocolName: try fields.text(3), labels: try fields.labels(5))
    }

    func write(to fields: inout FieldWriter) {
        fields.uint32(1, number)
        fields.text(2, name)
        fields.text(3, protocolName)
        fields.labels(5, labels)
    }
}

extension DiscoveryInfo: FieldReadable, FieldWritable {
    init(_ fields: Fields) throws(WireError) {
        let kind: VisibilityKind = try fields.required(fields.kind(1))
        let visibility: Visibility =
            switch kind {
            case .framework: .framework
            case .cluster: .cluster
            case .external: .external
            }
        self.init(
            visibility: visibility, name: try fields.text(2), environment: try fields.text(3),
            location: try fields.text(4), version: try fields.text(5),
            ports: try fields.fields(6)?.list(1) ?? [], labels: try fields.labels(7))
    }

    func write(to fields: inout FieldWriter) {
        let kind: VisibilityKind =
            switch visibility {
            case .framework: .framework
            case .cluster: .cluster
            case .external: .external
            }
        fields.kind(1, kind)
        fields.text(2, name)
        fields.text(3, environment)
        fields.text(4, location)
        fields.text(5, version)
        fields.message(6) { $0.list(1, ports) }
        fields.labels(7, labels)
    }
}
