internal import ProfferKernel
internal import ProfferModel
internal import ProfferSchema

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

func identifier<Subject>(_ text: String) -> Identifier<Subject> { Identifier(text) }

extension PBFrameworkID {
    init(_ id: FrameworkID) {
        self.init()
        value = id.value
    }
}

extension PBAgentID {
    init(_ id: AgentID) {
        self.init()
        value = id.value
    }
}

extension PBOfferID {
    init(_ id: OfferID) {
        self.init()
        value = id.value
    }
}

extension PBTaskID {
    init(_ id: TaskID) {
        self.init()
        value = id.value
    }
}

extension PBExecutorID {
    init(_ id: ExecutorID) {
        self.init()
        value = id.value
    }
}

func updateID(_ data: Data, _ field: String) throws(WireError) -> UpdateID {
    guard let id = UpdateID(bytes: data) else { throw .outOfRange(field) }
    return id
}

func milli(_ value: Double, _ field: String) throws(WireError) -> Milli {
    guard let milli = Milli(rounding: value) else { throw .outOfRange(field) }
    return milli
}

/// Seconds of the wire as a duration, to the nanosecond; what is not finite or beyond 285 years is
/// refused.
func duration(seconds: Double, _ field: String) throws(WireError) -> Duration {
    guard seconds.isFinite, abs(seconds) < 9e9 else { throw .outOfRange(field) }
    let whole = seconds.rounded(.down)
    return .seconds(Int64(whole)) + .nanoseconds(Int64(((seconds - whole) * 1e9).rounded()))
}

func secondsValue(_ duration: Duration) -> Double {
    let (seconds, attoseconds) = duration.components
    return Double(seconds) + Double(attoseconds) / 1e18
}

extension PBDurationInfo {
    init(_ duration: Duration) {
        self.init()
        nanoseconds = duration.inNanoseconds
    }

    var model: Duration { .nanoseconds(nanoseconds) }
}

extension PBTimeInfo {
    init(_ time: WallTime) {
        self.init()
        nanoseconds = time.nanosecondsSince1970
    }

    var model: WallTime { WallTime(nanosecondsSince1970: nanoseconds) }
}

extension PBLabels {
    init(_ labels: [Label]) {
        self.init()
        self.labels = labels.map { label in
            var coded = PBLabel()
            coded.key = label.key
            if let value = label.value { coded.value = value }
            return coded
        }
    }

    var model: [Label] { labels.map { Label($0.key, $0.hasValue ? $0.value : nil) } }
}

extension PBValue.Scalar {
    init(_ amount: Milli) {
        self.init()
        value = amount.doubleValue
    }
}

extension PBValue.Ranges {
    init(_ set: IntervalSet) {
        self.init()
        range = set.intervals.map { interval in
            var coded = PBValue.Range()
            coded.begin = interval.lowerBound
            coded.end = interval.upperBound
            return coded
        }
    }

    func model(_ field: String) throws(WireError) -> IntervalSet {
        guard range.count <= WireLimits.intervals else { throw .outOfRange(field) }
        return IntervalSet(
            try range.tryMap { coded throws(WireError) in
                guard coded.begin <= coded.end else { throw .outOfRange(field) }
                return coded.begin...coded.end
            })
    }
}

/// The members of a set value, sorted and once each.
func members(_ names: [String], _ field: String) throws(WireError) -> [String] {
    guard names.count <= WireLimits.members else { throw .outOfRange(field) }
    var seen = Set<String>()
    return names.filter { seen.insert($0).inserted }.sorted {
        $0.utf8.lexicographicallyPrecedes($1.utf8)
    }
}

extension PBAttribute {
    init(_ attribute: Attribute) {
        self.init()
        name = attribute.name
        switch attribute.value {
        case .scalar(let amount):
            type = .scalar
            scalar = PBValue.Scalar(amount)
        case .ranges(let intervals):
            type = .ranges
            ranges = PBValue.Ranges(intervals)
        case .set(let items):
            type = .set
            set.item = items
        case .text(let value):
            type = .text
            text.value = value
        }
    }

    func model() throws(WireError) -> Attribute {
        let field = "attribute \(shown(name))"
        let value: AttributeValue =
            switch type {
            case .scalar: .scalar(try milli(scalar.value, field))
            case .ranges: .ranges(try ranges.model(field))
            case .set: .set(try members(set.item, field))
            case .text: .text(text.value)
            }
        return Attribute(name: name, value: value)
    }
}
