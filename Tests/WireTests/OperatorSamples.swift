import ProfferKernel
import ProfferModel

extension Samples {
    static let operatorCalls: [Sample] =
        quotaCalls + [
            .operatorCall("agents", .agents), .operatorCall("frameworks", .frameworks),
            .operatorCall("roles", .roles), .operatorCall("offers", .offers),
            .operatorCall("tasks", .tasks(nil)), .operatorCall("tasks of one", .tasks("f")),
            .operatorCall("summary", .summary), .operatorCall("kill", .kill(TaskKey("f", "t"))),
            .operatorCall("teardown", .teardown("f")),
            .operatorCall("weight", .setWeight(role: "eng", thousandths: 2500)),
            .operatorCall("inverse offers", .inverseOffers),
            .operatorCall("reserve", .reserve("a", Resources([volume]), source: resources)),
            .operatorCall("unreserve", .unreserve("a", Resources([volume]))),
            .operatorCall("whitelist", .whitelist),
            .operatorCall("set whitelist", .setWhitelist(["node-1", "node-2"])),
            .operatorCall("set whitelist to nobody", .setWhitelist([])),
            .operatorCall("set whitelist to all", .setWhitelist(nil)),
            .operatorCall("priority limit", .setPriorityLimit(role: "eng", -5)),
            .operatorCall("no priority limit", .setPriorityLimit(role: "eng", nil)),
            .operatorCall("gone", .markAgentGone("a")),
            .operatorCall(
                "drain", .drainAgent("a", maxGrace: .milliseconds(2500), marksGone: true)),
            .operatorCall("drain plain", .drainAgent("a", maxGrace: nil, marksGone: false)),
            .operatorCall("deactivate", .deactivateAgent("a")),
            .operatorCall("reactivate", .reactivateAgent("a")),
            .operatorCall("maintenance status", .maintenanceStatus),
            .operatorCall("maintenance schedule", .maintenanceSchedule),
            .operatorCall("plan", .setMaintenanceSchedule([maintenanceWindow])),
            .operatorCall("plan nothing", .setMaintenanceSchedule([])),
            .operatorCall("down", .startMaintenance([machine])),
            .operatorCall("up", .stopMaintenance([machine])),
            .operatorCall("rebind agent", .rebindAgent("a", publicKey: "k")),
            .operatorCall("rebind agent to anybody", .rebindAgent("a", publicKey: nil)),
            .operatorCall("rebind framework", .rebindFramework("f", publicKey: "k")),
            .operatorCall("rebind framework to anybody", .rebindFramework("f", publicKey: nil)),
        ]

    private static let inverseOffers: [InverseOfferSummary] =
        [nil, .accepted(at: time), .declined(at: time)].map { response in
            InverseOfferSummary(
                inverseOffer: InverseOffer(
                    id: "i", frameworkID: "f", agentID: "a",
                    unavailability: Unavailability(start: time), resources: resources,
                    tasks: ["t", "u"]), age: .milliseconds(1500), reason: "room is needed",
                response: response)
        }

    static let machine = MachineID(hostname: "node", ip: "10.0.0.1")
    static let maintenanceWindow = MaintenanceWindow(
        machines: [machine, MachineID(hostname: "other")],
        unavailability: Unavailability(start: time, duration: .seconds(3600)))

    private static let maintenance = MaintenanceStatus(
        draining: [
            DrainingMachine(
                id: machine, unavailability: Unavailability(start: time),
                requests: [InverseOfferResponse.accepted(at: time), .declined(at: time), nil].map {
                    InverseOfferSummary(
                        inverseOffer: InverseOffer(
                            id: "i", frameworkID: "f", agentID: "a",
                            unavailability: Unavailability(start: time)),
                        age: .seconds(1), reason: "maintenance", response: $0)
                })
        ], down: [MachineID(hostname: "third")])

    private static let agents: [AgentSummary] =
        [
            AgentSummary(
                info: agent, state: .active, total: resources,
                allocated: Resources(cpus: Milli(1)), offered: Resources(mem: Milli(2)),
                version: "1.2", registeredAt: time, tasks: 3,
                usage: AgentUsage(
                    cpuTime: .seconds(5), loadMillis: 1500, memoryUsedBytes: 1,
                    memoryTotalBytes: 2, diskUsedBytes: 3, diskTotalBytes: 4, tasks: [usage]))
        ] + AgentState.allCases.map { AgentSummary(info: agent, state: $0) }

