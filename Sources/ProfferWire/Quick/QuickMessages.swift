internal import ProfferKernel
internal import ProfferModel
internal import ProfferSchema
internal import ProfferSession

// Whole messages: what each task of a busy cluster costs once or more. All others, and unusual
// ones of these kinds, go the general way.

extension QuickWriter {
    static func bytes(of envelope: Envelope) -> [UInt8]? {
        let body: [UInt8]?
        switch envelope.content {
        case .message(let bytes): body = bytes
        case .keepAlive: body = nil
        case .open, .accepted, .closed: return nil
        }
        var writer = QuickWriter(capacity: (body?.count ?? 0) + envelope.clusterID.utf8.count + 64)
        writer.number(1, UInt64(envelope.version))
        if !envelope.clusterID.isEmpty { writer.text(2, envelope.clusterID) }
        if envelope.epoch != 0 { writer.number(3, envelope.epoch) }
        writer.fixed(4, envelope.session)
        if envelope.sequence != 0 { writer.number(5, envelope.sequence) }
        if envelope.acknowledged != 0 { writer.number(6, envelope.acknowledged) }
        if let body { writer.data(13, body) } else { writer.data(14, []) }
        return writer.bytes
    }

    static func bytes(of message: AgentToMaster) -> [UInt8]? {
        guard case .update(let framework, let status, let position) = message else { return nil }
        return bytes { (whole: inout QuickWriter) throws(Uncommon) in
            try whole.message(4) { (part: inout QuickWriter) throws(Uncommon) in
                part.id(1, framework)
                try part.status(2, status)
                part.kind(3, coded(position.latestState).rawValue)
                part.update(4, position.latestUUID)
            }
        }
    }

    static func bytes(of message: MasterToAgent) -> [UInt8]? {
        switch message {
        case .run(let run):
            guard run.executor == nil else { return nil }
            return bytes { (whole: inout QuickWriter) throws(Uncommon) in
                try whole.message(5) { (part: inout QuickWriter) throws(Uncommon) in
                    try part.framework(1, run.framework)
                    for task in run.tasks { try part.task(3, task) }
                    if run.isGroup { part.bool(4, true) }
                    part.text(5, run.role)
                    part.number(6, UInt64(UInt32(clamping: run.updateWindow)))
                }
            }
        case .acknowledge(let key, let uuid):
            return bytes { (whole: inout QuickWriter) throws(Uncommon) in
                whole.message(7) { (part: inout QuickWriter) in
                    part.message(1) { (part: inout QuickWriter) in
                        part.id(1, key.framework)
                        part.id(2, key.task)
                    }
                    part.update(2, uuid)
                }
            }
        default: return nil
        }
    }

    static func bytes(of event: ExecutorEvent) -> [UInt8]? {
        switch event {
        case .launch(let task, let sandbox, let secrets):
            guard secrets.isEmpty else { return nil }
            return bytes { (whole: inout QuickWriter) throws(Uncommon) in
                whole.kind(1, PBExecutorEvent.TypeEnum.launch.rawValue)
                try whole.message(4) { (part: inout QuickWriter) throws(Uncommon) in
                    try part.task(1, task)
                    part.text(1000, sandbox)
                }
            }
        case .acknowledged(let task, let uuid):
            return bytes { (whole: inout QuickWriter) throws(Uncommon) in
                whole.kind(1, PBExecutorEvent.TypeEnum.acknowledged.rawValue)
                whole.message(3) { (part: inout QuickWriter) in
                    part.id(1, task)
                    part.update(2, uuid)
                }
            }
        default: return nil
        }
    }

    static func bytes(of event: SchedulerEvent) -> [UInt8]? {
        switch event {
        case .update(let status):
            return bytes { (whole: inout QuickWriter) throws(Uncommon) in
                whole.kind(1, PBSchedulerEvent.TypeEnum.update.rawValue)
                try whole.message(5) { (part: inout QuickWriter) throws(Uncommon) in
                    try part.status(1, status)
                }
            }
        case .updates(let statuses):
            return bytes { (whole: inout QuickWriter) throws(Uncommon) in
                whole.kind(1, PBSchedulerEvent.TypeEnum.updates.rawValue)
                try whole.message(1010) { (part: inout QuickWriter) throws(Uncommon) in
                    for status in statuses { try part.status(1, status) }
                }
            }
        default: return nil
        }
    }

