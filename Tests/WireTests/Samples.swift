import ProfferKernel
import ProfferModel
import ProfferSession
import ProfferWire

/// Messages in which every field of the model has a value that is not its default.
enum Samples {
    static let uuid = UpdateID(high: 0x0011_2233_4455_4677, low: 0x8899_AABB_CCDD_EEFF)
    static let time = WallTime(nanosecondsSince1970: 1_700_000_000_123_456_000)

    static let volume = Resource(
        "disk", .scalar(Milli(64)),
        reservations: [
            Reservation(kind: .static, role: "eng"),
            Reservation(role: "eng/dev", principal: "p", labels: [Label("k", "v"), Label("x")]),
        ],
        disk: DiskInfo(
            persistenceID: "v1", principal: "p", containerPath: "data",
            source: .mount(root: "/mnt/a")), isShared: true)

    static let resources = Resources([
        Resource("cpus", .scalar(Milli(thousandths: 1500))),
        Resource("mem", .scalar(Milli(512)), isRevocable: true),
        Resource("ports", .ranges(IntervalSet([31_000...31_005, 31_010...31_010]))),
        Resource("models", .set(["a", "b"])),
        Resource("disk", .scalar(Milli(10)), disk: DiskInfo(source: .path(root: "/p"))), volume,
    ])

    static let command = CommandInfo(
        value: "run \"$X\"", shell: false, arguments: ["run", "fast"],
        environment: [
            EnvironmentVariable(name: "X", value: "1"),
            EnvironmentVariable(
                name: "S", value: "",
                secret: .reference(SecretReference(name: "db", key: "password"))),
            EnvironmentVariable(name: "V", value: "", secret: .value),
        ], user: "nobody",
        uris: [
            FetchURI(
                value: "https://example.org/a.tgz", isExecutable: true, extract: false,
                cache: true, outputFile: "a")
        ])

    static let secrets = [
        SecretValue(
            reference: SecretReference(name: "db", key: "password"), bytes: [0, 0xFF, 0x0A]),
        SecretValue(reference: SecretReference(name: "key"), bytes: []),
    ]

    static let container = ContainerInfo(
        kind: .docker, image: "alpine:3", hostname: "h",
        volumes: [
            Volume(containerPath: "/c", hostPath: "/h", isReadOnly: true),
            Volume(containerPath: "/w"),
            Volume(containerPath: "/s", sandboxPath: .init("d", isShared: true)),
            Volume(containerPath: "/t", temporaryBytes: 4096),
            Volume(
                containerPath: "/p", isReadOnly: true,
                secret: .reference(SecretReference(name: "key"))),
            Volume(
                containerPath: "/e",
                external: .init(driver: "nfs", name: "nas:/x", options: [Label("o", "ro")])),
        ], network: .named("weave"),
        portMappings: [PortMapping(hostPort: 31_000, containerPort: 80, protocolName: "tcp")],
        isPrivileged: true, forcePull: true,
        limits: [
            ProcessLimit(.descriptors, soft: 64, hard: 128), ProcessLimit(.core, hard: 0),
        ], capabilities: Capability.all)

    static let discovery = DiscoveryInfo(
        visibility: .external, name: "web", environment: "prod", location: "here", version: "2",
        ports: [
            DiscoveryPort(number: 80, name: "http", protocolName: "tcp", labels: [Label("a", "b")])
        ], labels: [Label("l", "m")])

    static let framework = FrameworkInfo(
        user: "u", name: "n", id: "f", failoverTimeout: .milliseconds(61_300), checkpoint: false,
        roles: ["eng", "ops"], hostname: "h", principal: "p", webUIURL: "http://h/",
        capabilities: [.partitionAware, .multiRole, .regionAware, .gpuResources],
        labels: [Label("k", "v")],
        minimumOffers: [
            MinimumOffer(role: "eng", quantities: [Resources(cpus: Milli(1)).quantities])
        ], priority: -3)

