internal import ProfferKernel
internal import ProfferModel
internal import ProfferSchema

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

extension PBHealthCheck {
    init(_ check: ProfferModel.HealthCheck) {
        self.init()
        switch check.kind {
        case .command(let command):
            type = .command
            self.command = PBCommandInfo(command)
        case .http(let scheme, let port, let path):
            type = .http
            http.scheme = scheme
            http.port = UInt32(clamping: port)
            http.path = path
        case .tcp(let port):
            type = .tcp
            tcp.port = UInt32(clamping: port)
        }
        delaySeconds = secondsValue(check.delay)
        intervalSeconds = secondsValue(check.interval)
        timeoutSeconds = secondsValue(check.timeout)
        gracePeriodSeconds = secondsValue(check.gracePeriod)
        consecutiveFailures = UInt32(clamping: check.consecutiveFailures)
    }

    func model() throws(WireError) -> ProfferModel.HealthCheck {
        let kind: CheckKind =
            switch type {
            case .command: .command(command.model)
            case .http:
                .http(
                    scheme: http.hasScheme ? http.scheme : "http", port: Int(http.port),
                    path: http.hasPath ? http.path : "/")
            case .tcp: .tcp(port: Int(tcp.port))
            case .unknown: throw .missing("health_check.type")
            }
        return ProfferModel.HealthCheck(
            kind: kind, delay: try duration(seconds: delaySeconds, "delay_seconds"),
            interval: try duration(seconds: intervalSeconds, "interval_seconds"),
            timeout: try duration(seconds: timeoutSeconds, "timeout_seconds"),
            gracePeriod: try duration(seconds: gracePeriodSeconds, "grace_period_seconds"),
            consecutiveFailures: Int(consecutiveFailures))
    }
}

extension PBCheckInfo {
    init(_ check: ProfferModel.CheckInfo) {
        self.init()
        switch check.kind {
        case .command(let command):
            type = .command
            self.command.command = PBCommandInfo(command)
        case .http(_, let port, let path):
            type = .http
            http.port = UInt32(clamping: port)
            http.path = path
        case .tcp(let port):
            type = .tcp
            tcp.port = UInt32(clamping: port)
        }
        delaySeconds = secondsValue(check.delay)
        intervalSeconds = secondsValue(check.interval)
        timeoutSeconds = secondsValue(check.timeout)
    }

    func model() throws(WireError) -> ProfferModel.CheckInfo {
        let kind: CheckKind =
            switch type {
            case .command: .command(command.command.model)
            case .http:
                .http(
                    scheme: "http", port: Int(http.port), path: http.hasPath ? http.path : "/")
            case .tcp: .tcp(port: Int(tcp.port))
            case .unknown: throw .missing("check.type")
            }
        return ProfferModel.CheckInfo(
            kind: kind, delay: try duration(seconds: delaySeconds, "delay_seconds"),
            interval: try duration(seconds: intervalSeconds, "interval_seconds"),
            timeout: try duration(seconds: timeoutSeconds, "timeout_seconds"))
    }
}

extension PBKillPolicy {
    init(_ policy: ProfferModel.KillPolicy) {
        self.init()
        if let grace = policy.gracePeriod { gracePeriod = PBDurationInfo(grace) }
    }

    var model: ProfferModel.KillPolicy {
        ProfferModel.KillPolicy(gracePeriod: hasGracePeriod ? gracePeriod.model : nil)
    }
}

extension PBExecutorInfo {
    init(_ info: ExecutorInfo) {
        self.init()
        type = info.kind == .default ? .default : .custom
        executorID = PBExecutorID(info.id)
        if let id = info.frameworkID { frameworkID = PBFrameworkID(id) }
        if let command = info.command { self.command = PBCommandInfo(command) }
        if let container = info.container { self.container = PBContainerInfo(container) }
        resources = coded(info.resources)
        if let name = info.name { self.name = name }
        if !info.data.isEmpty { data = Data(info.data) }
        if let discovery = info.discovery { self.discovery = PBDiscoveryInfo(discovery) }
        if let grace = info.shutdownGracePeriod { shutdownGracePeriod = PBDurationInfo(grace) }
        if !info.labels.isEmpty { labels = PBLabels(info.labels) }
    }