    static func bytes(of call: FrameworkCall) -> [UInt8]? {
        switch call.call {
        case .acknowledge(let task, let agent, let uuid):
            return bytes { (whole: inout QuickWriter) throws(Uncommon) in
                whole.id(1, call.frameworkID)
                whole.kind(2, PBSchedulerCall.TypeEnum.acknowledge.rawValue)
                whole.message(8) { (part: inout QuickWriter) in
                    part.id(1, agent)
                    part.id(2, task)
                    part.update(3, uuid)
                }
            }
        case .accept(let offers, let operations, let filters):
            return bytes { (whole: inout QuickWriter) throws(Uncommon) in
                whole.id(1, call.frameworkID)
                whole.kind(2, PBSchedulerCall.TypeEnum.accept.rawValue)
                try whole.message(4) { (part: inout QuickWriter) throws(Uncommon) in
                    for offer in offers { part.id(1, offer) }
                    for operation in operations { try part.launch(2, operation) }
                    if let filters {
                        part.message(3) { (part: inout QuickWriter) in
                            if let refuse = filters.refuse { part.double(1, secondsValue(refuse)) }
                        }
                    }
                }
            }
        default: return nil
        }
    }

    private mutating func launch(_ number: UInt64, _ operation: Operation) throws(Uncommon) {
        guard case .launch(let tasks) = operation.action, operation.id == nil else {
            throw Uncommon()
        }
        try message(number) { (part: inout QuickWriter) throws(Uncommon) in
            part.kind(1, PBOffer.Operation.TypeEnum.launch.rawValue)
            try part.message(2) { (part: inout QuickWriter) throws(Uncommon) in
                for task in tasks { try part.task(1, task) }
            }
        }
    }

    static func bytes(of checkpoint: TaskCheckpoint) -> [UInt8]? {
        bytes { (whole: inout QuickWriter) throws(Uncommon) in
            try whole.task(1, checkpoint.info)
            whole.text(2, checkpoint.role)
            whole.id(3, checkpoint.executorID)
            whole.text(4, checkpoint.sandbox)
            whole.kind(5, coded(checkpoint.state).rawValue)
            whole.id(6, checkpoint.groupID)
            whole.number(7, UInt64(UInt32(clamping: checkpoint.updateWindow)))
            whole.update(8, checkpoint.lastAcknowledged)
        }
    }

    static func bytes(of status: TaskStatus) -> [UInt8]? {
        bytes { (whole: inout QuickWriter) throws(Uncommon) in try whole.fields(of: status) }
    }
}

extension QuickReader {
    static func envelope(_ bytes: [UInt8]) -> Envelope? {
        value(of: bytes, limit: WireLimits.state + 1024) { reader throws(Uncommon) in
            var reader = reader
            var envelope = Envelope(version: 0, session: 0, content: .keepAlive)
            var isComplete = false
            while let number = try reader.next() {
                switch number {
                case 1: envelope.version = try reader.uint32()
                case 2:
                    envelope.clusterID = try reader.text()
                    guard envelope.clusterID.utf8.count <= WireLimits.clusterID else {
                        throw Uncommon()
                    }
                case 3: envelope.epoch = try reader.number()
                case 4: envelope.session = try reader.fixed()
                case 5: envelope.sequence = try reader.number()
                case 6: envelope.acknowledged = try reader.number()
                case 13, 14:
                    guard !isComplete else { throw Uncommon() }
                    isComplete = true
                    let body = try reader.data()
                    if number == 13 {
                        envelope.content = .message(body)
                    } else if !body.isEmpty {
                        throw Uncommon()
                    }
                default: throw Uncommon()
                }
            }
            guard isComplete else { throw Uncommon() }
            return envelope
        }
    }

