internal import ProfferKernel
internal import ProfferModel
internal import ProfferSchema
internal import ProfferSession

// The parts of common messages. Each mirrors the general way, which stands beside it in the other
// files; the tests compare the two.

extension QuickWriter {
    mutating func labels(_ number: UInt64, _ labels: [Label]) {
        if labels.isEmpty { return }
        message(number) { (part: inout QuickWriter) in
            for label in labels {
                part.message(1) { (part: inout QuickWriter) in
                    part.text(1, label.key)
                    part.text(2, label.value)
                }
            }
        }
    }

    mutating func status(_ number: UInt64, _ status: TaskStatus) throws(Uncommon) {
        try message(number) { (part: inout QuickWriter) throws(Uncommon) in
            try part.fields(of: status)
        }
    }

    mutating func fields(of status: TaskStatus) throws(Uncommon) {
        guard status.checkResult == nil, status.unreachableTime == nil else { throw Uncommon() }
        id(1, status.taskID)
        kind(2, coded(status.state).rawValue)
        if let data = status.data { self.data(3, data) }
        text(4, status.message)
        id(5, status.agentID)
        if let time = status.timestamp { double(6, Double(time.nanosecondsSince1970) / 1e9) }
        id(7, status.executorID)
        if let healthy = status.healthy { bool(8, healthy) }
        if let source = status.source { kind(9, source.rawValue) }
        if let reason = status.reason { kind(10, reason.rawValue) }
        update(11, status.uuid)
        labels(12, status.labels)
        if let container = status.containerStatus {
            guard container.addresses.isEmpty else { throw Uncommon() }
            message(13) { (part: inout QuickWriter) in
                if let pid = container.pid { part.number(3, UInt64(UInt32(clamping: pid))) }
                part.id(4, container.containerID)
            }
        }
        if let exit = status.exit {
            message(1000) { (part: inout QuickWriter) in part.fields(of: exit) }
        }
    }

    private mutating func fields(of exit: TaskExit) {
        if let code = exit.code { int32(1, code) }
        if let signal = exit.signal { int32(2, signal) }
        if exit.isCoreDumped { bool(3, true) }
        if let time = exit.cpuTime { number(4, time.inNanoseconds) }
        if let peak = exit.peakMemoryBytes { number(5, peak) }
        if let time = exit.wallTime { number(6, time.inNanoseconds) }
        if let limit = exit.memoryLimitBytes { number(7, limit) }
        if exit.isOutOfMemory { bool(8, true) }
    }

    mutating func resources(_ number: UInt64, _ resources: Resources) throws(Uncommon) {
        for resource in resources.items {
            guard resource == Resource(resource.name, resource.value) else { throw Uncommon() }
            switch resource.value {
            case .scalar(let amount):
                message(number) { (part: inout QuickWriter) in
                    part.text(1, resource.name)
                    part.kind(2, PBValue.TypeEnum.scalar.rawValue)
                    part.message(3) { (part: inout QuickWriter) in
                        part.double(1, amount.doubleValue)
                    }
                }
            case .ranges(let intervals):
                message(number) { (part: inout QuickWriter) in
                    part.text(1, resource.name)
                    part.kind(2, PBValue.TypeEnum.ranges.rawValue)
                    part.ranges(4, intervals)
                }
            case .set: throw Uncommon()
            }
        }
    }

    private mutating func ranges(_ number: UInt64, _ set: IntervalSet) {
        message(number) { (part: inout QuickWriter) in
            for interval in set.intervals {
                part.message(1) { (part: inout QuickWriter) in
                    part.number(1, interval.lowerBound)
                    part.number(2, interval.upperBound)
                }
            }
        }
    }

    mutating func command(_ number: UInt64, _ command: CommandInfo) throws(Uncommon) {
        guard command.uris.isEmpty, command.environment.allSatisfy({ $0.secret == nil }) else {
            throw Uncommon()
        }
        message(number) { (part: inout QuickWriter) in
            // Present even when it is empty, as in the general way.
            part.message(2) { (part: inout QuickWriter) in
                for variable in command.environment {
                    part.message(1) { (part: inout QuickWriter) in
                        part.text(1, variable.name)
                        part.text(2, variable.value)
                    }
                }
            }
            part.text(3, command.value)
            part.text(5, command.user)
            part.bool(6, command.shell)
            for argument in command.arguments { part.text(7, argument) }
        }
    }

    mutating func task(_ number: UInt64, _ info: TaskInfo) throws(Uncommon) {
        guard info.executor == nil, info.container == nil, info.healthCheck == nil,
            info.check == nil, info.killPolicy == nil, info.discovery == nil,
            info.maxCompletionTime == nil, info.limits.isEmpty, info.launchTimeout == nil
        else { throw Uncommon() }
        try message(number) { (part: inout QuickWriter) throws(Uncommon) in
            part.text(1, info.name)
            part.id(2, info.id)
            part.id(3, info.agentID)
            try part.resources(4, info.resources)
            if !info.data.isEmpty { part.data(6, info.data) }
            if let command = info.command { try part.command(7, command) }
            part.labels(10, info.labels)
            if let priority = info.priority { part.int32(1000, priority) }
        }
    }

