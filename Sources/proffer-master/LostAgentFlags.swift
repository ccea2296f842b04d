internal import ArgumentParser

/// When agents that do not answer are removed and forgotten.
struct LostAgentFlags: ParsableArguments {
    @Option(
        name: .customLong("agent-removal-rate-limit"),
        help: "How often agents may be declared unreachable, as in 1/10m, or none (default: none).")
    var rateLimit: String?

    @Option(
        name: .customLong("agent-loss-threshold"),
        help: ArgumentHelp(
            "When more than so many percent of the agents are missing, they are removed slowly.",
            discussion: "It is likely then that the master is cut off; none is never "
                + "(default: 50)."))
    var threshold: String?

    @Option(
        name: .customLong("agent-loss-pause"),
        help: "The pause before each removal while so many are missing (default: 2m).")
    var pause: String?

    @Option(
        name: .customLong("registry-gc-interval"),
        help: "How often lost agents are looked at that can be forgotten (default: 15m).")
    var interval: String?

    @Option(
        name: .customLong("registry-max-agent-age"),
        help: "How long unreachable and gone agents are remembered (default: 14d).")
    var age: String?

    @Option(
        name: .customLong("registry-max-agent-count"),
        help: "How many unreachable and gone agents are remembered (default: 102400).")
    var count: String?

    var flags: [String: String?] {
        [
            "agent-removal-rate-limit": rateLimit, "agent-loss-threshold": threshold,
            "agent-loss-pause": pause, "registry-gc-interval": interval,
            "registry-max-agent-age": age, "registry-max-agent-count": count,
        ]
    }
}
