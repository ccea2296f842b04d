/// A natural number of any size, slow and simple: the model's shares have no width to overflow.
struct BigNatural: Comparable {
    /// Digits to the base 2^32, the lowest first, without leading zeros.
    private var digits: [UInt32] = []

    init(_ value: UInt64) {
        digits = [UInt32(truncatingIfNeeded: value), UInt32(truncatingIfNeeded: value >> 32)]
        trim()
    }

    private mutating func trim() {
        while digits.last == 0 { digits.removeLast() }
    }

    static func * (left: BigNatural, right: BigNatural) -> BigNatural {
        var product = BigNatural(0)
        product.digits = Array(repeating: 0, count: left.digits.count + right.digits.count)
        for (index, digit) in left.digits.enumerated() {
            var carry: UInt64 = 0
            for (offset, other) in right.digits.enumerated() {
                let sum =
                    UInt64(product.digits[index + offset]) + UInt64(digit) * UInt64(other) + carry
                product.digits[index + offset] = UInt32(truncatingIfNeeded: sum)
                carry = sum >> 32
            }
            product.digits[index + right.digits.count] = UInt32(carry)
        }
        product.trim()
        return product
    }

    static func < (left: BigNatural, right: BigNatural) -> Bool {
        if left.digits.count != right.digits.count {
            return left.digits.count < right.digits.count
        }
        return left.digits.reversed().lexicographicallyPrecedes(right.digits.reversed())
    }
}

/// An exact fraction of natural numbers.
struct Fraction: Comparable {
    var numerator: BigNatural
    var denominator: BigNatural

    static let zero = Fraction(numerator: BigNatural(0), denominator: BigNatural(1))

    static func == (left: Fraction, right: Fraction) -> Bool {
        left.numerator * right.denominator == right.numerator * left.denominator
    }

    static func < (left: Fraction, right: Fraction) -> Bool {
        left.numerator * right.denominator < right.numerator * left.denominator
    }
}
