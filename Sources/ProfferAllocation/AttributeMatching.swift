internal import ProfferKernel
public import ProfferModel

/// The agents that a framework wants to hear of in one role, with its patterns compiled.
struct AgentFilter: Sendable {
    private struct Test: Sendable {
        var constraint: AttributeConstraint
        /// Of a text predicate with a pattern; one that cannot be read matches nothing.
        var pattern: TextPattern?
    }

    /// Alternatives; each is a conjunction.
    private let groups: [[Test]]

    init(_ constraint: OfferConstraint) {
        groups = constraint.groups.map { group in
            group.map { Test(constraint: $0, pattern: $0.pattern.flatMap { try? TextPattern($0) }) }
        }
    }

    func admits(_ agent: AgentInfo) -> Bool {
        groups.contains { group in
            group.allSatisfy { $0.constraint.holds(for: agent, $0.pattern) }
        }
    }
}

extension AttributeConstraint {
    /// The regular expression in it, if there is one.
    fileprivate var pattern: String? {
        switch predicate {
        case .textMatches(let pattern), .textNotMatches(let pattern): pattern
        case .exists, .notExists, .textEquals, .textNotEquals: nil
        }
    }

    fileprivate func holds(for agent: AgentInfo, _ pattern: TextPattern?) -> Bool {
        switch selector {
        case .hostname: return holds(forText: agent.hostname, pattern)
        case .region: return holds(forText: agent.domain?.region, pattern)
        case .zone: return holds(forText: agent.domain?.zone, pattern)
        case .attribute(let name):
            guard let attribute = agent.attributes.first(where: { $0.name == name }) else {
                return holds(forText: nil, pattern)
            }
            if case .text(let text) = attribute.value { return holds(forText: text, pattern) }
            if case .notExists = predicate { return false }
            return true
        }
    }

    private func holds(forText text: String?, _ pattern: TextPattern?) -> Bool {
        switch predicate {
        case .exists: text != nil
        case .notExists: text == nil
        case .textEquals(let wanted): text == wanted
        case .textNotEquals(let wanted): text != wanted
        case .textMatches: text.map { pattern?.matches($0) ?? false } ?? false
        case .textNotMatches: text.map { !(pattern?.matches($0) ?? false) } ?? true
        }
    }
}

/// How large all patterns of a framework may be together: each is tried on every agent.
private let patternsLimit = 10_000

/// What is wrong with constraints, or `nil`.
public func problem(in constraints: [OfferConstraint]) -> String? {
    var size = 0
    for text in constraints.flatMap({ $0.groups.joined() }).compactMap(\.pattern) {
        do {
            size += try TextPattern(text).size
        } catch {
            let start = text.count > 60 ? "\(text.prefix(60))…" : text
            return "'\(start)' is not a regular expression that constraints can use: \(error)"
        }
        if size > patternsLimit {
            return "the regular expressions of the constraints have more than \(patternsLimit) "
                + "parts together, repetitions written out; use fewer or shorter ones"
        }
    }
    return nil
}
