/// What a framework can cope with; without a capability it sees the older behaviour.
public struct FrameworkCapabilities: OptionSet, Hashable, Sendable {
    /// Bit n stands for capability number n of the wire protocol.
    public let rawValue: UInt32

    /// Makes a set from its bits.
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// May be offered revocable resources.
    public static let revocableResources = FrameworkCapabilities(rawValue: 1 << 1)
    /// Understands `TASK_KILLING`.
    public static let taskKillingState = FrameworkCapabilities(rawValue: 1 << 2)
    /// May be offered agents that have GPUs.
    public static let gpuResources = FrameworkCapabilities(rawValue: 1 << 3)
    /// May be offered shared volumes.
    public static let sharedResources = FrameworkCapabilities(rawValue: 1 << 4)
    /// Understands `TASK_UNREACHABLE`, `TASK_GONE` and their kin instead of `TASK_LOST`.
    public static let partitionAware = FrameworkCapabilities(rawValue: 1 << 5)
    /// Subscribes in several roles.
    public static let multiRole = FrameworkCapabilities(rawValue: 1 << 6)
    /// Understands stacked reservations.
    public static let reservationRefinement = FrameworkCapabilities(rawValue: 1 << 7)
    /// May be offered agents in other regions.
    public static let regionAware = FrameworkCapabilities(rawValue: 1 << 8)
}

/// A framework as it describes itself when it subscribes.
public struct FrameworkInfo: Hashable, Sendable {
    /// The user its tasks run as unless they say otherwise; empty is the agent's own.
    public var user: String
    /// For people.
    public var name: String
    /// Absent at the first subscription.
    public var id: FrameworkID?
    /// How long its tasks live on after it disconnects.
    public var failoverTimeout: Duration
    /// Whether its tasks survive a restart of the agent.
    public var checkpoint: Bool
    /// The roles in which it wants offers.
    public var roles: [String]
    /// Where its scheduler runs, for people.
    public var hostname: String?
    /// The identity under which it acts; never changes.
    public var principal: String?
    /// Its own page, for people.
    public var webUIURL: String?
    /// What it can cope with.
    public var capabilities: FrameworkCapabilities
    /// Free text for people and tools.
    public var labels: [Label]
    /// Per role, the least an offer must hold; overrides the master's.
    public var minimumOffers: [MinimumOffer]
    /// The priority of its tasks that have none of their own.
    public var priority: Int

    /// Sets every field; what is left out has the default shown.
    public init(
        user: String = "",
        name: String,
        id: FrameworkID? = nil,
        failoverTimeout: Duration = .seconds(60),
        checkpoint: Bool = true,
        roles: [String] = ["*"],
        hostname: String? = nil,
        principal: String? = nil,
        webUIURL: String? = nil,
        capabilities: FrameworkCapabilities = [
            .partitionAware, .taskKillingState, .multiRole, .reservationRefinement,
        ],
        labels: [Label] = [],
        minimumOffers: [MinimumOffer] = [],
        priority: Int = 0
    ) {
        self.user = user
        self.name = name
        self.id = id
        self.failoverTimeout = failoverTimeout
        self.checkpoint = checkpoint
        self.roles = roles
        self.hostname = hostname
        self.principal = principal
        self.webUIURL = webUIURL
        self.capabilities = capabilities
        self.labels = labels
        self.minimumOffers = minimumOffers
        self.priority = priority
    }
}

/// The least an offer in one role must hold: any one of `quantities`.
public struct MinimumOffer: Hashable, Sendable {
    /// The role.
    public var role: String
    /// Alternatives; an offer must contain one of them whole.
    public var quantities: [ResourceQuantities]

    /// Sets every field; what is left out has the default shown.
    public init(
        role: String,
        quantities: [ResourceQuantities] = []
    ) {
        self.role = role
        self.quantities = quantities
    }
}

/// The failure domain of a machine.
public struct FaultDomain: Hashable, Sendable {
    /// Far apart, slow links in between.
    public var region: String
    /// Within a region.
    public var zone: String

    /// Sets every field; what is left out has the default shown.
    public init(
        region: String,
        zone: String
    ) {
        self.region = region
        self.zone = zone
    }
}

/// The value of an attribute.
public enum AttributeValue: Hashable, Sendable {
    /// A number.
    case scalar(Milli)
    /// Intervals of numbers.
    case ranges(IntervalSet)
    /// Names.
    case set([String])
    /// Text.
    case text(String)
}

