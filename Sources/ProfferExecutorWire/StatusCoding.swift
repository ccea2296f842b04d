internal import ProfferKernel
internal import ProfferModel

// An executor makes updates and receives none.

extension TaskStatus: FieldWritable {
    func write(to fields: inout FieldWriter) {
        fields.one(1, taskID)
        fields.kind(2, state)
        fields.data(3, data)
        fields.text(4, message)
        fields.one(5, agentID)
        fields.double(6, timestamp.map { Double($0.nanosecondsSince1970) / 1e9 })
        fields.one(7, executorID)
        fields.bool(8, healthy)
        fields.kind(9, source)
        fields.kind(10, reason)
        fields.data(11, uuid?.bytes)
        fields.labels(12, labels)
        fields.one(13, containerStatus)
        if let time = unreachableTime {
            fields.message(14) { $0.int64(1, time.nanosecondsSince1970) }
        }
        fields.one(15, checkResult)
        fields.one(1000, exit)
    }
}

extension CheckResult: FieldWritable {
    func write(to fields: inout FieldWriter) {
        switch self {
        case .command(let code):
            fields.kind(1, ProbeKind.command)
            fields.message(2) { $0.int32(1, code) }
        case .http(let status):
            fields.kind(1, ProbeKind.http)
            fields.message(3) { $0.uint32(1, status) }
        case .tcp(let succeeded):
            fields.kind(1, ProbeKind.tcp)
            fields.message(4) { $0.bool(1, succeeded) }
        }
    }
}

extension ContainerStatus: FieldWritable {
    func write(to fields: inout FieldWriter) {
        if !addresses.isEmpty {
            fields.message(1) { network in
                for address in addresses { network.message(5) { $0.text(2, address) } }
            }
        }
        fields.uint32(3, pid)
        fields.one(4, containerID)
    }
}

extension TaskExit: FieldWritable {
    func write(to fields: inout FieldWriter) {
        fields.int32(1, code)
        fields.int32(2, signal)
        fields.bool(3, isCoreDumped ? true : nil)
        fields.int64(4, cpuTime?.inNanoseconds)
        fields.int64(5, peakMemoryBytes)
        fields.int64(6, wallTime?.inNanoseconds)
        fields.int64(7, memoryLimitBytes)
        fields.bool(8, isOutOfMemory ? true : nil)
    }
}

extension TaskUsage: FieldWritable {
    func write(to fields: inout FieldWriter) {
        fields.one(1, key.framework)
        fields.one(2, key.task)
        fields.int64(3, cpuTime.inNanoseconds)
        fields.int64(4, memoryBytes)
        fields.int32(5, processes)
        fields.int64(6, cpus?.thousandths)
        fields.int64(7, throttledTime?.inNanoseconds)
        fields.int64(8, diskBytes)
        fields.one(9, network)
        fields.one(10, pressure)
    }
}

extension NetworkUsage: FieldWritable {
    func write(to fields: inout FieldWriter) {
        fields.int64(1, receivedBytes)
        fields.int64(2, sentBytes)
    }
}

extension Pressure: FieldWritable {
    func write(to fields: inout FieldWriter) {
        fields.int64(1, cpu?.inNanoseconds)
        fields.int64(2, memory?.inNanoseconds)
        fields.int64(3, io?.inNanoseconds)
    }
}
