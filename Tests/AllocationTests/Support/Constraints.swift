import ProfferKernel
import ProfferModel

extension OfferConstraint {
    /// Whether an agent will do, in the plainest words.
    func admits(_ agent: AgentInfo) -> Bool {
        groups.contains { group in group.allSatisfy { $0.holds(for: agent) } }
    }
}

extension AttributeConstraint {
    fileprivate func holds(for agent: AgentInfo) -> Bool {
        let value: AttributeValue? =
            switch selector {
            case .hostname: .text(agent.hostname)
            case .region: agent.domain.map { .text($0.region) }
            case .zone: agent.domain.map { .text($0.zone) }
            case .attribute(let name): agent.attributes.first { $0.name == name }?.value
            }
        guard let value else {
            // What is not there differs from every text.
            switch predicate {
            case .notExists, .textNotEquals, .textNotMatches: return true
            case .exists, .textEquals, .textMatches: return false
            }
        }
        if case .notExists = predicate { return false }
        // A text predicate holds for what is there and no text.
        guard case .text(let text) = value else { return true }
        switch predicate {
        case .exists, .notExists: return true
        case .textEquals(let wanted): return text == wanted
        case .textNotEquals(let wanted): return text != wanted
        case .textMatches(let pattern): return Self.matches(text, pattern)
        case .textNotMatches(let pattern): return !Self.matches(text, pattern)
        }
    }

    private static func matches(_ text: String, _ pattern: String) -> Bool {
        (try? TextPattern(pattern))?.matches(text) ?? false
    }
}