/// Something about an agent that is not consumed, such as its rack.
public struct Attribute: Hashable, Sendable {
    /// The name; several attributes may share one.
    public var name: String
    /// The value.
    public var value: AttributeValue

    /// Sets every field; what is left out has the default shown.
    public init(
        name: String,
        value: AttributeValue
    ) {
        self.name = name
        self.value = value
    }
}

/// What an agent can cope with; an agent of this project can do everything.
public struct AgentCapabilities: OptionSet, Hashable, Sendable {
    /// Bit n stands for capability number n of the wire protocol.
    public let rawValue: UInt32

    /// Makes a set from its bits.
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// Runs tasks of frameworks with several roles.
    public static let multiRole = AgentCapabilities(rawValue: 1 << 1)
    /// Runs tasks of roles below others.
    public static let hierarchicalRole = AgentCapabilities(rawValue: 1 << 2)
    /// Understands stacked reservations.
    public static let reservationRefinement = AgentCapabilities(rawValue: 1 << 3)
    /// Enlarges volumes and makes them smaller.
    public static let resizeVolume = AgentCapabilities(rawValue: 1 << 5)
    /// All of them.
    public static let all: AgentCapabilities = [
        .multiRole, .hierarchicalRole, .reservationRefinement, .resizeVolume,
    ]
}

/// An agent as it describes itself.
public struct AgentInfo: Hashable, Sendable {
    /// For people and for `hostname` constraints.
    public var hostname: String
    /// The port of its HTTP server.
    public var port: Int
    /// Everything it has, static reservations included.
    public var resources: Resources
    /// What tells it from others.
    public var attributes: [Attribute]
    /// Absent until the master has admitted it.
    public var id: AgentID?
    /// Where it stands.
    public var domain: FaultDomain?
    /// What it can cope with.
    public var capabilities: AgentCapabilities

    /// Sets every field; what is left out has the default shown.
    public init(
        hostname: String,
        port: Int = 5051,
        resources: Resources = Resources(),
        attributes: [Attribute] = [],
        id: AgentID? = nil,
        domain: FaultDomain? = nil,
        capabilities: AgentCapabilities = .all
    ) {
        self.hostname = hostname
        self.port = port
        self.resources = resources
        self.attributes = attributes
        self.id = id
        self.domain = domain
        self.capabilities = capabilities
    }
}

/// A variable of a task's environment.
public struct EnvironmentVariable: Hashable, Sendable {
    /// The name.
    public var name: String
    /// The value; empty when it is a secret.
    public var value: String
    /// The secret whose value it has, found when the task is launched.
    public var secret: Secret?

    /// Sets every field; what is left out has the default shown.
    public init(
        name: String,
        value: String,
        secret: Secret? = nil
    ) {
        self.name = name
        self.value = value
        self.secret = secret
    }
}

/// A file to put into the sandbox before a task starts.
public struct FetchURI: Hashable, Sendable {
    /// Where it is.
    public var value: String
    /// Whether to set the executable bits.
    public var isExecutable: Bool
    /// Whether to unpack a known archive.
    public var extract: Bool
    /// Whether the agent may keep a copy.
    public var cache: Bool
    /// The name in the sandbox, instead of the last part of the address.
    public var outputFile: String?

    /// Sets every field; what is left out has the default shown.
    public init(
        value: String,
        isExecutable: Bool = false,
        extract: Bool = true,
        cache: Bool = false,
        outputFile: String? = nil
    ) {
        self.value = value
        self.isExecutable = isExecutable
        self.extract = extract
        self.cache = cache
        self.outputFile = outputFile
    }
}

/// What to execute.
public struct CommandInfo: Hashable, Sendable {
    /// The shell command, or the path of the program when `shell` is false.
    public var value: String?
    /// Whether `/bin/sh -c` runs `value`.
    public var shell: Bool
    /// Without a shell: the argument vector, the program's name included.
    public var arguments: [String]
    /// Added to the task's environment.
    public var environment: [EnvironmentVariable]
    /// The user to run as.
    public var user: String?
    /// Files to fetch first.
    public var uris: [FetchURI]

    /// Sets every field; what is left out has the default shown.
    public init(
        value: String? = nil,
        shell: Bool = true,
        arguments: [String] = [],
        environment: [EnvironmentVariable] = [],
        user: String? = nil,
        uris: [FetchURI] = []
    ) {
        self.value = value
        self.shell = shell
        self.arguments = arguments
        self.environment = environment
        self.user = user
        self.uris = uris
    }
}

