internal import ProfferKernel
internal import ProfferModel
internal import ProfferSchema

extension PBFrameworkInfo {
    init(_ info: FrameworkInfo) {
        self.init()
        user = info.user
        name = info.name
        if let id = info.id { self.id = PBFrameworkID(id) }
        failoverTimeout = secondsValue(info.failoverTimeout)
        checkpoint = info.checkpoint
        roles = info.roles
        if let hostname = info.hostname { self.hostname = hostname }
        if let principal = info.principal { self.principal = principal }
        if let url = info.webUIURL { webuiURL = url }
        capabilities = PBFrameworkInfo.Capability.TypeEnum.allCases.compactMap { kind in
            guard info.capabilities.contains(.init(rawValue: 1 << UInt32(kind.rawValue))),
                kind != .unknown
            else { return nil }
            var capability = PBFrameworkInfo.Capability()
            capability.type = kind
            return capability
        }
        if !info.labels.isEmpty { labels = PBLabels(info.labels) }
        for minimum in info.minimumOffers {
            var filters = PBOfferFilters()
            filters.minAllocatableResources.quantities = minimum.quantities.map {
                PBOfferFilters.ResourceQuantities($0)
            }
            offerFilters[minimum.role] = filters
        }
        if info.priority != 0 { priority = clamped(info.priority) }
    }

    func model() throws(WireError) -> FrameworkInfo {
        var capabilities: FrameworkCapabilities = []
        for capability in self.capabilities where capability.type != .unknown {
            capabilities.insert(.init(rawValue: 1 << UInt32(capability.type.rawValue)))
        }
        var minimums: [MinimumOffer] = []
        for role in offerFilters.keys.sorted() {
            let list = offerFilters[role]?.minAllocatableResources.quantities ?? []
            minimums.append(
                MinimumOffer(
                    role: role,
                    quantities: try list.tryMap { one throws(WireError) in try one.model() }))
        }
        return FrameworkInfo(
            user: user, name: name, id: hasID ? FrameworkID(id.value) : nil,
            failoverTimeout: try duration(seconds: failoverTimeout, "failover_timeout"),
            checkpoint: checkpoint,
            roles: capabilities.contains(.multiRole) ? roles : roles.isEmpty ? [role] : roles,
            hostname: hasHostname ? hostname : nil, principal: hasPrincipal ? principal : nil,
            webUIURL: hasWebuiURL ? webuiURL : nil, capabilities: capabilities,
            labels: labels.model, minimumOffers: minimums,
            priority: try small(priority, "priority"))
    }
}

extension PBDomainInfo {
    init(_ domain: ProfferModel.FaultDomain) {
        self.init()
        faultDomain.region.name = domain.region
        faultDomain.zone.name = domain.zone
    }

    var model: ProfferModel.FaultDomain? {
        guard hasFaultDomain else { return nil }
        return ProfferModel.FaultDomain(
            region: faultDomain.region.name, zone: faultDomain.zone.name)
    }
}

extension PBAgentInfo {
    init(_ info: AgentInfo) {
        self.init()
        hostname = info.hostname
        port = Int32(clamping: info.port)
        resources = coded(info.resources)
        attributes = info.attributes.map { PBAttribute($0) }
        if let id = info.id { self.id = PBAgentID(id) }
        if let domain = info.domain { self.domain = PBDomainInfo(domain) }
        capabilities = Capability.TypeEnum.allCases.compactMap { kind in
            let isSet = info.capabilities.contains(.init(rawValue: 1 << UInt32(kind.rawValue)))
            // An empty list would mean all of them.
            guard kind == .unknown ? info.capabilities.isEmpty : isSet else { return nil }
            var capability = Capability()
            capability.type = kind
            return capability
        }
    }

    private var capabilityModel: AgentCapabilities {
        guard !capabilities.isEmpty else { return .all }
        var result: AgentCapabilities = []
        for capability in capabilities where capability.type != .unknown {
            result.insert(.init(rawValue: 1 << UInt32(capability.type.rawValue)))
        }
        return result
    }

    func model() throws(WireError) -> AgentInfo {
        AgentInfo(
            hostname: hostname, port: Int(port), resources: try ProfferWire.model(resources),
            attributes: try attributes.tryMap { one throws(WireError) in try one.model() },
            id: hasID ? AgentID(id.value) : nil, domain: domain.model,
            capabilities: capabilityModel)
    }
}

