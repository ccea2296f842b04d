internal import ProfferKernel
internal import ProfferModel
internal import ProfferSchema

extension PBPressure {
    init(_ pressure: Pressure) {
        self.init()
        if let time = pressure.cpu { cpuNanoseconds = time.inNanoseconds }
        if let time = pressure.memory { memoryNanoseconds = time.inNanoseconds }
        if let time = pressure.io { ioNanoseconds = time.inNanoseconds }
    }

    var model: Pressure {
        Pressure(
            cpu: hasCpuNanoseconds ? .nanoseconds(cpuNanoseconds) : nil,
            memory: hasMemoryNanoseconds ? .nanoseconds(memoryNanoseconds) : nil,
            io: hasIoNanoseconds ? .nanoseconds(ioNanoseconds) : nil)
    }
}

extension PBNetworkUsage {
    init(_ usage: NetworkUsage) {
        self.init()
        receivedBytes = usage.receivedBytes
        sentBytes = usage.sentBytes
    }

    var model: NetworkUsage {
        NetworkUsage(receivedBytes: receivedBytes, sentBytes: sentBytes)
    }
}

extension PBTaskUsage {
    init(_ usage: TaskUsage) {
        self.init()
        key = PBTaskKey(usage.key)
        cpuNanoseconds = usage.cpuTime.inNanoseconds
        memoryBytes = usage.memoryBytes
        processes = Int32(clamping: usage.processes)
        if let cpus = usage.cpus { cpuMillis = cpus.thousandths }
        if let time = usage.throttledTime { throttledNanoseconds = time.inNanoseconds }
        if let bytes = usage.diskBytes { diskBytes = bytes }
        if let used = usage.network { network = PBNetworkUsage(used) }
        if let waited = usage.pressure { pressure = PBPressure(waited) }
    }

    var model: TaskUsage {
        TaskUsage(
            key: key.model, cpuTime: .nanoseconds(cpuNanoseconds), memoryBytes: memoryBytes,
            processes: Int(processes),
            cpus: hasCpuMillis ? Milli(thousandths: cpuMillis) : nil,
            throttledTime: hasThrottledNanoseconds ? .nanoseconds(throttledNanoseconds) : nil,
            diskBytes: hasDiskBytes ? diskBytes : nil,
            network: hasNetwork ? network.model : nil,
            pressure: hasPressure ? pressure.model : nil)
    }
}

extension PBExecutorCall.TaskUsage {
    init(_ usage: TaskUsage) {
        self.init()
        frameworkID = PBFrameworkID(usage.key.framework)
        taskID = PBTaskID(usage.key.task)
        cpuNanoseconds = usage.cpuTime.inNanoseconds
        memoryBytes = usage.memoryBytes
        processes = Int32(clamping: usage.processes)
        if let cpus = usage.cpus { cpuMillis = cpus.thousandths }
        if let time = usage.throttledTime { throttledNanoseconds = time.inNanoseconds }
        if let bytes = usage.diskBytes { diskBytes = bytes }
        if let used = usage.network { network = PBNetworkUsage(used) }
        if let waited = usage.pressure { pressure = PBPressure(waited) }
    }

    var model: TaskUsage {
        TaskUsage(
            key: TaskKey(FrameworkID(frameworkID.value), TaskID(taskID.value)),
            cpuTime: .nanoseconds(cpuNanoseconds), memoryBytes: memoryBytes,
            processes: Int(processes),
            cpus: hasCpuMillis ? Milli(thousandths: cpuMillis) : nil,
            throttledTime: hasThrottledNanoseconds ? .nanoseconds(throttledNanoseconds) : nil,
            diskBytes: hasDiskBytes ? diskBytes : nil,
            network: hasNetwork ? network.model : nil,
            pressure: hasPressure ? pressure.model : nil)
    }
}

extension PBAgentUsage {
    init(_ usage: AgentUsage) {
        self.init()
        cpuNanoseconds = usage.cpuTime.inNanoseconds
        loadMillis = usage.loadMillis
        memoryUsedBytes = usage.memoryUsedBytes
        memoryTotalBytes = usage.memoryTotalBytes
        diskUsedBytes = usage.diskUsedBytes
        diskTotalBytes = usage.diskTotalBytes
        cores = Int32(clamping: usage.cores)
        if let cpus = usage.cpus { cpuMillis = cpus.thousandths }
        if let used = usage.network { network = PBNetworkUsage(used) }
        if let waited = usage.pressure { pressure = PBPressure(waited) }
        tasks = usage.tasks.map { PBTaskUsage($0) }
    }

    var model: AgentUsage {
        AgentUsage(
            cpuTime: .nanoseconds(cpuNanoseconds), loadMillis: loadMillis,
            memoryUsedBytes: memoryUsedBytes, memoryTotalBytes: memoryTotalBytes,
            diskUsedBytes: diskUsedBytes, diskTotalBytes: diskTotalBytes, cores: Int(cores),
            cpus: hasCpuMillis ? Milli(thousandths: cpuMillis) : nil,
            network: hasNetwork ? network.model : nil,
            pressure: hasPressure ? pressure.model : nil, tasks: tasks.map(\.model))
    }
}
