import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferAllocation

/// The properties that dominant resource fairness is proved to have, on random clusters.
///
/// Up to one task, as tasks cannot be divided. Source: Ghodsi, Zaharia, Hindman, Konwinski, Shenker
/// and Stoica, NSDI 2011, section 3.
@Suite("Dominant resource fairness")
struct DominantShareTests {
    /// One machine for all, and users who each want endless tasks of one size.
    struct Game {
        var total: [Int]
        var sizes: [[Int]]

        init(seed: UInt64) {
            var dice = SeededGenerator(seed: seed)
            total = [
                Int.random(in: 100...140, using: &dice), Int.random(in: 800...1200, using: &dice),
            ]
            sizes = (0..<Int.random(in: 2...4, using: &dice)).map { _ in
                [Int.random(in: 1...4, using: &dice), Int.random(in: 5...40, using: &dice)]
            }
        }

        func resources(_ amounts: [Int]) -> Resources { size(amounts[0], amounts[1]) }

        /// How many tasks each user ends with when all claim the given sizes.
        func play(_ subject: Subject, _ claims: [[Int]]) -> [Int] {
            var cluster = Cluster(subject)
            var sizes: [FrameworkID: Resources] = [:]
            for (user, claim) in claims.enumerated() {
                cluster.framework(FrameworkID("u\(user)"), ["r\(user)"])
                sizes[FrameworkID("u\(user)")] = resources(claim)
            }
            cluster.agent("n", resources(total))
            let order = cluster.fill(sizes)
            return claims.indices.map { user in order.count { $0 == FrameworkID("u\(user)") } }
        }

        /// The largest part of the cluster that one task of a user takes, as a fraction.
        func dominant(_ user: Int) -> Double {
            (0..<2).map { Double(sizes[user][$0]) / Double(total[$0]) }.max() ?? 0
        }

        /// The share that the largest task of all makes.
        var grain: Double { sizes.indices.map(dominant).max() ?? 0 }

        /// How many tasks of a user fit into so much.
        func fits(_ user: Int, _ amounts: [Int]) -> Int {
            (0..<2).map { amounts[$0] / sizes[user][$0] }.min() ?? 0
        }
    }

    @Test(
        "an even partition is no better, nobody envies another, and nothing of use is left",
        arguments: Subject.allCases)
    func properties(subject: Subject) {
        for seed in 0..<40 as Range<UInt64> {
            let game = Game(seed: seed)
            let tasks = game.play(subject, game.sizes)
            var free = game.total
            for user in tasks.indices {
                for name in 0..<2 { free[name] -= tasks[user] * game.sizes[user][name] }
            }
            let even = game.total.map { $0 / tasks.count }
            for user in tasks.indices {
                let own = Double(tasks[user]) * game.dominant(user)
                #expect(game.fits(user, free) == 0, "\(subject) \(seed): something is left")
                let alone = Double(game.fits(user, even)) * game.dominant(user)
                #expect(own + game.grain >= alone, "\(subject) \(seed): \(user) loses by sharing")
                for other in tasks.indices where other != user {
                    let part = game.sizes[other].map { $0 * tasks[other] }
                    let wished = Double(game.fits(user, part)) * game.dominant(user)
                    #expect(
                        own + game.grain + game.dominant(user) >= wished,
                        "\(subject) \(seed): \(user) envies \(other)")
                }
            }
        }
    }

    @Test("a lie about the size of tasks gains nothing", arguments: Subject.allCases)
    func lies(subject: Subject) {
        for seed in 100..<125 as Range<UInt64> {
            let game = Game(seed: seed)
            let honest = game.play(subject, game.sizes)
            for lie in [[2, 1], [1, 2], [2, 2], [3, 1]] {
                var claims = game.sizes
                for name in 0..<2 { claims[0][name] *= lie[name] }
                let got = game.play(subject, claims)[0]
                // The liar runs true tasks in what it gets for the larger ones.
                let useful = game.fits(0, claims[0].map { $0 * got })
                let gain = Double(useful - honest[0]) * game.dominant(0)
                #expect(gain <= game.grain + game.dominant(0), "\(subject) \(seed) \(lie)")
            }
        }
    }
}
