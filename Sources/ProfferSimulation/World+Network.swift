internal import DequeModule
internal import ProfferKernel
internal import ProfferSession

/// What a ROUTER knows of a route.
struct Route {
    var connection: Int
    var process: Int
    var incarnation: UInt32
}

/// A handshake that lies in the kernel of a process that is stopped.
struct OpenHandshake {
    var router: Int
    var connection: Int
    var generation: UInt32
    var until: Int64
}

extension World {
    // MARK: Connections

    /// Makes a DEALER that connects to an address, for ever.
    func dial(_ address: Address, from process: SimulatedProcess) -> Int {
        var connection = Connection(
            dealer: process.index, dealerIncarnation: process.incarnation, address: address)
        let index: Int
        if let free = freeConnections.popLast() {
            index = free
            connection.generation = network.connections[index].generation &+ 1
            network.connections[index] = connection
        } else {
            index = network.connections.count
            network.connections.append(connection)
        }
        process.dialed.removeAll {
            network.connections[$0].dealer != process.index || network.connections[$0].isClosed
        }
        process.dialed.append(index)
        at(
            now + pathLatency(index),
            .connect(connection: index, generation: connection.generation))
        return index
    }

    private func nodes(of connection: Int) -> (dealer: Int, router: Int) {
        let row = network.connections[connection]
        return (processes[row.dealer].node, processes[row.address.process].node)
    }

    private func pathLatency(_ connection: Int) -> Int64 {
        let (dealer, router) = nodes(of: connection)
        return chance.network.span(around: network[dealer, router].latency)
    }

    private func isBlocked(_ connection: Int) -> Bool {
        let (dealer, router) = nodes(of: connection)
        return network[dealer, router].isBlocked || network[router, dealer].isBlocked
    }

    func connect(_ index: Int, _ generation: UInt32) {
        let row = network.connections[index]
        guard row.generation == generation, !row.isClosed, !row.isConnected else { return }
        let dealer = processes[row.dealer]
        guard dealer.isUp, dealer.incarnation == row.dealerIncarnation else { return }
        let router = processes[row.address.process]
        network.connections[index].attempts += 1
        if isBlocked(index) || router.isPaused || dealer.isPaused {
            // Neither refused nor answered: the handshake runs out, unless the router goes on.
            if router.isPaused, !dealer.isPaused {
                openHandshakes.append(
                    OpenHandshake(
                        router: router.index, connection: index, generation: generation,
                        until: now + Network.handshakeTimeout))
            }
            retry(index, after: Network.handshakeTimeout)
            return
        }
        guard router.isUp, router.isListening(at: row.address.port) else {
            retry(index, after: 0)
            return
        }
        let route = network.nextRoute()
        routes[route] = Route(
            connection: index, process: router.index, incarnation: router.incarnation)
        network.connections[index].generation &+= 1
        network.connections[index].route = route
        network.connections[index].routerIncarnation = router.incarnation
        network.connections[index].isConnected = true
        network.connections[index].attempts = 0
        network.connections[index].up = Connection.Way()
        network.connections[index].down = Connection.Way()
        dealer.arrive(.handshake(connection: index))
    }

    /// A process goes on that was stopped: its kernel has kept the handshakes for it.
    func answerHandshakes(of router: SimulatedProcess) {
        for open in openHandshakes where open.router == router.index && open.until > now {
            at(
                now + pathLatency(open.connection),
                .connect(connection: open.connection, generation: open.generation))
        }
        openHandshakes.removeAll { $0.router == router.index || $0.until <= now }
    }

    private func retry(_ index: Int, after span: Int64) {
        let row = network.connections[index]
        let limit: Int64 = row.address.port == .executors ? 500 : 5000
        let pause = min(limit, 50 << Int64(min(row.attempts, 7))) * Span.millisecond
        at(
            now + span + pause / 2 + chance.network.below(pause),
            .connect(connection: index, generation: row.generation))
    }

    // MARK: Frames

    /// Sends from a DEALER; `false` when there is no connection or its queue is full.
    func sendUp(_ index: Int, _ envelope: Envelope) -> Bool {
        let row = network.connections[index]
        guard row.isConnected, !row.isClosed else {
            hit(.sendWithoutConnection)
            return false
        }
        let (dealer, router) = nodes(of: index)
        guard row.up.frames.count < network[dealer, router].highWater else {
            hit(.highWaterMark)
            return false
        }
        enqueue(index, .up, envelope, network[dealer, router])
        return true
    }

