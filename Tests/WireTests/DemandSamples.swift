import ProfferKernel
import ProfferModel

extension Samples {
    static let quota = Quota(
        role: "eng", guarantees: Resources(cpus: Milli(2), mem: Milli(512)).quantities,
        limits: [
            QuotaLimit(name: "cpus", amount: Milli(8)), QuotaLimit(name: "gpus", amount: .zero),
        ])

    static let demand = Demand(
        id: "workers", role: "eng",
        resources: Resources(cpus: Milli(thousandths: 500), mem: Milli(64)).quantities, ports: 2,
        count: 40,
        constraints: [
            [
                AttributeConstraint(selector: .hostname, predicate: .textNotEquals("h")),
                AttributeConstraint(selector: .attribute("ssd"), predicate: .exists),
            ], [AttributeConstraint(selector: .zone, predicate: .textMatches("z.*"))], [],
        ], priority: -5, gang: 8, perOffer: 4, perAgent: 2)

    static let plainDemand = Demand(id: "d", resources: Resources(cpus: Milli(1)).quantities)

    private static let launch = Operation(
        action: .launch([TaskInfo(name: "n", id: "t", agentID: "a")]))

    static let demandCalls: [Sample] = [
        .call("demand", .demand([demand, plainDemand])), .call("no demand", .demand([])),
        .call(
            "accept together",
            .acceptTogether(
                [
                    OfferAcceptance(offers: ["o", "p"], operations: [launch]),
                    OfferAcceptance(offers: ["q"], operations: []),
                ], filters: Filters(refuse: .seconds(5)))),
        .call("accept together nothing", .acceptTogether([], filters: nil)),
        .call(
            "claim",
            .claim(
                Claim(
                    id: "c",
                    parts: [
                        ClaimPart(
                            agentID: "a", role: "eng", resources: resources, operations: [launch]),
                        ClaimPart(agentID: "b", role: "*", resources: Resources(cpus: Milli(1))),
                    ]))), .call("claim nothing", .claim(Claim(id: "c", parts: []))),
        .call("watch cluster", .watchCluster(true)),
        .call("watch cluster no more", .watchCluster(false)),
    ]

    static let claimEvents: [Sample] = [
        .event("claim committed", .claimAnswer(id: "c", .committed)),
        .event(
            "claim conflict",
            .claimAnswer(
                id: "c",
                .conflict(
                    [
                        ClaimConflict(
                            agentID: "a", check: nil, message: "no such agent",
                            available: resources)
                    ]
                        + PlacementCheck.allCases.map {
                            ClaimConflict(agentID: "b", check: $0, message: $0.title)
                        }))),
        .event("claim conflict of nothing", .claimAnswer(id: "c", .conflict([]))),
        .event(
            "cluster",
            .cluster(
                ClusterState(
                    serial: .max, isSnapshot: true, isComplete: false,
                    agents: [
                        AgentView(
                            id: "a", hostname: "node", attributes: agent.attributes,
                            domain: FaultDomain(region: "r", zone: "z"), free: resources),
                        AgentView(id: "b", hostname: "node2"),
                    ], removed: ["c", "d"]))),
        .event("cluster step", .cluster(ClusterState(serial: 2, isSnapshot: false))),
        .event(
            "backed off",
            .backedOff(role: "eng", declines: 12, pause: .milliseconds(2500))),
    ]

    static let explanation = PlacementExplanation(
        agents: 12,
        steps: PlacementCheck.allCases.enumerated().map { index, check in
            PlacementExplanation.Step(
                check: check, removed: index, alone: index + 1, examples: ["a", "b"])
        }, fitting: 3, obstacle: "the role 'eng' is suppressed",
        nearest: [
            PlacementExplanation.NearMiss(
                agent: "a", hostname: "node", failed: [.constraints, .resources],
                missing: Resources(cpus: Milli(1), mem: Milli(64)).quantities),
            PlacementExplanation.NearMiss(
                agent: "b", hostname: "node2", failed: [], missing: ResourceQuantities()),
        ],
        quota: [
            PlacementExplanation.QuotaState(
                name: "cpus", consumed: Milli(6), guarantee: Milli(2), limit: Milli(8)),
            PlacementExplanation.QuotaState(
                name: "mem", consumed: .zero, guarantee: .zero, limit: nil),
        ], shareMillionths: 125_000, roleShareMillionths: 250_000, ahead: 3,
        suggestions: ["ask for 1.5 cpus", "free 64 MiB on node"])

    static let quotaCalls: [Sample] = [
        .operatorCall("quotas", .quotas),
        .operatorCall("set quotas", .setQuotas([quota, Quota(role: "ops")], isForced: true)),
        .operatorCall("set no quotas", .setQuotas([], isForced: false)),
        .operatorCall("why", .why(PlacementQuestion(framework: "f", demand: demand))),
        .operatorCall("why not", .why(PlacementQuestion(framework: nil, demand: plainDemand))),
        .operatorCall("why a framework", .whyFramework("f")),
    ]

    static let quotaAnswers: [Sample] = [
        .answer(
            "quotas",
            .quotas([
                QuotaSummary(quota: quota, consumed: Resources(cpus: Milli(1)).quantities),
                QuotaSummary(quota: Quota(role: "ops"), consumed: ResourceQuantities()),
            ])), .answer("no quotas", .quotas([])), .answer("why", .why(explanation)),
        .answer("why not", .why(PlacementExplanation())),
        .answer(
            "why a framework",
            .demands([
                DemandSummary(demand: demand, waitingSince: time, explanation: explanation),
                DemandSummary(
                    demand: plainDemand, waitingSince: nil, explanation: PlacementExplanation()),
            ])), .answer("why a framework without demand", .demands([])),
    ]
}
