import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferAllocation

/// What every tested allocator can be told, in one form.
struct Knobs {
    var minimums: [ResourceQuantities]?
    var offeredLimitThousandths: UInt64 = 1000
    var keepsGPUs = true
    var returnPauseLimit = Duration.zero
    var hasRandomRoles = false
    var hasRandomFrameworks = false
    var excludedNames: [String] = []
    var region: String?
    var backOffLimit = Duration.zero
    var declinesBeforeKnown = 0
    var seed: UInt64 = 1
    /// A mistake for the reference model to make, so that it can be seen to be found.
    var fault: Fault?
}

/// Mistakes that an allocator could make.
enum Fault: CaseIterable {
    case forgetsRefusals, ignoresSuppression, ignoresReservations, ignoresCapabilities
    case ignoresWeights, ignoresLimits, ignoresGuarantees, losesWhatIsReturned, keepsConverted
    case grantsTwice, ignoresDeactivation, ordersByName
}

/// What an allocator does beyond sharing fairly between roles and frameworks.
struct Features: OptionSet {
    let rawValue: Int
    /// A tree of roles, regions, excluded names, agents' capabilities, shared volumes.
    static let tree = Features(rawValue: 1)
    /// Guarantees, limits and the hold after a restart.
    static let quota = Features(rawValue: 2)
    /// Orders by weighted chance.
    static let chance = Features(rawValue: 4)
    /// Demand, gangs, claims and what goes with them.
    static let demand = Features(rawValue: 8)
    /// Limits what is held in offers, and slows down those who only give back.
    static let restraint = Features(rawValue: 16)
}

/// An allocator that the rules are tried on.
enum Subject: String, CaseIterable, CustomTestStringConvertible {
    case hierarchical, reference

    var testDescription: String { rawValue }

    var features: Features {
        switch self {
        case .hierarchical: [.tree, .quota, .chance, .demand, .restraint]
        case .reference: [.tree, .quota]
        }
    }

    static func with(_ features: Features) -> [Subject] {
        allCases.filter { $0.features.isSuperset(of: features) }
    }

    func make(_ knobs: Knobs) -> any Allocator {
        switch self {
        case .hierarchical:
            var options = HierarchicalAllocator.Options()
            if let minimums = knobs.minimums { options.minimums = minimums }
            options.offeredLimitThousandths = knobs.offeredLimitThousandths
            options.keepsGPUs = knobs.keepsGPUs
            options.returnPauseLimit = knobs.returnPauseLimit
            options.backOffLimit = knobs.backOffLimit
            options.declinesBeforeKnown = knobs.declinesBeforeKnown
            options.roleSorter = knobs.hasRandomRoles ? .weightedRandom : .dominantShare
            options.frameworkSorter = knobs.hasRandomFrameworks ? .weightedRandom : .dominantShare
            options.excludedNames = knobs.excludedNames
            options.region = knobs.region
            options.seed = knobs.seed
            return HierarchicalAllocator(options: options)
        case .reference: return ReferenceAllocator(knobs)
        }
    }
}