    static func agentToMaster(_ bytes: [UInt8]) -> AgentToMaster? {
        value(of: bytes, limit: WireLimits.state) { reader throws(Uncommon) in
            var reader = reader
            let number = try reader.next()
            var part = try reader.message()
            guard try reader.next() == nil else { throw Uncommon() }
            switch number {
            case 2: return try part.reregister()
            case 4: return try part.agentUpdate()
            default: throw Uncommon()
            }
        }
    }

    private mutating func agentUpdate() throws(Uncommon) -> AgentToMaster {
        var (framework, status): (FrameworkID?, TaskStatus?)
        var latest: TaskState?
        var uuid: UpdateID?
        while let number = try next() {
            switch number {
            case 1: framework = try id()
            case 2: status = try self.status()
            case 3: latest = try state()
            case 4: uuid = try update()
            default: throw Uncommon()
            }
        }
        return .update(
            try needed(framework), try needed(status),
            position: UpdatePosition(latestState: try needed(latest), latestUUID: uuid))
    }

    static func masterToAgent(_ bytes: [UInt8]) -> MasterToAgent? {
        value(of: bytes, limit: WireLimits.state) { reader throws(Uncommon) in
            var reader = reader
            let number = try reader.next()
            var part = try reader.message()
            guard try reader.next() == nil else { throw Uncommon() }
            switch number {
            case 5: return .run(try part.run())
            case 7:
                var (key, uuid): (TaskKey?, UpdateID?)
                while let number = try part.next() {
                    switch number {
                    case 1: key = try part.key()
                    case 2: uuid = try part.update()
                    default: throw Uncommon()
                    }
                }
                return .acknowledge(try needed(key), uuid: try needed(uuid))
            default: throw Uncommon()
            }
        }
    }

    private mutating func key() throws(Uncommon) -> TaskKey {
        var part = try message()
        var (framework, task): (FrameworkID?, TaskID?)
        while let number = try part.next() {
            switch number {
            case 1: framework = try part.id()
            case 2: task = try part.id()
            default: throw Uncommon()
            }
        }
        return TaskKey(try needed(framework), try needed(task))
    }

    private mutating func run() throws(Uncommon) -> RunTask {
        var (framework, role): (FrameworkInfo?, String?)
        var tasks: [TaskInfo] = []
        var isGroup = false
        var window: UInt32 = 0
        while let number = try next(lists: [3]) {
            switch number {
            case 1: framework = try self.framework()
            case 3: tasks.append(try task())
            case 4: isGroup = try bool()
            case 5: role = try text()
            case 6: window = try uint32()
            default: throw Uncommon()
            }
        }
        return RunTask(
            framework: try needed(framework), tasks: tasks, isGroup: isGroup,
            role: try needed(role), updateWindow: Int(max(1, window)))
    }

    static func executorMessage(_ bytes: [UInt8]) -> ExecutorMessage? {
        value(of: bytes, limit: WireLimits.state) { reader throws(Uncommon) in
            var reader = reader
            var (executor, framework): (ExecutorID?, FrameworkID?)
            var isUpdate = false
            var status: TaskStatus?
            while let number = try reader.next() {
                switch number {
                case 1: executor = try reader.id()
                case 2: framework = try reader.id()
                case 3:
                    isUpdate = try reader.int32() == PBExecutorCall.TypeEnum.update.rawValue
                case 5:
                    var part = try reader.message()
                    guard try part.next() == 1 else { throw Uncommon() }
                    status = try part.status()
                    guard try part.next() == nil else { throw Uncommon() }
                default: throw Uncommon()
                }
            }
            guard isUpdate else { throw Uncommon() }
            return ExecutorMessage(
                frameworkID: try needed(framework), executorID: try needed(executor),
                call: .update(try needed(status)))
        }
    }

