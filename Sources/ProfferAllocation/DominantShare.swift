/// A dominant share as an exact fraction.
///
/// Dominant resource fairness: Ghodsi et al., NSDI 2011. Compared by cross products, so that two
/// shares are equal exactly when they are.
struct DominantShare: Hashable, Sendable {
    /// Thousandths held of the dominant resource.
    private(set) var held: UInt64 = 0
    /// Thousandths that the cluster has of it.
    private(set) var total: UInt64 = 1

    init() {}

    /// The largest of the shares of all columns in `counted`.
    init(_ held: Amounts, of total: Amounts, counted: UInt64) {
        for column in 0..<held.width where held[column] > 0 && total[column] > 0 {
            guard counted & (1 << UInt64(column)) != 0 else { continue }
            let part = UInt64(held[column])
            let all = UInt64(total[column])
            if self.held.multipliedFullWidth(by: all) < part.multipliedFullWidth(by: self.total) {
                self.held = part
                self.total = all
            }
        }
    }

    /// Whether this share divided by `weight` is less than `other` divided by `otherWeight`;
    /// `nil` when they are equal.
    func precedes(_ other: DominantShare, weight: UInt64, otherWeight: UInt64) -> Bool? {
        if weight == otherWeight {
            let left = held.multipliedFullWidth(by: other.total)
            let right = other.held.multipliedFullWidth(by: total)
            return left == right ? nil : left < right
        }
        // Two factors have at most 128 bits; the third makes it the full width of 256.
        let left = (UInt128(held) * UInt128(other.total))
            .multipliedFullWidth(by: UInt128(otherWeight))
        let right = (UInt128(other.held) * UInt128(total)).multipliedFullWidth(by: UInt128(weight))
        if left.high == right.high, left.low == right.low { return nil }
        return (left.high, left.low) < (right.high, right.low)
    }

    /// In millionths, rounded down.
    var millionths: Int64 {
        Int64(clamping: UInt128(held) * 1_000_000 / UInt128(max(1, total)))
    }
}
