/// Turns the tree of a pattern into steps.
struct PatternWriter {
    private(set) var steps: [TextPattern.Step] = []
    private(set) var size = 0

    mutating func append(_ step: TextPattern.Step) throws(TextPatternProblem) {
        if case .oneOf(let wanted) = step { size += wanted.ranges.count }
        size += 1
        guard size <= TextPattern.sizeLimit else {
            throw TextPatternProblem(
                "with its repetitions written out it has more than \(TextPattern.sizeLimit) parts")
        }
        steps.append(step)
    }

    mutating func write(_ node: PatternNode) throws(TextPatternProblem) {
        switch node {
        case .step(let step): try append(step)
        case .sequence(let parts):
            // Nothing takes a step too: nested repetitions of nothing would else be without limit.
            if parts.isEmpty { try append(.jump(steps.count + 1)) }
            for part in parts { try write(part) }
        case .alternatives(let all): try write(alternatives: all)
        case .repeated(let part, let from, let to): try write(part, from: from, to: to)
        }
    }

    private mutating func write(
        alternatives all: [PatternNode]
    ) throws(TextPatternProblem) {
        var ends: [Int] = []
        for (index, part) in all.enumerated() {
            guard index < all.count - 1 else {
                try write(part)
                break
            }
            let fork = steps.count
            try append(.fork(fork + 1, fork + 1))
            try write(part)
            ends.append(steps.count)
            try append(.jump(0))
            steps[fork] = .fork(fork + 1, steps.count)
        }
        for end in ends { steps[end] = .jump(steps.count) }
    }

    private mutating func write(
        _ part: PatternNode, from: Int, to: Int?
    ) throws(TextPatternProblem) {
        try append(.jump(steps.count + 1))
        for _ in 0..<from { try write(part) }
        guard let to else {
            let fork = steps.count
            try append(.fork(fork + 1, fork + 1))
            try write(part)
            try append(.jump(fork))
            steps[fork] = .fork(fork + 1, steps.count)
            return
        }
        var forks: [Int] = []
        for _ in from..<max(from, to) {
            forks.append(steps.count)
            try append(.fork(0, 0))
            try write(part)
        }
        for fork in forks { steps[fork] = .fork(fork + 1, steps.count) }
    }
}
