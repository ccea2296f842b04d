internal import DequeModule
internal import ProfferKernel
internal import ProfferSession

/// Where a process listens.
enum Port: UInt8, Sendable {
    case frameworks
    case agents
    case executors
}

/// A ROUTER that a DEALER can connect to.
struct Address: Hashable, Sendable {
    var process: Int
    var port: Port
}

/// Which way a frame goes.
enum Direction: UInt8, Sendable {
    /// From the DEALER to the ROUTER.
    case up
    case down
}

/// One DEALER socket with its connection to a ROUTER, as ZeroMQ keeps it.
///
/// Within a live connection nothing is lost or reordered. A message is dropped at the high-water
/// mark; whatever is under way is lost when the connection breaks; a ROUTER that does not know a
/// route says so, a DEALER without a connection does too.
struct Connection {
    struct Way {
        var frames: Deque<Envelope> = []
        /// When the next frame arrives at the earliest.
        var readyAt: Deque<Int64> = []
        var lastArrival: Int64 = 0
        var isScheduled = false
    }

    let dealer: Int
    let dealerIncarnation: UInt32
    let address: Address
    /// Names the connection to the ROUTER; new with every connection that is made.
    var route: UInt64 = 0
    var isConnected = false
    /// Whether the ROUTER still believes in the route.
    var isKnownToRouter = false
    /// Whether the DEALER has given the socket up.
    var isClosed = false
    /// Counts changes, so that late events are recognised.
    var generation: UInt32 = 0
    var attempts = 0
    var routerIncarnation: UInt32 = 0
    var up = Way()
    var down = Way()
}

/// The state of the way from one node to another.
struct Link {
    var isBlocked = false
    /// Nothing arrives before.
    var clogUntil: Int64 = 0
    /// The mean time of a frame on its way.
    var latency: Int64 = 500_000
    /// Frames that may wait in a queue.
    var highWater = 10_000
}

/// The modelled network: every connection of every process.
struct Network {
    static let heartbeatTimeout = 8 * Span.second
    static let handshakeTimeout = 5 * Span.second

    var connections: ContiguousArray<Connection> = []
    /// The links that are not as they were at first; there are more pairs of nodes than memory.
    private var changed = LookupTable<Int, Link>()
    private let nodeCount: Int
    private let usual: Link
    private let local = Link(latency: 30_000)
    private var lastRoute: UInt64 = 0

    init(nodes: Int, latency: Int64) {
        nodeCount = nodes
        usual = Link(latency: latency)
    }

    subscript(from: Int, to: Int) -> Link {
        get {
            let first = from == to ? local : usual
            return changed.isEmpty ? first : changed[from * nodeCount + to] ?? first
        }
        set { changed[from * nodeCount + to] = newValue }
    }

    mutating func nextRoute() -> UInt64 {
        lastRoute += 1
        return lastRoute
    }
}