    static let agent = AgentInfo(
        hostname: "node", port: 5099, resources: resources,
        attributes: [
            Attribute(name: "rack", value: .text("r1")),
            Attribute(name: "weight", value: .scalar(Milli(thousandths: 2500))),
            Attribute(name: "slots", value: .ranges(IntervalSet([1...4]))),
            Attribute(name: "zones", value: .set(["a", "b"])),
        ], id: "a", domain: FaultDomain(region: "r", zone: "z"),
        capabilities: [.multiRole, .resizeVolume])

    static let executor = ExecutorInfo(
        id: "e", kind: .default, frameworkID: "f", command: command, container: container,
        resources: Resources(cpus: Milli(1)), name: "n", data: [1, 2], discovery: discovery,
        shutdownGracePeriod: .seconds(3), labels: [Label("k")])

    static let task = TaskInfo(
        name: "web", id: "t", agentID: "a", resources: resources, executor: executor,
        command: command, container: container,
        healthCheck: HealthCheck(
            kind: .http(scheme: "https", port: 8080, path: "/ok"), delay: .milliseconds(1500),
            interval: .seconds(2), timeout: .seconds(3), gracePeriod: .seconds(4),
            consecutiveFailures: 5),
        check: CheckInfo(
            kind: .command(command), delay: .seconds(1), interval: .seconds(2),
            timeout: .seconds(3)), killPolicy: KillPolicy(gracePeriod: .seconds(9)),
        data: [0, 255], labels: [Label("k", "v")], discovery: discovery,
        maxCompletionTime: .seconds(60),
        limits: [
            ResourceLimit(name: "cpus", amount: nil), ResourceLimit(name: "mem", amount: Milli(64)),
        ], priority: 7, launchTimeout: .milliseconds(61_500))

    static let status = TaskStatus(
        taskID: "t", state: .failed, message: "m", source: .executor,
        reason: .containerLimitationMemory, data: [9], agentID: "a", executorID: "e",
        timestamp: time, uuid: uuid, healthy: false, checkResult: .http(status: 503),
        labels: [Label("k", "v")],
        containerStatus: ContainerStatus(
            containerID: "c", addresses: ["10.0.0.1", "10.0.0.2"], pid: 42),
        unreachableTime: time,
        exit: TaskExit(
            code: 1, signal: 9, isCoreDumped: true, cpuTime: .milliseconds(12),
            peakMemoryBytes: 1 << 33, wallTime: .seconds(3), memoryLimitBytes: 1 << 34,
            isOutOfMemory: true))

    static let plainTask = TaskInfo(
        name: "plain", id: "p", agentID: "a", resources: Resources(cpus: Milli(1), mem: Milli(64)),
        command: CommandInfo(value: "true"), labels: [Label("k", "größer"), Label("l")])

    static let plainStatus = TaskStatus(
        taskID: "p", state: .running, source: .executor, agentID: "a", executorID: "e",
        timestamp: time, uuid: uuid)

    static let offer = Offer(
        id: "o", frameworkID: "f", agentID: "a", hostname: "node", agentPort: 5099,
        domain: FaultDomain(region: "r", zone: "z"), resources: resources,
        attributes: agent.attributes, executorIDs: ["e"],
        unavailability: Unavailability(start: time, duration: .seconds(60)), role: "eng",
        demandID: "workers", instances: 4, gang: GangID(.max))

    static let subscription = Subscription(
        framework: framework, suppressedRoles: ["ops"],
        constraints: [
            OfferConstraint(
                role: "eng",
                groups: [
                    [
                        AttributeConstraint(selector: .hostname, predicate: .textEquals("h")),
                        AttributeConstraint(selector: .region, predicate: .textNotEquals("r")),
                        AttributeConstraint(selector: .zone, predicate: .exists),
                    ],
                    [
                        AttributeConstraint(
                            selector: .attribute("rack"), predicate: .textMatches("r.*")),
                        AttributeConstraint(
                            selector: .attribute("gpu"), predicate: .textNotMatches("x")),
                        AttributeConstraint(selector: .attribute("ssd"), predicate: .notExists),
                    ],
                ])
        ])