    func model() throws(WireError) -> ExecutorInfo {
        ExecutorInfo(
            id: ExecutorID(executorID.value), kind: type == .default ? .default : .custom,
            frameworkID: hasFrameworkID ? FrameworkID(frameworkID.value) : nil,
            command: hasCommand ? command.model : nil,
            container: hasContainer ? container.model : nil,
            resources: try ProfferWire.model(resources), name: hasName ? name : nil,
            data: [UInt8](data), discovery: hasDiscovery ? discovery.model : nil,
            shutdownGracePeriod: hasShutdownGracePeriod ? shutdownGracePeriod.model : nil,
            labels: labels.model)
    }
}

extension PBTaskInfo {
    init(_ info: TaskInfo) {
        self.init()
        name = info.name
        taskID = PBTaskID(info.id)
        agentID = PBAgentID(info.agentID)
        resources = coded(info.resources)
        if let executor = info.executor { self.executor = PBExecutorInfo(executor) }
        if let command = info.command { self.command = PBCommandInfo(command) }
        if let container = info.container { self.container = PBContainerInfo(container) }
        if let check = info.healthCheck { healthCheck = PBHealthCheck(check) }
        if let check = info.check { self.check = PBCheckInfo(check) }
        if let policy = info.killPolicy { killPolicy = PBKillPolicy(policy) }
        if !info.data.isEmpty { data = Data(info.data) }
        if !info.labels.isEmpty { labels = PBLabels(info.labels) }
        if let discovery = info.discovery { self.discovery = PBDiscoveryInfo(discovery) }
        if let limit = info.maxCompletionTime { maxCompletionTime = PBDurationInfo(limit) }
        for limit in info.limits {
            var scalar = PBValue.Scalar()
            scalar.value = limit.amount?.doubleValue ?? .infinity
            limits[limit.name] = scalar
        }
        if let priority = info.priority { self.priority = clamped(priority) }
        if let limit = info.launchTimeout { launchTimeout = PBDurationInfo(limit) }
    }

    func model() throws(WireError) -> TaskInfo {
        var bounds: [ResourceLimit] = []
        for name in limits.keys.sorted() {
            let value = limits[name]?.value ?? 0
            bounds.append(
                ResourceLimit(
                    name: name, amount: value == .infinity ? nil : try milli(value, "limits")))
        }
        return TaskInfo(
            name: name, id: TaskID(taskID.value), agentID: AgentID(agentID.value),
            resources: try ProfferWire.model(resources),
            executor: hasExecutor ? try executor.model() : nil,
            command: hasCommand ? command.model : nil,
            container: hasContainer ? container.model : nil,
            healthCheck: hasHealthCheck ? try healthCheck.model() : nil,
            check: hasCheck ? try check.model() : nil,
            killPolicy: hasKillPolicy ? killPolicy.model : nil, data: [UInt8](data),
            labels: labels.model, discovery: hasDiscovery ? discovery.model : nil,
            maxCompletionTime: hasMaxCompletionTime ? maxCompletionTime.model : nil,
            limits: bounds, priority: hasPriority ? try small(priority, "priority") : nil,
            launchTimeout: hasLaunchTimeout ? launchTimeout.model : nil)
    }
}

func coded(_ state: TaskState) -> PBTaskState {
    PBTaskState(rawValue: state.rawValue) ?? .taskUnknown
}

func model(_ state: PBTaskState) -> TaskState { TaskState(rawValue: state.rawValue) ?? .unknown }

extension PBTaskStatus {
    init(_ status: TaskStatus) {
        self.init()
        taskID = PBTaskID(status.taskID)
        state = coded(status.state)
        if let message = status.message { self.message = message }
        if let source = status.source.flatMap({ PBTaskStatus.Source(rawValue: $0.rawValue) }) {
            self.source = source
        }
        if let reason = status.reason.flatMap({ PBTaskStatus.Reason(rawValue: $0.rawValue) }) {
            self.reason = reason
        }
        if let data = status.data { self.data = Data(data) }
        if let id = status.agentID { agentID = PBAgentID(id) }
        if let id = status.executorID { executorID = PBExecutorID(id) }
        if let time = status.timestamp {
            timestamp = Double(time.nanosecondsSince1970) / 1e9
        }
        if let uuid = status.uuid { self.uuid = Data(uuid.bytes) }
        if let healthy = status.healthy { self.healthy = healthy }
        if let result = status.checkResult { checkStatus = PBCheckStatusInfo(result) }
        if !status.labels.isEmpty { labels = PBLabels(status.labels) }
        if let container = status.containerStatus {
            containerStatus = PBContainerStatus(container)
        }
        if let time = status.unreachableTime { unreachableTime = PBTimeInfo(time) }
        if let exit = status.exit { self.exit = PBTaskExit(exit) }
    }