    /// Sends from a ROUTER; `false` when the route is not known.
    func sendDown(_ route: UInt64, _ envelope: Envelope, from process: SimulatedProcess) -> Bool {
        guard let known = routes[route], known.process == process.index,
            known.incarnation == process.incarnation
        else { return false }
        let row = network.connections[known.connection]
        // A peer that is gone without a word: the queue takes what nobody will read.
        guard row.route == route, row.isConnected, !row.isClosed else {
            hit(.sendIntoHalfOpen)
            return true
        }
        let (dealer, router) = nodes(of: known.connection)
        guard row.down.frames.count < network[router, dealer].highWater else {
            hit(.highWaterMark)
            return true
        }
        enqueue(known.connection, .down, envelope, network[router, dealer])
        return true
    }

    private func enqueue(
        _ index: Int, _ direction: Direction, _ envelope: Envelope, _ link: Link
    ) {
        let span = chance.network.span(around: link.latency)
        let start = max(now + passedOfTurn, link.clogUntil)
        if direction == .up {
            let ready = max(network.connections[index].up.lastArrival, start + span)
            network.connections[index].up.frames.append(envelope)
            network.connections[index].up.readyAt.append(ready)
            network.connections[index].up.lastArrival = ready
        } else {
            let ready = max(network.connections[index].down.lastArrival, start + span)
            network.connections[index].down.frames.append(envelope)
            network.connections[index].down.readyAt.append(ready)
            network.connections[index].down.lastArrival = ready
        }
        schedule(index, direction)
    }

    /// Arms the arrival of the next frame.
    private func schedule(_ index: Int, _ direction: Direction) {
        let row = network.connections[index]
        let way = direction == .up ? row.up : row.down
        guard !way.isScheduled, let ready = way.readyAt.first else { return }
        if direction == .up {
            network.connections[index].up.isScheduled = true
        } else {
            network.connections[index].down.isScheduled = true
        }
        at(
            ready,
            .frame(connection: index, direction, generation: row.generation))
    }

    func deliver(_ index: Int, _ direction: Direction, _ generation: UInt32) {
        guard network.connections[index].generation == generation else { return }
        let (dealer, router) = nodes(of: index)
        let link = direction == .up ? network[dealer, router] : network[router, dealer]
        if direction == .up {
            network.connections[index].up.isScheduled = false
        } else {
            network.connections[index].down.isScheduled = false
        }
        // What is held up by a partition goes on when it heals.
        if link.isBlocked { return }
        if link.clogUntil > now {
            let row = network.connections[index]
            if direction == .up {
                network.connections[index].up.isScheduled = true
            } else {
                network.connections[index].down.isScheduled = true
            }
            at(
                link.clogUntil,
                .frame(connection: index, direction, generation: row.generation))
            return
        }
        let row = network.connections[index]
        if direction == .up {
            guard let envelope = network.connections[index].up.frames.popFirst() else { return }
            network.connections[index].up.readyAt.removeFirst()
            schedule(index, .up)
            processes[row.address.process].arrive(
                .up(
                    row.address.port, route: row.route, key: processes[row.dealer].key, envelope))
        } else {
            guard let envelope = network.connections[index].down.frames.popFirst() else { return }
            network.connections[index].down.readyAt.removeFirst()
            schedule(index, .down)
            processes[row.dealer].arrive(.down(connection: index, envelope))
        }
    }

    // MARK: Breaks

    /// Lets some of what was under way to the ROUTER arrive although its connection is gone: it
    /// was in a buffer there already.
    private func deliverLate(_ index: Int, isAll: Bool) {
        let row = network.connections[index]
        let router = processes[row.address.process]
        let incarnation = router.incarnation
        let count =
            isAll ? row.up.frames.count : chance.network.below(row.up.frames.count + 1)
        for envelope in row.up.frames.prefix(count) {
            let span = isAll ? pathLatency(index) : chance.network.below(2 * Span.second)
            after(span) { [self] in
                guard router.isUp, router.incarnation == incarnation else { return }
                if !isAll { hit(.lateFrame) }
                router.arrive(
                    .up(
                        row.address.port, route: row.route, key: processes[row.dealer].key,
                        envelope))
            }
        }
    }