extension PBMasterInfo {
    init(_ info: MasterInfo) {
        self.init()
        id = info.id
        ip = 0
        port = UInt32(clamping: info.port)
        hostname = info.hostname
        version = info.version
        if let name = info.clusterName { clusterName = name }
        if let domain = info.domain { self.domain = PBDomainInfo(domain) }
        address.hostname = info.hostname
        address.port = Int32(clamping: info.port)
    }

    var model: MasterInfo {
        MasterInfo(
            id: id, hostname: hostname, port: Int(port), version: version,
            clusterName: hasClusterName ? clusterName : nil,
            domain: hasDomain ? domain.model : nil)
    }
}

extension PBCommandInfo {
    init(_ command: ProfferModel.CommandInfo) {
        self.init()
        if let value = command.value { self.value = value }
        shell = command.shell
        arguments = command.arguments
        if let user = command.user { self.user = user }
        environment.variables = command.environment.map { PBEnvironment.Variable($0) }
        uris = command.uris.map { uri in
            var coded = PBCommandInfo.URI()
            coded.value = uri.value
            coded.executable = uri.isExecutable
            coded.extract = uri.extract
            coded.cache = uri.cache
            if let file = uri.outputFile { coded.outputFile = file }
            return coded
        }
    }

    var model: ProfferModel.CommandInfo {
        ProfferModel.CommandInfo(
            value: hasValue ? value : nil, shell: shell, arguments: arguments,
            environment: environment.variables.map(\.model),
            user: hasUser ? user : nil,
            uris: uris.map {
                FetchURI(
                    value: $0.value, isExecutable: $0.executable, extract: $0.extract,
                    cache: $0.cache, outputFile: $0.hasOutputFile ? $0.outputFile : nil)
            })
    }
}

extension PBContainerInfo {
    init(_ container: ProfferModel.ContainerInfo) {
        self.init()
        type = container.kind == .docker ? .docker : .mesos
        if let hostname = container.hostname { self.hostname = hostname }
        volumes = container.volumes.map { PBVolume($0) }
        docker.image = container.image ?? ""
        docker.privileged = container.isPrivileged
        docker.forcePullImage = container.forcePull
        docker.portMappings = container.portMappings.map { mapping in
            var coded = PBContainerInfo.DockerInfo.PortMapping()
            coded.hostPort = UInt32(clamping: mapping.hostPort)
            coded.containerPort = UInt32(clamping: mapping.containerPort)
            if let name = mapping.protocolName { coded.protocol = name }
            return coded
        }
        switch container.network {
        case .host: docker.network = .host
        case .bridge: docker.network = .bridge
        case .none: docker.network = .none
        case .named(let name):
            docker.network = .user
            var network = PBNetworkInfo()
            network.name = name
            networkInfos = [network]
        }
        rlimitInfo.rlimits = container.limits.map { limit in
            var coded = PBRLimitInfo.RLimit()
            coded.type = .init(rawValue: limit.kind.rawValue) ?? .unknown
            if let soft = limit.soft { coded.soft = soft }
            if let hard = limit.hard { coded.hard = hard }
            return coded
        }
        if container.limits.isEmpty { clearRlimitInfo() }
        let capabilities = container.capabilities.compactMap {
            PBCapabilityInfo.Capability(rawValue: 1000 + $0.number)
        }
        if !capabilities.isEmpty { linuxInfo.effectiveCapabilities.capabilities = capabilities }
    }

    var model: ProfferModel.ContainerInfo {
        let network: ProfferModel.ContainerInfo.Network =
            switch docker.network {
            case .host: networkInfos.first.map { .named($0.name) } ?? .host
            case .bridge: .bridge
            case .none: .none
            case .user: .named(networkInfos.first?.name ?? "")
            }
        let image =
            hasDocker && !docker.image.isEmpty
            ? docker.image : mesos.hasImage ? mesos.image.docker.name : nil
        return ProfferModel.ContainerInfo(
            kind: type == .docker ? .docker : .native, image: image,
            hostname: hasHostname ? hostname : nil,
            volumes: volumes.map(\.model), network: network,
            portMappings: docker.portMappings.map {
                PortMapping(
                    hostPort: Int($0.hostPort), containerPort: Int($0.containerPort),
                    protocolName: $0.hasProtocol ? $0.protocol : nil)
            },
            isPrivileged: docker.privileged, forcePull: docker.forcePullImage,
            limits: rlimitInfo.rlimits.compactMap { limit in
                ProcessLimit.Kind(rawValue: limit.type.rawValue).map {
                    ProcessLimit(
                        $0, soft: limit.hasSoft ? limit.soft : nil,
                        hard: limit.hasHard ? limit.hard : nil)
                }
            },
            capabilities: linuxInfo.effectiveCapabilities.capabilities.compactMap {
                Capability(number: $0.rawValue - 1000)
            })
    }
}

