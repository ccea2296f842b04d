internal import ArgumentParser

/// How offers are made.
struct AllocationFlags: ParsableArguments {
    @Option(
        name: .customLong("min-allocatable"),
        help: ArgumentHelp(
            "The least that is worth an offer to a framework without demand.",
            discussion: "Any of these is enough, mem in MiB; none is no least "
                + "(default: cpus:0.01|mem:32)."))
    var minAllocatable: String?

    @Option(
        name: .customLong("role-sorter"),
        help: "The order of sibling roles: drf or random (default: drf).")
    var roleSorter: String?

    @Option(
        name: .customLong("framework-sorter"),
        help: "The order of the frameworks in a role: drf or random (default: drf).")
    var frameworkSorter: String?

    @Option(
        name: .customLong("offered-limit"),
        help: ArgumentHelp(
            "The part of the cluster that one framework may hold in offers while others wait.",
            discussion: "From 0.001 to 1, which is no limit (default: 0.5)."))
    var offeredLimit: String?

    @Option(
        name: .customLong("filter-gpu-resources"),
        help: "Keep agents with GPUs for frameworks that use them: true or false (default: true).")
    var filterGPUs: String?

    @Option(
        name: .customLong("fair-sharing-excluded-resource-names"),
        help: "Resources that do not count for fairness, with commas (default: none).")
    var excludedNames: String?

    @Option(
        help: ArgumentHelp(
            "The failure domain of the master: region/zone.",
            discussion: "Agents of other regions are for frameworks that are aware of regions "
                + "(default: none, and all agents are for all)."))
    var domain: String?

    @Option(
        help: ArgumentHelp(
            "A file with the hosts whose agents may be offered, one a line.",
            discussion: "It is read again when it changes; a line with * is every host "
                + "(default: what 'proffer whitelist' has set, and every host at first)."))
    var whitelist: String?

    @Option(
        name: .customLong("decline-back-off-limit"),
        help: "The longest pause of a framework that only declines, or none (default: 60s).")
    var declineBackOffLimit: String?

    @Option(
        name: .customLong("declines-before-known"),
        help: ArgumentHelp(
            "How many frameworks in a row decline an agent before those known to want something "
                + "come first there (default: 3).",
            discussion: "A framework is known to want something when it states a demand, or has "
                + "used what it was offered last. 0 is never."))
    var declinesBeforeKnown: String?

    @Option(
        name: .customLong("gang-turn"),
        help: "How long free resources are kept for the gang whose turn it is (default: 60s).")
    var gangTurn: String?

    var flags: [String: String?] {
        [
            "min-allocatable": minAllocatable, "role-sorter": roleSorter,
            "framework-sorter": frameworkSorter, "offered-limit": offeredLimit,
            "filter-gpu-resources": filterGPUs,
            "fair-sharing-excluded-resource-names": excludedNames, "domain": domain,
            "decline-back-off-limit": declineBackOffLimit,
            "declines-before-known": declinesBeforeKnown, "gang-turn": gangTurn,
            "whitelist": whitelist,
        ]
    }
}