/// A volume of a container.
public struct Volume: Hashable, Sendable {
    /// Where the task sees it.
    public var containerPath: String
    /// Where it is on the host; `nil` for a fresh directory in the sandbox.
    public var hostPath: String?
    /// Whether the task may only read it.
    public var isReadOnly: Bool
    /// A directory of the sandbox instead of one of the host.
    public var sandboxPath: SandboxPath?
    /// In memory only, of this many bytes at most, instead of a directory.
    public var temporaryBytes: Int64?
    /// A file in memory that holds a secret, instead of a directory.
    public var secret: Secret?
    /// Something that a driver of the agent mounts, instead of a directory.
    public var external: External?

    /// A volume that is kept elsewhere, such as on a file server.
    public struct External: Hashable, Sendable {
        /// Which driver mounts it, by the name that the operator of the agent has given.
        public var driver: String
        /// What it is called there.
        public var name: String
        /// What the driver is told beside that.
        public var options: [Label]

        /// Sets every field; what is left out has the default shown.
        public init(driver: String, name: String, options: [Label] = []) {
            self.driver = driver
            self.name = name
            self.options = options
        }
    }

    /// A directory in a sandbox, made if it is not there.
    public struct SandboxPath: Hashable, Sendable {
        /// The path from the top of the sandbox.
        public var path: String
        /// Whether the directory is the whole task group's, or only the task's.
        public var isShared: Bool

        /// Sets every field; what is left out has the default shown.
        public init(_ path: String, isShared: Bool = false) {
            self.path = path
            self.isShared = isShared
        }
    }

    /// Sets every field; what is left out has the default shown.
    public init(
        containerPath: String,
        hostPath: String? = nil,
        isReadOnly: Bool = false,
        sandboxPath: SandboxPath? = nil,
        temporaryBytes: Int64? = nil,
        secret: Secret? = nil,
        external: External? = nil
    ) {
        self.containerPath = containerPath
        self.hostPath = hostPath
        self.isReadOnly = isReadOnly
        self.sandboxPath = sandboxPath
        self.temporaryBytes = temporaryBytes
        self.secret = secret
        self.external = external
    }
}

/// One port of a container made reachable on the host.
public struct PortMapping: Hashable, Sendable {
    /// On the host.
    public var hostPort: Int
    /// In the container.
    public var containerPort: Int
    /// `tcp` (default) or `udp`.
    public var protocolName: String?

    /// Sets every field; what is left out has the default shown.
    public init(
        hostPort: Int,
        containerPort: Int,
        protocolName: String? = nil
    ) {
        self.hostPort = hostPort
        self.containerPort = containerPort
        self.protocolName = protocolName
    }
}

/// A container's image, file system and network.
public struct ContainerInfo: Hashable, Sendable {
    /// Who interprets the image.
    public var kind: Kind
    /// The image's name.
    public var image: String?
    /// The host name inside.
    public var hostname: String?
    /// What is mounted.
    public var volumes: [Volume]
    /// How it reaches the network.
    public var network: Network
    /// Ports made reachable on the host.
    public var portMappings: [PortMapping]
    /// Whether it keeps the privileges of the agent.
    public var isPrivileged: Bool
    /// Whether to ask for a newer image even if there is one.
    public var forcePull: Bool
    /// What the kernel counts for each of its processes.
    public var limits: [ProcessLimit]
    /// What its processes may do that is else kept for the privileged.
    public var capabilities: [Capability]

    /// Sets every field; what is left out has the default shown.
    public init(
        kind: Kind = .native,
        image: String? = nil,
        hostname: String? = nil,
        volumes: [Volume] = [],
        network: Network = .host,
        portMappings: [PortMapping] = [],
        isPrivileged: Bool = false,
        forcePull: Bool = false,
        limits: [ProcessLimit] = [],
        capabilities: [Capability] = []
    ) {
        self.kind = kind
        self.image = image
        self.hostname = hostname
        self.volumes = volumes
        self.network = network
        self.portMappings = portMappings
        self.isPrivileged = isPrivileged
        self.forcePull = forcePull
        self.limits = limits
        self.capabilities = capabilities
    }

    /// Who interprets the image.
    public enum Kind: Hashable, Sendable {
        /// A Docker image by name.
        case docker
        /// The agent's own containerizer.
        case native
    }

    /// How the container reaches the network.
    public enum Network: Hashable, Sendable {
        /// The host's own.
        case host
        /// A private one behind a bridge.
        case bridge
        /// None.
        case none
        /// A named CNI network.
        case named(String)
    }
}