    /// By the file that keeps their bytes.
    static let all: [(file: String, samples: [Sample])] = [
        ("scheduler-calls", schedulerCalls), ("scheduler-events", schedulerEvents),
        ("executor-messages", executorMessages), ("agent-messages", agentMessages),
        ("master-messages", masterMessages), ("envelopes", envelopes), ("records", records),
        ("operator-calls", operatorCalls), ("operator-answers", operatorAnswers),
        ("operator-events", operatorEvents),
    ]

    static let flat = all.flatMap(\.samples)
}

extension Samples {
    private static let operations: [Operation] = [
        Operation(action: .launch([task])),
        Operation(action: .launchGroup(executor: executor, tasks: [task])),
        Operation(
            id: "op", action: .reserve(Resources([volume]), source: Resources(cpus: Milli(1)))),
        Operation(action: .unreserve(Resources(cpus: Milli(1)))),
        Operation(action: .create(Resources([volume]))),
        Operation(action: .destroy(Resources([volume]))),
        Operation(action: .grow(volume: volume, addition: volume)),
        Operation(action: .shrink(volume: volume, subtraction: Milli(3))),
        Operation(action: .launch([portsTask, urgentTask])),
    ]

    static let urgentTask = TaskInfo(
        name: "n", id: "t", agentID: "a", resources: Resources(cpus: Milli(1)),
        command: CommandInfo(value: "true"), priority: -7)

    static let portsTask = TaskInfo(
        name: "n", id: "t", agentID: "a",
        resources: Resources([
            Resource("cpus", .scalar(Milli(1))),
            Resource("ports", .ranges(IntervalSet([31_000...31_005, 31_010...31_010]))),
            Resource("ids", .ranges(IntervalSet([0...(.max)]))),
            Resource("none", .ranges(IntervalSet())),
        ]), command: CommandInfo(value: "true"), priority: 1_000_000)

    static let schedulerCalls: [Sample] =
        demandCalls + [
            .call("subscribe first", .subscribe(subscription), from: nil),
            .call("subscribe", .subscribe(subscription)),
            .call(
                "subscribe plain",
                .subscribe(
                    Subscription(
                        framework: FrameworkInfo(name: "n", failoverTimeout: .zero, roles: ["*"])))
            ),
            .call(
                "subscribe with demand",
                .subscribe(
                    Subscription(
                        framework: FrameworkInfo(name: "n", roles: ["eng"]),
                        demands: [demand, plainDemand]))),
            .call(
                "subscribe with demand to come",
                .subscribe(Subscription(framework: FrameworkInfo(name: "n"), demands: []))),
            .call("teardown", .teardown),
            .call("accept nothing", .accept(offers: ["o"], operations: [], filters: nil)),
            .call(
                "decline",
                .decline(offers: ["o", "p"], filters: Filters(refuse: .milliseconds(2500)))),
            .call("decline without filters", .decline(offers: ["o"], filters: nil)),
            .call("accept inverse offers", .acceptInverseOffers(["i"], filters: Filters())),
            .call("decline inverse offers", .declineInverseOffers(["i"], filters: nil)),
            .call("revive", .revive(roles: ["eng"])), .call("revive all", .revive(roles: [])),
            .call("suppress", .suppress(roles: ["eng", "ops"])),
            .call(
                "kill", .kill("t", agent: "a", policy: KillPolicy(gracePeriod: .seconds(1)))),
            .call("kill anywhere", .kill("t", agent: nil, policy: nil)),
            .call("shutdown", .shutdown("e", agent: "a")),
            .call("acknowledge", .acknowledge("t", agent: "a", uuid: uuid)),
            .call(
                "reconcile",
                .reconcile([
                    ReconcileTask(taskID: "t", agentID: "a"), ReconcileTask(taskID: "u"),
                ])), .call("reconcile all", .reconcile([])),
            .call("message", .message(agent: "a", executor: "e", data: [0, 1, 2])),
            .call(
                "request",
                .request([
                    ResourceRequest(agentID: "a", resources: resources),
                    ResourceRequest(resources: Resources(cpus: Milli(1))),
                ])),
            .call(
                "acknowledge operation", .acknowledgeOperation("op", agent: "a", uuid: uuid)),
            .call(
                "reconcile operations",
                .reconcileOperations([
                    ReconcileOperation(operationID: "op", agentID: "a"),
                    ReconcileOperation(operationID: "oq"),
                ])), .call("update framework", .updateFramework(subscription)),
        ]
        + operations.enumerated().map { index, operation in
            .call(
                "accept \(index)",
                .accept(
                    offers: ["o", "p"], operations: [operation],
                    filters: Filters(refuse: .seconds(5))))
        }