    mutating func framework(_ number: UInt64, _ info: FrameworkInfo) throws(Uncommon) {
        guard info.minimumOffers.isEmpty else { throw Uncommon() }
        message(number) { (part: inout QuickWriter) in
            part.text(1, info.user)
            part.text(2, info.name)
            part.id(3, info.id)
            part.double(4, secondsValue(info.failoverTimeout))
            part.bool(5, info.checkpoint)
            part.text(7, info.hostname)
            part.text(8, info.principal)
            part.text(9, info.webUIURL)
            for kind in 1...Self.lastCapability
            where info.capabilities.contains(.init(rawValue: 1 << UInt32(kind))) {
                part.message(10) { (part: inout QuickWriter) in part.kind(1, kind) }
            }
            part.labels(11, info.labels)
            for role in info.roles { part.text(12, role) }
            if info.priority != 0 { part.int32(1000, info.priority) }
        }
    }

    static let lastCapability = PBFrameworkInfo.Capability.TypeEnum.regionAware.rawValue
}

extension QuickReader {
    mutating func labels() throws(Uncommon) -> [Label] {
        var part = try message()
        var labels: [Label] = []
        while let number = try part.next(lists: [1]) {
            guard number == 1 else { throw Uncommon() }
            var one = try part.message()
            var (key, value): (String?, String?)
            while let number = try one.next() {
                switch number {
                case 1: key = try one.text()
                case 2: value = try one.text()
                default: throw Uncommon()
                }
            }
            labels.append(Label(try needed(key), value))
        }
        return labels
    }

    mutating func state() throws(Uncommon) -> TaskState {
        let state = PBTaskState(rawValue: Int(try int32()))
        return ProfferWire.model(try needed(state))
    }

    mutating func status() throws(Uncommon) -> TaskStatus {
        var part = try message()
        return try part.statusFields()
    }

    private mutating func statusFields() throws(Uncommon) -> TaskStatus {
        var id: TaskID?
        var state: TaskState?
        var status = TaskStatus(taskID: "", state: .unknown)
        while let number = try next() {
            switch number {
            case 1: id = try self.id()
            case 2: state = try self.state()
            case 3: status.data = try data()
            case 4: status.message = try text()
            case 5: status.agentID = try self.id()
            case 6: status.timestamp = try time()
            case 7: status.executorID = try self.id()
            case 8: status.healthy = try bool()
            case 9:
                let source = try needed(PBTaskStatus.Source(rawValue: Int(try int32())))
                status.source = StatusSource(rawValue: source.rawValue)
            case 10:
                let reason = try needed(PBTaskStatus.Reason(rawValue: Int(try int32())))
                status.reason = StatusReason(rawValue: reason.rawValue)
            case 11: status.uuid = try update()
            case 12: status.labels = try labels()
            case 13: status.containerStatus = try container()
            case 1000: status.exit = try exit()
            default: throw Uncommon()
            }
        }
        status.taskID = try needed(id)
        status.state = try needed(state)
        return status
    }

    private mutating func time() throws(Uncommon) -> WallTime {
        let seconds = try double()
        guard abs(seconds) < 9e9 else { throw Uncommon() }
        return WallTime(nanosecondsSince1970: Int64((seconds * 1e6).rounded()) * 1000)
    }

    private mutating func container() throws(Uncommon) -> ContainerStatus {
        var part = try message()
        var container = ContainerStatus()
        while let number = try part.next() {
            switch number {
            case 3: container.pid = Int(try part.uint32())
            case 4: container.containerID = try part.id()
            default: throw Uncommon()
            }
        }
        return container
    }

    private mutating func exit() throws(Uncommon) -> TaskExit {
        var part = try message()
        var exit = TaskExit()
        while let number = try part.next() {
            switch number {
            case 1: exit.code = Int(try part.int32())
            case 2: exit.signal = Int(try part.int32())
            case 3: exit.isCoreDumped = try part.bool()
            case 4: exit.cpuTime = .nanoseconds(try part.int64())
            case 5: exit.peakMemoryBytes = try part.int64()
            case 6: exit.wallTime = .nanoseconds(try part.int64())
            case 7: exit.memoryLimitBytes = try part.int64()
            case 8: exit.isOutOfMemory = try part.bool()
            default: throw Uncommon()
            }
        }
        return exit
    }

    /// One scalar or some ranges without anything else; scalars so small that some of them never
    /// exceed the limit of a total.
    mutating func resource() throws(Uncommon) -> Resource {
        var part = try message()
        var name: String?
        var kind: Int32?
        var amount: Milli?
        var intervals: IntervalSet?
        while let number = try part.next() {
            switch number {
            case 1: name = try part.text()
            case 2:
                kind = try part.int32()
            case 3:
                var scalar = try part.message()
                guard try scalar.next() == 1 else { throw Uncommon() }
                amount = Milli(rounding: try scalar.double())
                guard try scalar.next() == nil else { throw Uncommon() }
            case 4: intervals = try part.ranges()
            default: throw Uncommon()
            }
        }
        switch (amount, intervals) {
        case (let scalar?, nil):
            guard kind == Int32(PBValue.TypeEnum.scalar.rawValue),
                abs(scalar.thousandths) <= Milli.wireLimit / Self.resourceLimit
            else { throw Uncommon() }
            return Resource(try needed(name), .scalar(scalar))
        case (nil, let intervals?):
            guard kind == Int32(PBValue.TypeEnum.ranges.rawValue) else { throw Uncommon() }
            return Resource(try needed(name), .ranges(intervals))
        default: throw Uncommon()
        }
    }

