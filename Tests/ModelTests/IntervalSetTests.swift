import ProfferKernel
import ProfferModel
import Testing

@Suite("IntervalSet")
struct IntervalSetTests {
    private func draw(_ random: inout SeededGenerator) -> (IntervalSet, Set<UInt64>) {
        var list: [ClosedRange<UInt64>] = []
        for _ in 0..<Int.random(in: 0...6, using: &random) {
            let low = UInt64.random(in: 0...50, using: &random)
            list.append(low...(low + UInt64.random(in: 0...10, using: &random)))
        }
        return (IntervalSet(list), Set(list.flatMap { Array($0) }))
    }

    @Test("it behaves as a set of numbers", arguments: UInt64(0)..<200)
    func againstModel(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let (left, leftModel) = draw(&random)
        let (right, rightModel) = draw(&random)
        func members(_ set: IntervalSet) -> Set<UInt64> {
            Set(set.intervals.flatMap { Array($0) })
        }
        #expect(members(left) == leftModel)
        #expect(left.count == UInt64(leftModel.count))
        #expect(members(left.union(right)) == leftModel.union(rightModel))
        #expect(left.union(right) == right.union(left))
        #expect(members(left.subtracting(right)) == leftModel.subtracting(rightModel))
        #expect(left.isSuperset(of: right) == leftModel.isSuperset(of: rightModel))
        for number in UInt64(0)...62 {
            #expect(left.contains(number) == leftModel.contains(number))
        }
        #expect(left.prefix(5) == Array(leftModel.sorted().prefix(5)))
        for set in [left, left.union(right), left.subtracting(right)] {
            for (one, next) in zip(set.intervals, set.intervals.dropFirst()) {
                #expect(one.upperBound + 1 < next.lowerBound)
            }
        }
    }

    @Test("adjacent and overlapping intervals become one")
    func merging() {
        #expect(IntervalSet([5...6, 1...2, 3...4]).intervals == [1...6])
        #expect(IntervalSet([1...10, 2...3]).intervals == [1...10])
        #expect(IntervalSet([1...2, 4...5]).intervals == [1...2, 4...5])
    }

    @Test("the ends of the number range do not overflow")
    func extremes() {
        let all = IntervalSet([0...UInt64.max])
        #expect(all.count == .max)
        #expect(IntervalSet([0...5, 6...UInt64.max]) == all)
        #expect(all.union(IntervalSet([3...4])) == all)
        #expect(all.subtracting(all).isEmpty)
        let hole = all.subtracting(IntervalSet([7...7]))
        #expect(hole.intervals == [0...6, 8...UInt64.max])
        #expect(hole.union(IntervalSet([7...7])) == all)
        #expect(all.subtracting(IntervalSet([UInt64.max...UInt64.max])).prefix(1) == [0])
        #expect(IntervalSet([UInt64.max...UInt64.max]).prefix(3) == [.max])
    }
}
