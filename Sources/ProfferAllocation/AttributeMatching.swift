public import ProfferModel

extension AttributeConstraint {
    /// Whether an agent satisfies this constraint.
    ///
    /// Regular expressions are compiled by whoever made the constraint; here a text that is not
    /// plain is compared by its literal value.
    func holds(for agent: AgentInfo) -> Bool {
        switch selector {
        case .hostname: return holds(forText: agent.hostname)
        case .region: return holds(forText: agent.domain?.region)
        case .zone: return holds(forText: agent.domain?.zone)
        case .attribute(let name):
            guard let attribute = agent.attributes.first(where: { $0.name == name }) else {
                return holds(forText: nil)
            }
            if case .text(let text) = attribute.value { return holds(forText: text) }
            if case .notExists = predicate { return false }
            return true
        }
    }

    private func holds(forText text: String?) -> Bool {
        switch predicate {
        case .exists: text != nil
        case .notExists: text == nil
        case .textEquals(let wanted): text == wanted
        case .textNotEquals(let wanted): text != wanted
        case .textMatches(let pattern): text.map { matches($0, pattern) } ?? false
        case .textNotMatches(let pattern): text.map { !matches($0, pattern) } ?? true
        }
    }

    private func matches(_ text: String, _ pattern: String) -> Bool {
        guard pattern.utf8.count <= 4096, let regex = try? Regex(pattern) else { return false }
        return (try? regex.wholeMatch(in: text)) != nil
    }
}

/// What is wrong with constraints, or `nil`.
public func problem(in constraints: [OfferConstraint]) -> String? {
    for constraint in constraints {
        for one in constraint.groups.joined() {
            switch one.predicate {
            case .textMatches(let pattern), .textNotMatches(let pattern):
                if pattern.utf8.count > 4096 {
                    return "a regular expression may have 4096 bytes at most"
                }
                if (try? Regex(pattern)) == nil {
                    return "'\(pattern)' is not a regular expression"
                }
            case .exists, .notExists, .textEquals, .textNotEquals: break
            }
        }
    }
    return nil
}
