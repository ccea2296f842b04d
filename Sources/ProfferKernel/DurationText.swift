extension Duration {
    /// The duration that a text such as `500ms`, `30s`, `5m`, `2h` or `1d` names; `nil` when it is
    /// none: a whole number and one unit, nothing else.
    public init?(text: String) {
        let digits = text.utf8.prefix { (0x30...0x39).contains($0) }
        guard !digits.isEmpty, digits.count <= 12, let number = Int64(String(digits) ?? "") else {
            return nil
        }
        let milliseconds: Int64
        switch String(text.utf8.dropFirst(digits.count)) {
        case "ms": milliseconds = 1
        case "s", "secs": milliseconds = 1000
        case "m", "mins": milliseconds = 60_000
        case "h", "hrs": milliseconds = 3_600_000
        case "d", "days": milliseconds = 86_400_000
        default: return nil
        }
        // At most 10^12 days: far above what can be meant, far below what overflows.
        let (total, overflow) = number.multipliedReportingOverflow(by: milliseconds)
        if overflow { return nil }
        self = .milliseconds(total)
    }
}
