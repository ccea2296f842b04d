internal import Foundation

/// What is wrong with a JSON text, and where, in words for its author.
func decodingProblem(_ error: any Error, in data: Data) -> String {
    guard let error = error as? DecodingError else { return "\(error)" }
    switch error {
    case .keyNotFound(let key, let context):
        return "\(place(context.codingPath + [key])) is missing"
    case .valueNotFound(_, let context):
        return "\(place(context.codingPath)) is null"
    case .typeMismatch(let type, let context):
        let path = context.codingPath
        return "\(path.isEmpty ? "the whole" : place(path)) is not \(kind(type))"
    case .dataCorrupted(let context):
        guard context.codingPath.isEmpty else {
            return "\(place(context.codingPath)): \(context.debugDescription)"
        }
        return "it is no JSON" + (position(ofProblemIn: data).map { " at \($0)" } ?? "")
    @unknown default:
        return error.localizedDescription
    }
}

/// Where a text stops being JSON; `nil` when the parser does not say.
private func position(ofProblemIn data: Data) -> String? {
    do {
        _ = try JSONSerialization.jsonObject(with: data)
        return nil
    } catch {
        let text = (error as NSError).userInfo[NSDebugDescriptionErrorKey] as? String ?? ""
        let digits = text.reversed().drop { !$0.isNumber }.prefix { $0.isNumber }.reversed()
        guard let offset = Int(String(digits)), offset <= data.count else { return nil }
        let before = data.prefix(offset)
        let line = before.count { $0 == UInt8(ascii: "\n") } + 1
        let start = before.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? before.startIndex
        return "line \(line), column \(offset - (start - data.startIndex) + 1)"
    }
}

/// A place in JSON as one would write it in a program: `master[1].port`.
private func place(_ path: [any CodingKey]) -> String {
    let text = path.reduce("") { text, key in
        if let index = key.intValue { return "\(text)[\(index)]" }
        return text.isEmpty ? key.stringValue : "\(text).\(key.stringValue)"
    }
    return "'\(text)'"
}

private func kind(_ type: any Any.Type) -> String {
    switch type {
    case is String.Type: "text"
    case is Bool.Type: "true or false"
    case is any BinaryInteger.Type: "a whole number"
    case is any BinaryFloatingPoint.Type: "a number"
    case is any Sequence.Type where !(type is any DictionaryLike.Type): "a list"
    default: "an object"
    }
}

private protocol DictionaryLike {}
extension Dictionary: DictionaryLike {}