extension PBVolume {
    init(_ volume: ProfferModel.Volume) {
        self.init()
        containerPath = volume.containerPath
        if let path = volume.hostPath { hostPath = path }
        mode = volume.isReadOnly ? .ro : .rw
        if let sandbox = volume.sandboxPath {
            source.type = .sandboxPath
            source.sandboxPath.type = sandbox.isShared ? .parent : .self_
            source.sandboxPath.path = sandbox.path
        }
        if let bytes = volume.temporaryBytes { temporaryBytes = bytes }
        if let secret = volume.secret {
            source.type = .secret
            source.secret = PBSecret(secret)
        }
        if let external = volume.external {
            source.type = .dockerVolume
            source.dockerVolume.driver = external.driver
            source.dockerVolume.name = external.name
            source.dockerVolume.driverOptions.parameter = external.options.map { option in
                var parameter = PBParameter()
                parameter.key = option.key
                parameter.value = option.value ?? ""
                return parameter
            }
        }
    }

    var model: ProfferModel.Volume {
        var host = hasHostPath ? hostPath : nil
        if source.type == .hostPath, source.hasHostPath { host = source.hostPath.path }
        let sandbox =
            source.type == .sandboxPath && source.hasSandboxPath
            ? ProfferModel.Volume.SandboxPath(
                source.sandboxPath.path, isShared: source.sandboxPath.type == .parent) : nil
        return ProfferModel.Volume(
            containerPath: containerPath, hostPath: host, isReadOnly: mode == .ro,
            sandboxPath: sandbox, temporaryBytes: hasTemporaryBytes ? temporaryBytes : nil,
            secret: source.type == .secret ? source.secret.model : nil, external: external)
    }

    private var external: ProfferModel.Volume.External? {
        guard source.type == .dockerVolume, source.hasDockerVolume else { return nil }
        let volume = source.dockerVolume
        return ProfferModel.Volume.External(
            driver: volume.driver, name: volume.name,
            options: volume.driverOptions.parameter.map {
                Label($0.key, $0.value)
            })
    }
}

extension PBDiscoveryInfo {
    init(_ discovery: ProfferModel.DiscoveryInfo) {
        self.init()
        switch discovery.visibility {
        case .framework: visibility = .framework
        case .cluster: visibility = .cluster
        case .external: visibility = .external
        }
        if let name = discovery.name { self.name = name }
        if let environment = discovery.environment { self.environment = environment }
        if let location = discovery.location { self.location = location }
        if let version = discovery.version { self.version = version }
        ports.ports = discovery.ports.map { port in
            var coded = PBPort()
            coded.number = UInt32(clamping: port.number)
            if let name = port.name { coded.name = name }
            if let name = port.protocolName { coded.protocol = name }
            if !port.labels.isEmpty { coded.labels = PBLabels(port.labels) }
            return coded
        }
        if !discovery.labels.isEmpty { labels = PBLabels(discovery.labels) }
    }

    var model: ProfferModel.DiscoveryInfo {
        let visibility: ProfferModel.DiscoveryInfo.Visibility =
            switch self.visibility {
            case .framework: .framework
            case .cluster: .cluster
            case .external: .external
            }
        return ProfferModel.DiscoveryInfo(
            visibility: visibility, name: hasName ? name : nil,
            environment: hasEnvironment ? environment : nil,
            location: hasLocation ? location : nil, version: hasVersion ? version : nil,
            ports: ports.ports.map {
                DiscoveryPort(
                    number: Int($0.number), name: $0.hasName ? $0.name : nil,
                    protocolName: $0.hasProtocol ? $0.protocol : nil, labels: $0.labels.model)
            },
            labels: labels.model)
    }
}
