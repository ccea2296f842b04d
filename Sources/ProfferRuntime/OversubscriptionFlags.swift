internal import ProfferAgent
internal import ProfferModel

extension Oversubscription {
    /// Reads whether and how what tasks do not use is offered.
    ///
    /// - Returns: `nil` when it is not, as is so unless it is asked for.
    /// - Throws: ``DaemonProblem`` that names the first setting that is not valid.
    static func read(_ settings: DaemonSettings) throws -> Oversubscription? {
        var limits = PressureLimits()
        func percent(_ name: String, _ standard: Int64) throws -> Int64 {
            Int64(try settings.number(name, default: Int(standard), in: 1...101))
        }
        limits.cpuPercent = try percent("pressure-cpu", limits.cpuPercent)
        limits.memoryPercent = try percent("pressure-memory", limits.memoryPercent)
        limits.stallPercent = try percent("pressure-stall", limits.stallPercent)
        let patience = try settings.number("pressure-patience", default: 3, in: 1...1000)
        let share = try settings.number("oversubscribe-share", default: 50, in: 1...100)
        let interval = try settings.duration("oversubscribe-interval", default: .seconds(15))
        let estimator: any ResourceEstimator
        switch settings.text("oversubscribe") {
        case nil, "off": return nil
        case "slack":
            estimator = SlackEstimator(
                SlackEstimator.Options(sharePercent: Int64(share), limits: limits))
        case let text?:
            let amounts = try? ResourcesFlag.read(text)
            guard let amounts, !amounts.isEmpty, amounts.items.allSatisfy({ $0.isAmount }) else {
                throw settings.invalid(
                    "oversubscribe", text, "off, slack, or fixed amounts such as cpus:2")
            }
            estimator = FixedEstimator(amounts)
        }
        return Oversubscription(
            estimator: estimator, controller: PressureController(limits, patience: patience),
            interval: interval)
    }
}

extension Resource {
    fileprivate var isAmount: Bool {
        guard case .scalar = value else { return false }
        return reservations.isEmpty
    }
}
