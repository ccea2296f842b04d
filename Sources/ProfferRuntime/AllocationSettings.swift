public import ProfferAllocation
internal import ProfferKernel
public import ProfferModel

extension DaemonSettings {
    /// How a master decides what is offered to whom.
    ///
    /// - Throws: ``DaemonProblem`` that names the first setting that is not valid.
    public func allocation() throws -> HierarchicalAllocator.Options {
        var options = HierarchicalAllocator.Options()
        if let minimums = try minimums() { options.minimums = minimums }
        options.roleSorter = try order("role-sorter", default: options.roleSorter)
        options.frameworkSorter = try order(
            "framework-sorter", default: options.frameworkSorter)
        options.offeredLimitThousandths = try part(
            "offered-limit", default: options.offeredLimitThousandths)
        options.keepsGPUs = try bool("filter-gpu-resources", default: options.keepsGPUs)
        options.excludedNames = try names("fair-sharing-excluded-resource-names")
        options.region = try domain()?.region
        options.backOffLimit =
            try durationOrNone("decline-back-off-limit", default: options.backOffLimit) ?? .zero
        options.declinesBeforeKnown = try number(
            "declines-before-known", default: options.declinesBeforeKnown)
        options.gangTurn = try duration("gang-turn", default: options.gangTurn)
        return options
    }

    /// The failure domain, `region/zone`, if one is given.
    ///
    /// - Throws: ``DaemonProblem`` when it has another form.
    public func domain() throws -> FaultDomain? {
        guard let text = text("domain") else { return nil }
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ !$0.isEmpty }) else {
            throw DaemonProblem(
                .configuration, "--domain is not valid", because: "'\(text)' is not region/zone",
                try: "write for example 'eu-west/a'")
        }
        return FaultDomain(region: String(parts[0]), zone: String(parts[1]))
    }

    /// A duration above zero, or `nil` for the word `none`.
    ///
    /// - Throws: ``DaemonProblem`` when it is neither.
    public func durationOrNone(
        _ name: String, default standard: Duration?
    ) throws -> Duration? {
        guard let text = text(name) else { return standard }
        if text == "none" { return nil }
        if let span = Duration(text: text), span > .zero { return span }
        throw invalid(
            name, text, "a duration above zero, such as 500ms, 30s, 5m or 2h, and not 'none'")
    }

    private func minimums() throws -> [ResourceQuantities]? {
        let name = "min-allocatable"
        guard let text = text(name) else { return nil }
        if text == "none" { return [] }
        let form = "written as scalars above zero, such as 'cpus:0.01|mem:32', or 'none'"
        return try text.split(separator: "|", omittingEmptySubsequences: false).map { part in
            guard let resources = try? Resources(text: String(part)) else {
                throw invalid(name, text, form)
            }
            var amounts = ResourceQuantities()
            for item in resources.items {
                guard case .scalar(let amount) = item.value, item.reservations.isEmpty,
                    amount > .zero
                else { throw invalid(name, text, form) }
                amounts.add(amount, to: item.name)
            }
            guard !amounts.isEmpty else { throw invalid(name, text, form) }
            return amounts
        }
    }

    private func order(_ name: String, default standard: ShareOrder) throws -> ShareOrder {
        switch text(name) {
        case nil: return standard
        case "drf": return .dominantShare
        case "random": return .weightedRandom
        case let text?: throw invalid(name, text, "one of drf, random")
        }
    }

    private func part(_ name: String, default standard: UInt64) throws -> UInt64 {
        guard let text = text(name) else { return standard }
        if let milli = Milli(text: text), (1...1000).contains(milli.thousandths) {
            return UInt64(milli.thousandths)
        }
        throw invalid(
            name, text, "a part of the cluster from 0.001 to 1, with at most three decimals")
    }

    private func number(_ name: String, default standard: Int) throws -> Int {
        guard let text = text(name) else { return standard }
        if let number = Int(text), (0...100).contains(number) { return number }
        throw invalid(name, text, "a whole number from 0 to 100")
    }

    private func bool(_ name: String, default standard: Bool) throws -> Bool {
        switch text(name) {
        case nil: return standard
        case "true": return true
        case "false": return false
        case let text?: throw invalid(name, text, "one of true, false")
        }
    }

    private func names(_ name: String) throws -> [String] {
        guard let text = text(name), !text.isEmpty else { return [] }
        let list = text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        let isName = { (name: String) in
            !name.isEmpty && !name.contains { $0 == " " || $0 == ":" || $0 == ";" }
        }
        guard list.allSatisfy(isName) else {
            throw invalid(name, text, "a list of names of resources, such as gpus,licenses")
        }
        return list
    }
}