    private static let bareStatuses: [TaskStatus] =
        TaskState.allCases.map { TaskStatus(taskID: "t", state: $0) }
        + [
            .command(exitCode: 3), .command(exitCode: nil), .http(status: nil),
            .tcp(succeeded: true), .tcp(succeeded: nil),
        ].map { TaskStatus(taskID: "t", state: .running, checkResult: $0) }

    static let schedulerEvents: [Sample] =
        claimEvents + [
            .event(
                "subscribed",
                .subscribed(
                    "f", heartbeatInterval: .seconds(15),
                    master: MasterInfo(
                        id: "m", hostname: "h", port: 5055, version: "1", clusterName: "c",
                        domain: FaultDomain(region: "r", zone: "z")))),
            .event("offers", .offers([offer])), .event("no offers", .offers([])),
            .event(
                "inverse offers",
                .inverseOffers([
                    InverseOffer(
                        id: "i", frameworkID: "f", agentID: "a",
                        unavailability: Unavailability(start: time), resources: resources),
                    InverseOffer(
                        id: "j", frameworkID: "f",
                        unavailability: Unavailability(start: time, duration: .seconds(1)),
                        tasks: ["t", "u"]),
                ])), .event("rescind", .rescind("o")),
            .event("rescind inverse offer", .rescindInverseOffer("i")),
            .event("update", .update(status)),
            .event("updates", .updates([status, TaskStatus(taskID: "u", state: .unreachable)])),
            .event("common updates", .updates([plainStatus, plainStatus])),
            .event("no updates", .updates([])),
            .event(
                "update operation",
                .updateOperation(
                    OperationStatus(
                        operationID: "op", state: .goneByOperator, message: "m",
                        convertedResources: resources, uuid: uuid, agentID: "a"))),
            .event("message", .message(agent: "a", executor: "e", data: [1])),
            .event("failure", .failure(agent: "a", executor: "e", status: -9)),
            .event("failure of an agent", .failure(agent: "a", executor: nil, status: nil)),
            .event("update framework answer", .updateFrameworkAnswer(problem: nil)),
            .event("update framework refused", .updateFrameworkAnswer(problem: "a role")),
            .event("error", .error("too bad")), .event("heartbeat", .heartbeat),
        ]
        + bareStatuses.enumerated().map { .event("update \($0)", .update($1)) }
}

extension Samples {
    static let executorMessages: [Sample] = [
        .executorCall(
            "subscribe",
            .subscribe(unacknowledgedTasks: [task], unacknowledgedUpdates: [status])),
        .executorCall("update", .update(status)), .executorCall("message", .message([1, 2])),
        .executorCall("heartbeat", .heartbeat), .executorCall("usage", .usage([usage])),
        .executorEvent(
            "subscribed",
            .subscribed(executor: executor, framework: framework, agent: agent, container: "c")),
        .executorEvent("launch", .launch(task, sandbox: "/s", secrets: secrets)),
        .executorEvent(
            "launch group", .launchGroup([task], sandboxes: ["/s"], secrets: secrets)),
        .executorEvent("kill", .kill("t", policy: KillPolicy(gracePeriod: .seconds(1)))),
        .executorEvent("kill plain", .kill("t", policy: nil)),
        .executorEvent("acknowledged", .acknowledged("t", uuid: uuid)),
        .executorEvent("message to executor", .message([3])),
        .executorEvent("shutdown", .shutdown), .executorEvent("error", .error("bad")),
        .executorEvent("heartbeat of agent", .heartbeat),
    ]