    /// Breaks a connection for its DEALER, for its ROUTER, or for both.
    func breakConnection(
        _ index: Int, forDealer: Bool = true, forRouter: Bool = true, keepsSome: Bool = false
    ) {
        let row = network.connections[index]
        guard row.isConnected else { return }
        if !row.up.frames.isEmpty || !row.down.frames.isEmpty { hit(.lossAtReconnect) }
        if keepsSome { deliverLate(index, isAll: false) }
        network.connections[index].up = Connection.Way()
        network.connections[index].down = Connection.Way()
        if forRouter { routes.remove(row.route) }
        if forDealer {
            network.connections[index].isConnected = false
            network.connections[index].generation &+= 1
            if !row.isClosed {
                retry(index, after: 0)
                let dealer = processes[row.dealer]
                if dealer.incarnation == row.dealerIncarnation {
                    dealer.arrive(.broken(connection: index))
                }
            }
        }
        if !forRouter { forgetRouteLater(row.route) }
    }

    /// The ROUTER misses the heartbeats of a route some time.
    private func forgetRouteLater(_ route: UInt64) {
        after(Network.heartbeatTimeout + chance.network.below(Span.second)) { [self] in
            routes.remove(route)
        }
    }

    /// Gives a DEALER up; what it has sent still arrives.
    func hangUp(_ index: Int) {
        let row = network.connections[index]
        guard !row.isClosed else { return }
        if row.isConnected {
            deliverLate(index, isAll: true)
            let route = row.route
            after(pathLatency(index) + Span.millisecond) { [self] in routes.remove(route) }
        }
        network.connections[index].isClosed = true
        network.connections[index].isConnected = false
        network.connections[index].generation &+= 1
        network.connections[index].up = Connection.Way()
        network.connections[index].down = Connection.Way()
        freeConnections.append(index)
    }

    /// Ends every connection of a process that has ended.
    ///
    /// A kernel that lives on says so to the other side; after a loss of power nobody does.
    func disconnectAll(of process: SimulatedProcess, isPowerLoss: Bool) {
        // Who cannot be connected to has only what it has made itself.
        let own = process.dialed.sorted()
        process.dialed = []
        let isServer = process.isListening(at: .executors) || process.isListening(at: .agents)
        for index in isServer ? Array(network.connections.indices) : own {
            let row = network.connections[index]
            if row.isClosed { continue }
            if row.dealer == process.index {
                if row.isConnected {
                    if isPowerLoss {
                        hit(.halfOpen)
                        forgetRouteLater(row.route)
                    } else {
                        deliverLate(index, isAll: false)
                        let route = row.route
                        after(pathLatency(index)) { [self] in routes.remove(route) }
                    }
                }
                network.connections[index].isClosed = true
                network.connections[index].isConnected = false
                network.connections[index].generation &+= 1
                network.connections[index].up = Connection.Way()
                network.connections[index].down = Connection.Way()
                freeConnections.append(index)
            } else if row.address.process == process.index, row.isConnected {
                network.connections[index].up = Connection.Way()
                network.connections[index].down = Connection.Way()
                routes.remove(row.route)
                let generation = row.generation
                let span =
                    isPowerLoss
                    ? Network.heartbeatTimeout + chance.network.below(Span.second)
                    : pathLatency(index)
                after(span) { [self] in
                    guard network.connections[index].generation == generation else { return }
                    breakConnection(index)
                }
            }
        }
    }

    // MARK: Partitions

    func connections(from: Int, to: Int) -> [Int] {
        network.connections.indices.filter { index in
            guard !network.connections[index].isClosed else { return false }
            let (dealer, router) = nodes(of: index)
            return dealer == from && router == to || dealer == to && router == from
        }
    }

    /// Lets nothing through from one node to another.
    func block(from: Int, to: Int) {
        network[from, to].isBlocked = true
        for index in connections(from: from, to: to) where network.connections[index].isConnected {
            let generation = network.connections[index].generation
            // Each side misses the heartbeats of the other by itself.
            for isDealer in [true, false] {
                after(Network.heartbeatTimeout + chance.network.below(2 * Span.second)) { [self] in
                    guard network.connections[index].generation == generation, isBlocked(index)
                    else { return }
                    breakConnection(index, forDealer: isDealer, forRouter: !isDealer)
                }
            }
        }
    }

    func unblock(from: Int, to: Int) {
        guard network[from, to].isBlocked else { return }
        network[from, to].isBlocked = false
        for index in connections(from: from, to: to) {
            schedule(index, .up)
            schedule(index, .down)
        }
    }
}