    static func schedulerEvent(_ bytes: [UInt8]) -> SchedulerEvent? {
        value(of: bytes, limit: WireLimits.state) { reader throws(Uncommon) in
            var reader = reader
            var kind: Int32?
            var event: SchedulerEvent?
            while let number = try reader.next() {
                switch number {
                case 1: kind = try reader.int32()
                case 5:
                    guard kind == Int32(PBSchedulerEvent.TypeEnum.update.rawValue) else {
                        throw Uncommon()
                    }
                    var part = try reader.message()
                    guard try part.next() == 1 else { throw Uncommon() }
                    event = .update(try part.status())
                    guard try part.next() == nil else { throw Uncommon() }
                case 1010:
                    guard kind == Int32(PBSchedulerEvent.TypeEnum.updates.rawValue) else {
                        throw Uncommon()
                    }
                    event = .updates(try reader.statuses())
                default: throw Uncommon()
                }
            }
            return try needed(event)
        }
    }

    private mutating func statuses() throws(Uncommon) -> [TaskStatus] {
        var part = try message()
        var list: [TaskStatus] = []
        while let number = try part.next(lists: [1]) {
            guard number == 1 else { throw Uncommon() }
            list.append(try part.status())
        }
        return list
    }

    static func frameworkCall(_ bytes: [UInt8]) -> FrameworkCall? {
        value(of: bytes, limit: WireLimits.message) { reader throws(Uncommon) in
            var reader = reader
            var id: FrameworkID?
            var kind: Int32?
            var call: SchedulerCall?
            while let number = try reader.next() {
                switch number {
                case 1: id = try reader.id()
                case 2: kind = try reader.int32()
                case 4:
                    guard kind == Int32(PBSchedulerCall.TypeEnum.accept.rawValue) else {
                        throw Uncommon()
                    }
                    call = try reader.accept()
                case 8:
                    guard kind == Int32(PBSchedulerCall.TypeEnum.acknowledge.rawValue) else {
                        throw Uncommon()
                    }
                    call = try reader.acknowledge()
                default: throw Uncommon()
                }
            }
            return FrameworkCall(frameworkID: id, call: try needed(call))
        }
    }

    private mutating func acknowledge() throws(Uncommon) -> SchedulerCall {
        var part = try message()
        var (agent, task): (AgentID?, TaskID?)
        var uuid: UpdateID?
        while let number = try part.next() {
            switch number {
            case 1: agent = try part.id()
            case 2: task = try part.id()
            case 3: uuid = try part.update()
            default: throw Uncommon()
            }
        }
        return .acknowledge(try needed(task), agent: try needed(agent), uuid: try needed(uuid))
    }

    private mutating func accept() throws(Uncommon) -> SchedulerCall {
        var part = try message()
        var offers: [OfferID] = []
        var operations: [Operation] = []
        var filters: Filters?
        while let number = try part.next(lists: [1, 2]) {
            switch number {
            case 1: offers.append(try part.id())
            case 2: operations.append(try part.launch())
            case 3:
                var one = try part.message()
                var refuse: Duration?
                while let number = try one.next() {
                    guard number == 1 else { throw Uncommon() }
                    refuse = try one.seconds()
                }
                filters = Filters(refuse: refuse)
            default: throw Uncommon()
            }
        }
        return .accept(offers: offers, operations: operations, filters: filters)
    }

    private mutating func launch() throws(Uncommon) -> Operation {
        var part = try message()
        var isLaunch = false
        var tasks: [TaskInfo]?
        while let number = try part.next() {
            switch number {
            case 1:
                isLaunch = try part.int32() == PBOffer.Operation.TypeEnum.launch.rawValue
            case 2:
                var list = try part.message()
                var all: [TaskInfo] = []
                while let number = try list.next(lists: [1]) {
                    guard number == 1 else { throw Uncommon() }
                    all.append(try list.task())
                }
                tasks = all
            default: throw Uncommon()
            }
        }
        guard isLaunch else { throw Uncommon() }
        return Operation(action: .launch(try needed(tasks)))
    }
}
