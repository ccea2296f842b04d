/// Numbers with a fixed count of decimals, between JSON text and integers.
enum Decimal {
    /// The number in units of `10^-decimals`, rounded half away from zero; `nil` when it is not a
    /// number or does not fit.
    static func scaled(_ text: String, decimals: Int) -> Int64? {
        var rest = text[...]
        let isNegative = rest.first == "-"
        if isNegative { rest = rest.dropFirst() }
        let parts = rest.split(omittingEmptySubsequences: false) { $0 == "e" || $0 == "E" }
        guard parts.count <= 2, let mantissa = parts.first else { return nil }
        let exponent = parts.count == 2 ? Int(parts[1]) : 0
        let halves = mantissa.split(separator: ".", omittingEmptySubsequences: false)
        guard let exponent, (-40...40).contains(exponent), halves.count <= 2,
            let whole = halves.first, !whole.isEmpty
        else { return nil }
        let fraction = halves.count == 2 ? halves[1] : ""
        // Where the decimal point of the result lies within all digits.
        let point = whole.utf8.count + exponent + decimals
        var value: Int64 = 0
        for (index, byte) in (Array(whole.utf8) + Array(fraction.utf8)).enumerated() {
            guard (0x30...0x39).contains(byte) else { return nil }
            if index > point { break }
            if index == point {
                if byte >= 0x35 { value += 1 }
                break
            }
            guard let next = append(Int64(byte - 0x30), to: value) else { return nil }
            value = next
        }
        let digits = whole.utf8.count + fraction.utf8.count
        if point > digits {
            for _ in digits..<point {
                guard let next = append(0, to: value) else { return nil }
                value = next
            }
        }
        return isNegative ? -value : value
    }

    private static func append(_ digit: Int64, to value: Int64) -> Int64? {
        let (product, overflow) = value.multipliedReportingOverflow(by: 10)
        let (sum, tooFar) = product.addingReportingOverflow(digit)
        return overflow || tooFar || sum == .max ? nil : sum
    }

    /// The shortest decimal text of `value` in units of `10^-decimals`: `0.5`, `12`.
    static func text(_ value: Int64, decimals: Int) -> String {
        var digits = String(value.magnitude)
        while digits.utf8.count <= decimals { digits = "0" + digits }
        let point = digits.index(digits.endIndex, offsetBy: -decimals)
        var fraction = digits[point...]
        while fraction.last == "0" { fraction = fraction.dropLast() }
        return (value < 0 ? "-" : "") + digits[..<point] + (fraction.isEmpty ? "" : "." + fraction)
    }
}
