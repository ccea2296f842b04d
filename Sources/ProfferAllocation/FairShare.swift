internal import ProfferModel

/// A dominant share as an exact fraction, divided by a weight when compared.
///
/// Dominant resource fairness: Ghodsi et al., NSDI 2011. Compared by cross products in 128 bits, so
/// that two shares are equal exactly when they are.
struct Share: Sendable {
    /// Thousandths held of the dominant resource.
    private(set) var held: UInt64 = 0
    /// Thousandths the cluster has of it.
    private(set) var total: UInt64 = 1

    init() {}

    init(_ held: ResourceQuantities, of total: ResourceQuantities) {
        for entry in held.entries {
            let all = total[entry.name]
            guard all > .zero, entry.amount > .zero else { continue }
            var other = Share()
            other.held = UInt64(entry.amount.thousandths)
            other.total = UInt64(all.thousandths)
            if isLess(other, weight: 1, otherWeight: 1) { self = other }
        }
    }

    /// Whether this share divided by `weight` is less than the other divided by `otherWeight`.
    func isLess(_ other: Share, weight: UInt64, otherWeight: UInt64) -> Bool {
        // held / (total · weight) against other.held / (other.total · otherWeight): two factors
        // have at most 128 bits, the third makes it the full width of 256.
        let left = (UInt128(held) * UInt128(other.total))
            .multipliedFullWidth(by: UInt128(otherWeight))
        let right = (UInt128(other.held) * UInt128(total))
            .multipliedFullWidth(by: UInt128(weight))
        return (left.high, left.low) < (right.high, right.low)
    }

    /// In millionths, rounded down.
    var millionths: Int64 {
        Int64(clamping: UInt128(held) * 1_000_000 / UInt128(max(1, total)))
    }
}