    static let resourceLimit: Int64 = 16
    /// Of more ranges the general way decides whether they are too many.
    private static let rangeLimit = 256

    private mutating func ranges() throws(Uncommon) -> IntervalSet {
        var part = try message()
        var list: [ClosedRange<UInt64>] = []
        while let number = try part.next(lists: [1]) {
            guard number == 1, list.count < Self.rangeLimit else { throw Uncommon() }
            var one = try part.message()
            var (begin, end): (UInt64?, UInt64?)
            while let number = try one.next() {
                switch number {
                case 1: begin = try one.number()
                case 2: end = try one.number()
                default: throw Uncommon()
                }
            }
            let (first, last) = (try needed(begin), try needed(end))
            guard first <= last else { throw Uncommon() }
            list.append(first...last)
        }
        return IntervalSet(list)
    }

    private mutating func command() throws(Uncommon) -> CommandInfo {
        var part = try message()
        var command = CommandInfo()
        while let number = try part.next(lists: [7]) {
            switch number {
            case 2: command.environment = try part.environment()
            case 3: command.value = try part.text()
            case 5: command.user = try part.text()
            case 6: command.shell = try part.bool()
            case 7: command.arguments.append(try part.text())
            default: throw Uncommon()
            }
        }
        return command
    }

    private mutating func environment() throws(Uncommon) -> [EnvironmentVariable] {
        var part = try message()
        var variables: [EnvironmentVariable] = []
        while let number = try part.next(lists: [1]) {
            guard number == 1 else { throw Uncommon() }
            var one = try part.message()
            var name: String?
            var value = ""
            while let number = try one.next() {
                switch number {
                case 1: name = try one.text()
                case 2: value = try one.text()
                default: throw Uncommon()
                }
            }
            variables.append(EnvironmentVariable(name: try needed(name), value: value))
        }
        return variables
    }

    mutating func task() throws(Uncommon) -> TaskInfo {
        var part = try message()
        var (name, id, agent): (String?, TaskID?, AgentID?)
        var resources = Resources()
        var count = 0
        var command: CommandInfo?
        var data: [UInt8] = []
        var labels: [Label] = []
        var priority: Int?
        while let number = try part.next(lists: [4]) {
            switch number {
            case 1: name = try part.text()
            case 2: id = try part.id()
            case 3: agent = try part.id()
            case 4:
                resources += try part.resource()
                count += 1
                guard count <= Self.resourceLimit else { throw Uncommon() }
            case 6: data = try part.data()
            case 7: command = try part.command()
            case 10: labels = try part.labels()
            case 1000: priority = Int(try part.int32())
            default: throw Uncommon()
            }
        }
        return TaskInfo(
            name: try needed(name), id: try needed(id), agentID: try needed(agent),
            resources: resources, command: command, data: data, labels: labels,
            priority: priority)
    }

    mutating func framework() throws(Uncommon) -> FrameworkInfo {
        var part = try message()
        var (user, name): (String?, String?)
        var info = FrameworkInfo(user: "", name: "")
        info.failoverTimeout = .zero
        info.checkpoint = false
        info.capabilities = []
        info.roles = []
        while let number = try part.next(lists: [10, 12]) {
            switch number {
            case 1: user = try part.text()
            case 2: name = try part.text()
            case 3: info.id = try part.id()
            case 4: info.failoverTimeout = try part.seconds()
            case 5: info.checkpoint = try part.bool()
            case 7: info.hostname = try part.text()
            case 8: info.principal = try part.text()
            case 9: info.webUIURL = try part.text()
            case 10: info.capabilities.insert(try part.capability())
            case 11: info.labels = try part.labels()
            case 12: info.roles.append(try part.text())
            case 1000: info.priority = Int(try part.int32())
            default: throw Uncommon()
            }
        }
        info.user = try needed(user)
        info.name = try needed(name)
        if info.roles.isEmpty, !info.capabilities.contains(.multiRole) { info.roles = ["*"] }
        return info
    }

    private mutating func capability() throws(Uncommon) -> FrameworkCapabilities {
        var part = try message()
        guard try part.next() == 1 else { throw Uncommon() }
        let kind = try part.int32()
        guard kind > 0, kind <= Int32(QuickWriter.lastCapability), try part.next() == nil else {
            throw Uncommon()
        }
        return FrameworkCapabilities(rawValue: 1 << UInt32(kind))
    }

    mutating func seconds() throws(Uncommon) -> Duration {
        let value = try double()
        do throws(WireError) {
            return try duration(seconds: value, "seconds")
        } catch {
            throw Uncommon()
        }
    }
}
