internal import ProfferKernel
internal import ProfferModel
internal import ProfferSession

/// A name from outside, short enough for an error.
func shown(_ name: String) -> String { name.utf8.count <= 64 ? name : name.prefix(32) + "..." }

extension Identifier: FieldReadable, FieldWritable {
    init(_ fields: Fields) throws(WireError) { self.init(try fields.required(fields.text(1))) }

    func write(to fields: inout FieldWriter) { fields.text(1, value) }
}

extension Label: FieldReadable, FieldWritable {
    init(_ fields: Fields) throws(WireError) {
        self.init(try fields.required(fields.text(1)), try fields.text(2))
    }

    func write(to fields: inout FieldWriter) {
        fields.text(1, key)
        fields.text(2, value)
    }
}

extension Fields {
    func labels(_ number: UInt32) throws(WireError) -> [Label] {
        try fields(number)?.list(1) ?? []
    }

    /// A span in nanoseconds.
    func duration(_ number: UInt32) throws(WireError) -> Duration? {
        guard let fields = try fields(number) else { return nil }
        return .nanoseconds(try fields.required(fields.int64(1)))
    }

    /// A span in seconds, to the nanosecond; what is not finite or beyond 285 years is refused.
    func seconds(
        _ number: UInt32, default standard: Double, _ name: String
    ) throws(WireError) -> Duration {
        let seconds = try double(number) ?? standard
        guard seconds.isFinite, abs(seconds) < 9e9 else { throw .outOfRange(name) }
        let whole = seconds.rounded(.down)
        return .seconds(Int64(whole)) + .nanoseconds(Int64(((seconds - whole) * 1e9).rounded()))
    }

    /// The number of a scalar value.
    func number() throws(WireError) -> Double { try required(double(1)) }

    func scalar(_ number: UInt32, _ field: String) throws(WireError) -> Milli {
        try milli(try fields(number)?.number() ?? 0, field)
    }

    func intervals(_ number: UInt32, _ field: String) throws(WireError) -> IntervalSet {
        guard let fields = try fields(number) else { return IntervalSet() }
        guard try fields.count(1) <= WireLimits.intervals else { throw .outOfRange(field) }
        let intervals: [Interval] = try fields.list(1)
        var ranges: [ClosedRange<UInt64>] = []
        ranges.reserveCapacity(intervals.count)
        for interval in intervals {
            guard interval.begin <= interval.end else { throw .outOfRange(field) }
            ranges.append(interval.begin...interval.end)
        }
        return IntervalSet(ranges)
    }

    /// The members of a set value, sorted and once each.
    func members(_ number: UInt32, _ field: String) throws(WireError) -> [String] {
        guard let fields = try fields(number) else { return [] }
        guard try fields.count(1) <= WireLimits.members else { throw .outOfRange(field) }
        var seen = Set<String>()
        return try fields.texts(1).filter { seen.insert($0).inserted }.sorted {
            $0.utf8.lexicographicallyPrecedes($1.utf8)
        }
    }
}

func milli(_ value: Double, _ field: String) throws(WireError) -> Milli {
    guard let milli = Milli(rounding: value) else { throw .outOfRange(field) }
    return milli
}

/// One entry of a ranges value, in the order the sender chose.
private struct Interval: FieldReadable {
    var begin: UInt64
    var end: UInt64

    init(_ fields: Fields) throws(WireError) {
        begin = try fields.required(fields.uint64(1))
        end = try fields.required(fields.uint64(2))
    }
}

extension FieldWriter {
    mutating func labels(_ number: UInt32, _ labels: [Label]) {
        if !labels.isEmpty { message(number) { $0.list(1, labels) } }
    }

    mutating func duration(_ number: UInt32, _ duration: Duration?) {
        guard let duration else { return }
        message(number) { $0.int64(1, duration.inNanoseconds) }
    }

    mutating func seconds(_ number: UInt32, _ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        double(number, Double(seconds) + Double(attoseconds) / 1e18)
    }

    mutating func scalar(_ number: UInt32, _ value: Double) {
        message(number) { $0.double(1, value) }
    }

    mutating func intervals(_ number: UInt32, _ set: IntervalSet) {
        message(number) { body in
            for interval in set.intervals {
                body.message(1) {
                    $0.uint64(1, interval.lowerBound)
                    $0.uint64(2, interval.upperBound)
                }
            }
        }
    }
}