    static let revocable = Resources([
        Resource("cpus", .scalar(Milli(2)), isRevocable: true)
    ])

    static let usage = TaskUsage(
        key: TaskKey("f", "t"), cpuTime: .milliseconds(1234), memoryBytes: 1 << 34, processes: 7,
        cpus: Milli(thousandths: 1500), throttledTime: .seconds(2), diskBytes: 5,
        network: NetworkUsage(receivedBytes: 8, sentBytes: 9),
        pressure: Pressure(cpu: .seconds(1), memory: nil, io: .zero))

    static let agentMessages: [Sample] = [
        .toMaster("register", .register(agent, version: "1", bootID: "b")),
        .toMaster(
            "register of an agent that can do everything",
            .register(AgentInfo(hostname: "node"), version: "1", bootID: "b")),
        .toMaster(
            "register of an agent that can do nothing",
            .register(
                AgentInfo(hostname: "node", capabilities: []), version: "1", bootID: "b")),
        .toMaster(
            "reregister",
            .reregister(
                Reregistration(
                    info: agent,
                    tasks: [
                        AgentTask(
                            info: task, frameworkID: "f", role: "eng", executorID: "e",
                            state: .killing, lastForwarded: status)
                    ], executors: [AgentExecutor(info: executor, frameworkID: "f", role: "eng")],
                    frameworks: [framework]), version: "1", bootID: "b")),
        .toMaster(
            "reregister with a group",
            .reregister(
                Reregistration(
                    info: agent,
                    tasks: [TaskGrouping.single, .group("t")].map { grouping in
                        AgentTask(
                            info: plainTask, frameworkID: "f", role: "eng", executorID: "e",
                            state: .running, lastForwarded: plainStatus, grouping: grouping)
                    }, executors: [AgentExecutor(info: executor, frameworkID: "f", role: "eng")],
                    frameworks: [
                        FrameworkInfo(name: "p", id: "f"), FrameworkInfo(name: "q", id: "g"),
                    ]), version: "1", bootID: "b")),
        .toMaster("update agent", .updateAgent(agent)),
        .toMaster(
            "update",
            .update(
                "f", status, position: UpdatePosition(latestState: .killed, latestUUID: uuid))),
        .toMaster("executor exited", .executorExited(ExecutorKey("f", "e"), status: 9)),
        .toMaster("message", .message(ExecutorKey("f", "e"), data: [1])),
        .toMaster(
            "usage",
            .usage(
                AgentUsage(
                    cpuTime: .seconds(5), loadMillis: 1500, memoryUsedBytes: 1,
                    memoryTotalBytes: 2, diskUsedBytes: 3, diskTotalBytes: 4, cores: 8,
                    cpus: Milli(3), network: NetworkUsage(receivedBytes: 1, sentBytes: 2),
                    pressure: Pressure(memory: .seconds(3)), tasks: [usage]))),
        .toMaster("oversubscribed", .oversubscribed(revocable)),
        .toMaster("oversubscribed no more", .oversubscribed(Resources())),
        .toMaster("pong", .pong(number: .max)), .toMaster("unregister", .unregister),
    ]

    static let masterMessages: [Sample] = [
        .toAgent("registered", .registered("a", pingTimeout: .seconds(75))),
        .toAgent(
            "reregistered",
            .reregistered("a", pingTimeout: .seconds(75), reconcile: [TaskKey("f", "t")])),
        .toAgent("reregistered plain", .reregistered("a", pingTimeout: .zero, reconcile: [])),
        .toAgent("refused", .refused("no")), .toAgent("shutdown", .shutdown("gone")),
        .toAgent("ping", .ping(number: 7, isConnected: true)),
        .toAgent(
            "run",
            .run(
                RunTask(
                    framework: framework, executor: executor, tasks: [task], isGroup: true,
                    role: "eng", updateWindow: 16))),
        .toAgent(
            "kill", .kill(TaskKey("f", "t"), policy: KillPolicy(gracePeriod: .seconds(1)))),
        .toAgent("acknowledge", .acknowledge(TaskKey("f", "t"), uuid: uuid)),
        .toAgent("shutdown executor", .shutdownExecutor(ExecutorKey("f", "e"))),
        .toAgent("shutdown framework", .shutdownFramework("f")),
        .toAgent("update framework", .updateFramework(framework)),
        .toAgent("message", .message(ExecutorKey("f", "e"), data: [1])),
        .toAgent("update resources", .updateResources(resources)),
    ]

