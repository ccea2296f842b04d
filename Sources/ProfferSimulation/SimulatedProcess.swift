internal import DequeModule
internal import ProfferElection
internal import ProfferKernel
internal import ProfferModel
internal import ProfferSession

/// What has reached a process and waits for its next turn.
enum Arrival {
    /// A DEALER's connection stands.
    case handshake(connection: Int)
    /// A DEALER's connection has broken.
    case broken(connection: Int)
    /// A DEALER has received something.
    case down(connection: Int, Envelope)
    /// A ROUTER has received something.
    case up(Port, route: UInt64, key: String?, Envelope)
    /// Another thread of the process, or the kernel, has news.
    case mail(Mail)
}

/// What reaches the thread of a process from elsewhere on its node.
enum Mail {
    case committed(ticket: UInt64)
    case commitFailed
    /// A master without others may take over.
    case alone
    case election(ElectionInput)
    case loaded(RequestID, [MasterRecord], at: Revision)
    /// Commits of a term went through; `sent` is `nil` where only a planted bug says so.
    case ofTerm(Fence, sent: Instant?, tickets: [UInt64])
    case executorStarted(String, pid: Int, startTicks: UInt64)
    case executorFailed(String, message: String)
    case executorEnded(String, status: Int)
    case taskEnded(pid: Int)
    case tasksSwept(String)
    case checked(number: Int, isHealthy: Bool?)
    case terminate
    case measured
    case wanted(OperatorWish)
    case command(Int)
}

/// A process of the cluster: a thread that takes turns, its clock and what waits for it.
///
/// A turn takes no time. A process that is stopped takes none; what arrives waits.
class SimulatedProcess {
    unowned let world: World
    let index: Int
    let name: String
    let node: Int
    /// Names the process to others, as a CURVE key would; `nil` where peers prove nothing.
    let key: String?
    var clock: SkewedClock
    private(set) var incarnation: UInt32 = 0
    private(set) var isUp = false
    private(set) var isPaused = false
    /// From one turn to the next, at least; for a process that is slow.
    var turnPause: Int64 = 0
    private var lastTurn: Int64 = 0
    var inbox: Deque<Arrival> = []
    /// The connections that it has made, those that are closed included.
    var dialed: [Int] = []
    /// The process dies after so many more effects.
    var effectsLeft: Int?
    /// What its other threads do when it goes on.
    private var held: [() -> Void] = []
    /// Since when its monotonic clock stands still.
    private var suspendedAt: Int64?
    private var wakeAt = Int64.max
    private var wakeStamp: UInt32 = 0

    init(_ world: World, _ name: String, node: Int, key: String?, clock: SkewedClock) {
        self.world = world
        self.name = name
        self.node = node
        self.key = key
        self.clock = clock
        index = world.processes.count
    }

    /// The time as the process reads it.
    var instant: Instant { clock.instant(at: world.now) }

    // MARK: Life

    /// Starts the process; what it does then is up to the subclass.
    final func begin() {
        incarnation += 1
        isUp = true
        isPaused = false
        turnPause = 0
        effectsLeft = nil
        inbox = []
        held = []
        suspendedAt = nil
        wakeAt = .max
        boot()
        rearm()
    }

    /// Ends the process as kill -9 does.
    final func die(isPowerLoss: Bool = false) {
        guard isUp else { return }
        isUp = false
        isPaused = false
        effectsLeft = nil
        inbox = []
        wakeAt = .max
        wakeStamp &+= 1
        lose()
        world.disconnectAll(of: self, isPowerLoss: isPowerLoss)
        world.note(.processEnded(index))
    }

    final func pause() {
        guard isUp else { return }
        isPaused = true
    }

    /// Stops it together with its machine, whose monotonic clock stands still meanwhile.
    final func suspend() {
        guard isUp else { return }
        isPaused = true
        suspendedAt = world.now
    }

    final func resume() {
        guard isUp, isPaused else { return }
        isPaused = false
        if let since = suspendedAt {
            clock.turnBack(world.now - since)
            suspendedAt = nil
        }
        world.answerHandshakes(of: self)
        let bodies = held
        held = []
        for body in bodies where isUp { body() }
        if isUp { takeTurn() }
    }

    /// Does something on another thread of the process than the one that takes turns; when it is
    /// stopped, as soon as it goes on.
    final func onThread(_ incarnation: UInt32, _ body: @escaping () -> Void) {
        guard isUp, self.incarnation == incarnation else { return }
        if isPaused { held.append(body) } else { body() }
    }

    // MARK: Turns

    final func arrive(_ arrival: Arrival) {
        guard isUp else { return }
        inbox.append(arrival)
        if isPaused { return }
        if turnPause > 0, lastTurn + turnPause > world.now {
            scheduleWake(at: lastTurn + turnPause)
        } else {
            takeTurn()
        }
    }

    /// Like an arrival, from within the process's own turn.
    final func post(_ mail: Mail) {
        guard isUp else { return }
        let current = incarnation
        world.after(0) { [self] in
            if incarnation == current { arrive(.mail(mail)) }
        }
    }

    final func wake(stamp: UInt32) {
        guard stamp == wakeStamp, isUp else { return }
        wakeAt = .max
        if !isPaused { takeTurn() }
    }

    private func takeTurn() {
        lastTurn = world.now
        if isMeasured {
            turnPause = world.measure { turn(at: instant) }
        } else {
            turn(at: instant)
        }
        rearm()
    }

    private func rearm() {
        guard isUp, !isPaused, let deadline = nextDeadline else { return }
        // The poller sleeps whole milliseconds, rounded up.
        let due = clock.time(of: deadline) + Span.millisecond
        scheduleWake(at: max(due, lastTurn + turnPause))
    }

    private func scheduleWake(at time: Int64) {
        guard time < wakeAt else { return }
        wakeAt = max(time, world.now)
        wakeStamp &+= 1
        world.at(wakeAt, .wake(process: index, stamp: wakeStamp))
    }

    /// Counts an effect that is being carried out; `false` when the process has died before it.
    final func mayAct() -> Bool {
        guard let left = effectsLeft else { return isUp }
        if left > 0 {
            effectsLeft = left - 1
            return isUp
        }
        world.hit(.crashInTurn)
        crashInTurn()
        return false
    }

    // MARK: For subclasses

    /// Whether its turns take the time that they take here.
    var isMeasured: Bool { false }
    var nextDeadline: Instant? { nil }
    func boot() {}
    func turn(at now: Instant) {}
    /// Forgets what was in memory.
    func lose() {}
    /// Dies in the middle of a turn, and comes back if that kind of process does.
    func crashInTurn() { die() }
    /// Whether somebody can connect.
    func isListening(at port: Port) -> Bool { false }
}
