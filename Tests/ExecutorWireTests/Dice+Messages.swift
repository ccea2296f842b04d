import ProfferKernel
import ProfferModel
import ProfferSession

extension Dice {
    mutating func task() -> TaskInfo {
        TaskInfo(
            name: text(), id: id(), agentID: id(), resources: resources(),
            executor: maybe { $0.executor() }, command: maybe { $0.command() },
            container: maybe { $0.container() },
            healthCheck: maybe { dice in
                HealthCheck(
                    kind: dice.check(), delay: dice.seconds(), interval: dice.seconds(),
                    timeout: dice.seconds(), gracePeriod: dice.seconds(),
                    consecutiveFailures: dice.port())
            },
            check: maybe { dice in
                CheckInfo(
                    kind: dice.check(), delay: dice.seconds(), interval: dice.seconds(),
                    timeout: dice.seconds())
            }, killPolicy: maybe { $0.killPolicy() }, data: data(), labels: list { $0.label() },
            discovery: maybe { $0.discovery() }, maxCompletionTime: maybe { $0.duration() },
            limits: list { dice in
                ResourceLimit(name: dice.text(), amount: dice.maybe { $0.milli() })
            }, priority: maybe { $0.int() }, launchTimeout: maybe { $0.duration() })
    }

    mutating func killPolicy() -> KillPolicy { KillPolicy(gracePeriod: maybe { $0.duration() }) }

    mutating func status() -> TaskStatus {
        TaskStatus(
            taskID: id(), state: pick(TaskState.allCases), message: maybe { $0.text() },
            source: maybe { $0.pick(StatusSource.allCases) },
            reason: maybe { $0.pick(StatusReason.allCases) }, data: maybe { $0.data() },
            agentID: maybe { $0.id() }, executorID: maybe { $0.id() },
            timestamp: maybe { $0.time() }, uuid: maybe { $0.uuid() },
            healthy: maybe { $0.bool() },
            checkResult: maybe { dice in
                dice.pick([
                    .command(exitCode: dice.maybe { $0.int() }),
                    .http(status: dice.maybe { $0.port() }),
                    .tcp(succeeded: dice.maybe { $0.bool() }),
                ])
            }, labels: list { $0.label() },
            containerStatus: maybe { dice in
                ContainerStatus(
                    containerID: dice.maybe { $0.id() }, addresses: dice.list { $0.text() },
                    pid: dice.maybe { $0.int() })
            }, unreachableTime: maybe { $0.time() },
            exit: maybe { dice in
                TaskExit(
                    code: dice.maybe { $0.int() }, signal: dice.maybe { $0.int() },
                    isCoreDumped: dice.bool(), cpuTime: dice.maybe { $0.duration() },
                    peakMemoryBytes: dice.maybe { $0.int64() },
                    wallTime: dice.maybe { $0.duration() },
                    memoryLimitBytes: dice.maybe { $0.int64() }, isOutOfMemory: dice.bool())
            })
    }

    mutating func event() -> ExecutorEvent {
        switch number(0...11) {
        case 0, 1:
            .subscribed(
                executor: executor(), framework: framework(), agent: agent(),
                container: maybe { $0.id() })
        case 2, 3: .launch(task(), sandbox: text(), secrets: secrets())
        case 4:
            .launchGroup(
                list { $0.task() }, sandboxes: list { $0.text() }, secrets: secrets())
        case 5: .kill(id(), policy: maybe { $0.killPolicy() })
        case 6: .acknowledged(id(), uuid: uuid())
        case 7: .message(data())
        case 8: .error(text())
        case 9: .shutdown
        default: .heartbeat
        }
    }

    mutating func message() -> ExecutorMessage {
        let call: ExecutorCall =
            switch number(0...6) {
            case 0, 1:
                .subscribe(
                    unacknowledgedTasks: list { $0.task() },
                    unacknowledgedUpdates: list { $0.status() })
            case 2, 3: .update(status())
            case 4: .message(data())
            case 5:
                .usage(
                    list { dice in
                        TaskUsage(
                            key: TaskKey(dice.id(), dice.id()), cpuTime: dice.duration(),
                            memoryBytes: dice.int64(), processes: dice.int(),
                            cpus: dice.maybe { Milli(thousandths: $0.int64()) },
                            throttledTime: dice.maybe { $0.duration() },
                            diskBytes: dice.maybe { $0.int64() },
                            network: dice.maybe {
                                NetworkUsage(receivedBytes: $0.int64(), sentBytes: $0.int64())
                            },
                            pressure: dice.maybe { dice in
                                Pressure(
                                    cpu: dice.maybe { $0.duration() },
                                    memory: dice.maybe { $0.duration() },
                                    io: dice.maybe { $0.duration() })
                            })
                    })
            default: .heartbeat
            }
        return ExecutorMessage(frameworkID: id(), executorID: id(), call: call)
    }

    mutating func envelope() -> Envelope {
        let content: Envelope.Content =
            switch number(0...4) {
            case 0: .open(credential: data())
            case 1: .accepted(leaseMilliseconds: word())
            case 2: .closed(reason: text() + text() + text() + text())
            case 3: .message(data())
            default: .keepAlive
            }
        return Envelope(
            version: UInt32(truncatingIfNeeded: word()), clusterID: String(text().prefix(60)),
            epoch: word(), session: word(), sequence: word(), acknowledged: word(),
            content: content)
    }

    /// The same bytes with something wrong: cut off, a bit flipped, a byte replaced, left out or
    /// doubled, or a piece of them moved.
    mutating func damaged(_ bytes: [UInt8]) -> [UInt8] {
        guard !bytes.isEmpty else { return data() }
        var result = bytes
        let place = number(0...bytes.count - 1)
        switch number(0...5) {
        case 0: result.removeSubrange(place...)
        case 1: result[place] ^= 1 << UInt8(number(0...7))
        case 2: result[place] = UInt8(truncatingIfNeeded: word())
        case 3: result.remove(at: place)
        case 4: result.insert(bytes[place], at: place)
        default:
            let end = number(place...bytes.count - 1)
            result.insert(contentsOf: bytes[place...end], at: number(0...bytes.count))
        }
        return result
    }
}