    static let envelopes: [Sample] = [
        .envelope(
            "open", Envelope(clusterID: "c", epoch: 3, session: 7, content: .open(credential: [5]))
        ), .envelope("open plain", Envelope(session: 7, content: .open(credential: []))),
        .envelope(
            "accepted",
            Envelope(
                version: 2, clusterID: "c", epoch: .max, session: .max, acknowledged: 4,
                content: .accepted(leaseMilliseconds: 10_000))),
        .envelope("closed", Envelope(session: 7, content: .closed(reason: "bye"))),
        .envelope(
            "message",
            Envelope(session: 7, sequence: 9, acknowledged: 8, content: .message([1, 2, 3]))),
        .envelope("empty message", Envelope(session: 7, sequence: 1, content: .message([]))),
        .envelope("keep alive", Envelope(session: 7, acknowledged: 8, content: .keepAlive)),
    ]

    static let records: [Sample] = [
        .record(
            "agent",
            MasterRecord.agent(
                "a",
                AgentEntry(
                    info: agent, admission: .unreachable(since: time), resources: resources,
                    isDeactivated: true, publicKey: "k"))),
        .record(
            "agent that was drained",
            MasterRecord.agent(
                "a",
                AgentEntry(
                    info: agent,
                    drain: DrainOrder(
                        maxGrace: .seconds(7), marksGone: true, isDrained: true)))),
        .record(
            "agent that is drained",
            MasterRecord.agent("a", AgentEntry(info: agent, drain: DrainOrder()))),
        .record(
            "maintenance",
            MasterRecord.maintenance(
                MaintenanceRecord(windows: [maintenanceWindow], down: [machine]))),
        .record(
            "agent gone",
            MasterRecord.agent("a", AgentEntry(info: agent, admission: .gone(since: time)))),
        .record(
            "agent without resources",
            MasterRecord.agent("a", AgentEntry(info: agent, resources: Resources()))),
        .record(
            "framework of master",
            MasterRecord.framework(
                "f",
                FrameworkEntry(
                    info: framework, disconnectedSince: time, isRemoved: true, publicKey: "k"))),
        .record(
            "framework without a key",
            MasterRecord.framework("f", FrameworkEntry(info: framework))),
        .record("weight", MasterRecord.weight(role: "eng", 2500)),
        .record("quota", MasterRecord.quota(role: "eng", quota)),
        .record("quota of nothing", MasterRecord.quota(role: "eng", Quota(role: "eng"))),
        .record("epoch", MasterRecord.epoch(12)),
        .record("whitelist", MasterRecord.whitelist(["node-1", "node-2"])),
        .record("whitelist of nothing", MasterRecord.whitelist([])),
        .record("priority limit", MasterRecord.priorityLimit(role: "eng", -5)),
        .record("identity", AgentRecord.identity(agent, bootID: "b")),
        .record("framework of agent", AgentRecord.framework("f", framework)),
        .record(
            "executor",
            AgentRecord.executor(
                ExecutorKey("f", "e"),
                ExecutorCheckpoint(
                    info: executor, role: "eng", containerID: "c", directory: "/d", token: "k",
                    pid: 42, startTicks: .max))),
        .record(
            "task",
            AgentRecord.task(
                TaskKey("f", "t"),
                TaskCheckpoint(
                    info: task, role: "eng", executorID: "e", sandbox: "/s", state: .running,
                    groupID: "g", updateWindow: 4, lastAcknowledged: uuid))),
        .record(
            "update", AgentRecord.update(TaskKey("f", "t"), sequence: .max, status)),
    ]
}
