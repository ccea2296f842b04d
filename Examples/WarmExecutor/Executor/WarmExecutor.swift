import ProfferExecutorSDK

/// Counts primes.
///
/// What takes long is done once, when the program starts; every job after that is quick, because
/// they all run in this one process.
@main
struct WarmExecutor: CustomExecutor {
    private static let limit = 2_000_000
    private let primes: [Int]

    init() {
        var isComposite = [Bool](repeating: false, count: Self.limit)
        primes = (2..<Self.limit).filter { number in
            if isComposite[number] { return false }
            for multiple in stride(from: number * number, to: Self.limit, by: number) {
                isComposite[multiple] = true
            }
            return true
        }
    }

    /// Says how many primes are smaller than the number in the task's data.
    func run(_ task: LaunchedTask, _ reporter: TaskReporter) async throws -> [UInt8] {
        let text = String(decoding: task.info.data, as: UTF8.self)
        guard let bound = Int(text), bound >= 0, bound <= Self.limit else {
            throw BadJob(description: "'\(text)' is no number between 0 and \(Self.limit)")
        }
        return Array("\(count(below: bound))".utf8)
    }

    private func count(below bound: Int) -> Int {
        var low = 0
        var high = primes.count
        while low < high {
            let middle = (low + high) / 2
            if primes[middle] < bound { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

struct BadJob: Error, CustomStringConvertible {
    let description: String
}
