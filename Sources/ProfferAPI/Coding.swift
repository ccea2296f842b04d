public import Foundation
public import ProfferKernel
import ProfferModel

/// The JSON rules of the operator API: snake case keys, sorted, without escaped slashes.
public enum APICoding {
    /// The text of `value`.
    public static func encode(_ value: some Encodable, pretty: Bool = false) throws -> Data {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        if pretty { encoder.outputFormatting.insert(.prettyPrinted) }
        return try encoder.encode(value)
    }

    /// The value of `text`.
    public static func decode<Value: Decodable>(
        _ type: Value.Type, from text: Data
    ) throws -> Value {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(type, from: text)
    }
}

/// A wall time as RFC 3339 text in UTC, to the millisecond.
public struct WallTimeText: Hashable, Sendable {
    /// The text, such as `2026-01-31T12:00:00.000Z`.
    public let text: String

    /// Writes a wall time.
    public init(_ time: WallTime) {
        let date = Date(timeIntervalSince1970: Double(time.nanosecondsSince1970) / 1e9)
        text = date.formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
    }
}

func timestamp(_ time: WallTime) -> String { WallTimeText(time).text }

func seconds(_ duration: Duration) -> Double { Double(duration.inNanoseconds) / 1e9 }

func text(_ value: AttributeValue) -> String {
    switch value {
    case .scalar(let amount): "\(amount)"
    case .ranges(let ranges): "\(ranges)"
    case .set(let items): "{" + items.joined(separator: ",") + "}"
    case .text(let text): text
    }
}

func decimals(_ resources: Resources) -> [String: String] {
    var texts: [String: String] = [:]
    for item in resources.items {
        let key =
            item.name + (item.isRevocable ? "_revocable" : "")
            + (item.reservedRole.map { "(\($0))" } ?? "")
        switch item.value {
        case .scalar: texts[key] = "\(sum(of: item, in: resources))"
        case .ranges(let ranges): texts[key] = "\(ranges)"
        case .set(let names): texts[key] = "{" + names.joined(separator: ",") + "}"
        }
    }
    return texts
}

private func sum(of resource: Resource, in resources: Resources) -> Milli {
    resources.filter {
        $0.name == resource.name && $0.reservedRole == resource.reservedRole
            && $0.isRevocable == resource.isRevocable
    }.scalar(resource.name)
}