    func model() throws(WireError) -> TaskStatus {
        var time: WallTime?
        if hasTimestamp {
            guard abs(timestamp) < 9e9 else { throw .outOfRange("timestamp") }
            // A double holds microseconds of our time; finer digits would change at every copy.
            time = WallTime(nanosecondsSince1970: Int64((timestamp * 1e6).rounded()) * 1000)
        }
        return TaskStatus(
            taskID: TaskID(taskID.value), state: ProfferWire.model(state),
            message: hasMessage ? message : nil,
            source: hasSource ? StatusSource(rawValue: source.rawValue) : nil,
            reason: hasReason ? StatusReason(rawValue: reason.rawValue) : nil,
            data: hasData ? [UInt8](data) : nil,
            agentID: hasAgentID ? AgentID(agentID.value) : nil,
            executorID: hasExecutorID ? ExecutorID(executorID.value) : nil, timestamp: time,
            uuid: hasUuid ? try updateID(uuid, "uuid") : nil,
            healthy: hasHealthy ? healthy : nil,
            checkResult: hasCheckStatus ? checkStatus.model : nil, labels: labels.model,
            containerStatus: hasContainerStatus ? containerStatus.model : nil,
            unreachableTime: hasUnreachableTime ? unreachableTime.model : nil,
            exit: hasExit ? exit.model : nil)
    }
}

extension PBCheckStatusInfo {
    init(_ result: CheckResult) {
        self.init()
        switch result {
        case .command(let code):
            type = .command
            command = PBCheckStatusInfo.Command()
            if let code { command.exitCode = Int32(clamping: code) }
        case .http(let status):
            type = .http
            http = PBCheckStatusInfo.Http()
            if let status { http.statusCode = UInt32(clamping: status) }
        case .tcp(let succeeded):
            type = .tcp
            tcp = PBCheckStatusInfo.Tcp()
            if let succeeded { tcp.succeeded = succeeded }
        }
    }

    var model: CheckResult? {
        switch type {
        case .command: .command(exitCode: command.hasExitCode ? Int(command.exitCode) : nil)
        case .http: .http(status: http.hasStatusCode ? Int(http.statusCode) : nil)
        case .tcp: .tcp(succeeded: tcp.hasSucceeded ? tcp.succeeded : nil)
        case .unknown: nil
        }
    }
}

extension PBContainerStatus {
    init(_ status: ContainerStatus) {
        self.init()
        if let id = status.containerID { containerID.value = id.value }
        if !status.addresses.isEmpty {
            var network = PBNetworkInfo()
            network.ipAddresses = status.addresses.map { text in
                var address = PBNetworkInfo.IPAddress()
                address.ipAddress = text
                return address
            }
            networkInfos = [network]
        }
        if let pid = status.pid { executorPid = UInt32(clamping: pid) }
    }

    var model: ContainerStatus {
        ContainerStatus(
            containerID: hasContainerID ? ContainerID(containerID.value) : nil,
            addresses: networkInfos.flatMap { $0.ipAddresses.map(\.ipAddress) },
            pid: hasExecutorPid ? Int(executorPid) : nil)
    }
}

extension PBTaskExit {
    init(_ exit: ProfferModel.TaskExit) {
        self.init()
        if let code = exit.code { self.code = Int32(clamping: code) }
        if let signal = exit.signal { self.signal = Int32(clamping: signal) }
        if exit.isCoreDumped { coreDumped = true }
        if let time = exit.cpuTime { cpuNanoseconds = time.inNanoseconds }
        if let peak = exit.peakMemoryBytes { peakMemoryBytes = peak }
        if let time = exit.wallTime { wallNanoseconds = time.inNanoseconds }
        if let limit = exit.memoryLimitBytes { memoryLimitBytes = limit }
        if exit.isOutOfMemory { outOfMemory = true }
    }

    var model: ProfferModel.TaskExit {
        ProfferModel.TaskExit(
            code: hasCode ? Int(code) : nil, signal: hasSignal ? Int(signal) : nil,
            isCoreDumped: coreDumped,
            cpuTime: hasCpuNanoseconds ? .nanoseconds(cpuNanoseconds) : nil,
            peakMemoryBytes: hasPeakMemoryBytes ? peakMemoryBytes : nil,
            wallTime: hasWallNanoseconds ? .nanoseconds(wallNanoseconds) : nil,
            memoryLimitBytes: hasMemoryLimitBytes ? memoryLimitBytes : nil,
            isOutOfMemory: outOfMemory)
    }
}