    private static let frameworks: [FrameworkSummary] = [
        FrameworkSummary(
            info: framework, isConnected: true, isActive: true, subscribedAt: time,
            suppressedRoles: ["ops"], allocated: resources, offered: Resources(cpus: Milli(1)),
            tasks: 3, offers: 2, shareMillionths: 250_000),
        FrameworkSummary(info: framework, isConnected: false, isActive: false),
        FrameworkSummary(info: framework, isConnected: false, isActive: false, isRemoved: true),
    ]

    private static let roles: [RoleSummary] = [
        RoleSummary(
            name: "eng", weightThousandths: 2500, frameworks: ["f", "g"], allocated: resources,
            shareMillionths: 125_000, priorityLimit: 0), RoleSummary(name: "*"),
    ]

    private static let tasks: [TaskSummary] =
        [
            TaskSummary(
                key: TaskKey("f", "t"), name: "web", role: "eng", agentID: "a",
                hostname: "node", executorID: "e", state: .running, resources: resources,
                labels: [Label("k", "v")], discovery: discovery, lastStatus: status,
                startedAt: time),
            TaskSummary(key: TaskKey("f", "u"), name: "", role: "*", state: .staging),
        ]
        + [TaskState.unreachable, .failed, .gone].map {
            TaskSummary(key: TaskKey("f", TaskID("\($0)")), name: "n", role: "eng", state: $0)
        }

    static let operatorAnswers: [Sample] =
        quotaAnswers + [
            .answer(
                "agent that is left",
                .agents([
                    AgentSummary(
                        info: agent, state: .deactivated,
                        drain: DrainOrder(maxGrace: .seconds(1), marksGone: true),
                        unavailability: Unavailability(start: time, duration: .seconds(1)))
                ])),
            .answer("maintenance status", .maintenanceStatus(maintenance)),
            .answer("no maintenance", .maintenanceStatus(MaintenanceStatus())),
            .answer("maintenance schedule", .maintenanceSchedule([maintenanceWindow])),
            .answer("agents", .agents(agents)), .answer("no agents", .agents([])),
            .answer("frameworks", .frameworks(frameworks)),
            .answer("no frameworks", .frameworks([])), .answer("roles", .roles(roles)),
            .answer("no roles", .roles([])),
            .answer("offers", .offers([OfferSummary(offer: offer, age: .milliseconds(1500))])),
            .answer("no offers", .offers([])), .answer("tasks", .tasks(tasks)),
            .answer("no tasks", .tasks([])),
            .answer(
                "summary",
                .summary(
                    ClusterSummary(
                        master: MasterInfo(
                            id: "m", hostname: "h", port: 5055, version: "1", clusterName: "c"),
                        startedAt: time, agents: AgentState.allCases, frameworksConnected: 1,
                        frameworksDisconnected: 2, offersOutstanding: 3, tasks: TaskState.allCases,
                        total: resources, allocated: Resources(cpus: Milli(1)),
                        offered: Resources(mem: Milli(2))))),
            .answer("inverse offers", .inverseOffers(inverseOffers)),
            .answer("no inverse offers", .inverseOffers([])),
            .answer("whitelist", .whitelist(["node-1"])),
            .answer("whitelist of nobody", .whitelist([])),
            .answer("whitelist of all", .whitelist(nil)), .answer("done", .done),
            .answer("not found", .notFound("there is no task 't'")),
            .answer("refused", .refused("a weight lies above 0")),
        ]

    static let operatorEvents: [Sample] =
        AgentState.allCases.map {
            .clusterEvent("agent \($0)", .agent("a", hostname: "node", $0))
        }
        + [true, false].flatMap { isConnected in
            [true, false].map { isRemoved in
                .clusterEvent(
                    "framework connected \(isConnected) removed \(isRemoved)",
                    .framework("f", name: "n", isConnected: isConnected, isRemoved: isRemoved))
            }
        }
        + TaskState.allCases.map {
            .clusterEvent(
                "task \($0)",
                .task(TaskKey("f", "t"), name: "web", agent: "a", $0, message: "m"))
        }
        + [
            .clusterEvent(
                "task staging plain",
                .task(TaskKey("f", "t"), name: "", agent: nil, .staging, message: nil)),
            .clusterEvent(
                "task running plain",
                .task(TaskKey("f", "t"), name: "", agent: nil, .running, message: nil)),
            .clusterEvent("offered", .offered("o", "f", "a", resources)),
        ]
        + OfferEnd.allCases.map { .clusterEvent("offer \($0)", .offerEnded("o", $0)) }
}
