internal import Proffer

/// What is wrong with the dependencies of a job.
public enum DependencyProblem: Hashable, Sendable {
    /// Two tasks have this name; the task at `index` is the later one.
    case repeatedName(String, index: Int)
    /// The task at `index` depends on a name that no task has; perhaps `suggestion` was meant.
    case unknown(String, index: Int, suggestion: String?)
    /// These tasks wait for each other, each for the next, the last for the first.
    case cycle([String], index: Int)
}

extension JobSpecification {
    /// What is wrong with its dependencies, in the order of the tasks; one cycle at most.
    ///
    /// O(tasks + dependencies), save for suggestions.
    public var dependencyProblems: [DependencyProblem] {
        var problems: [DependencyProblem] = []
        var positions: [String: Int] = [:]
        for (index, task) in tasks.enumerated() {
            if positions[task.name] == nil {
                positions[task.name] = index
            } else {
                problems.append(.repeatedName(task.name, index: index))
            }
        }
        let names = tasks.map(\.name)
        var edges: [[Int]] = []
        for (index, task) in tasks.enumerated() {
            var targets: [Int] = []
            for name in task.depends {
                if let target = positions[name] {
                    targets.append(target)
                } else {
                    let others = names.filter { $0 != task.name }
                    problems.append(
                        .unknown(
                            name, index: index, suggestion: Spelling.nearest(to: name, in: others)))
                }
            }
            edges.append(targets)
        }
        if let cycle = Self.cycle(edges), let first = cycle.first {
            problems.append(.cycle(cycle.map { tasks[$0].name }, index: first))
        }
        return problems
    }

    /// Depth first, without recursion: a chain may be as long as the job.
    private static func cycle(_ edges: [[Int]]) -> [Int]? {
        enum Mark { case new, open, closed }
        var marks = [Mark](repeating: .new, count: edges.count)
        for start in edges.indices where marks[start] == .new {
            var path = [start]
            var next = [0]
            marks[start] = .open
            while let node = path.last {
                let edge = next[next.count - 1]
                guard edge < edges[node].count else {
                    marks[node] = .closed
                    path.removeLast()
                    next.removeLast()
                    continue
                }
                next[next.count - 1] += 1
                let target = edges[node][edge]
                switch marks[target] {
                case .closed: continue
                case .open: return Array(path[(path.firstIndex(of: target) ?? 0)...])
                case .new:
                    marks[target] = .open
                    path.append(target)
                    next.append(0)
                }
            }
        }
        return nil
    }
}
