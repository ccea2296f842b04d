internal import Proffer

/// Something about one field of a request.
struct FieldProblem: Hashable, Sendable {
    /// The field, such as `/healthChecks/0/port`.
    var path: String
    var message: String
}

/// Reads fields of JSON objects and collects everything that is wrong with them, so that a user
/// sees all of it at once.
struct FieldReader {
    /// Of each sort, so many are told; nobody reads more.
    private static let problemLimit = 100

    /// Values of the wrong type: the request is no request (status 400).
    private(set) var mistyped: [FieldProblem] = []
    /// Values that may not be, and fields that do not exist (status 422).
    private(set) var invalid: [FieldProblem] = []

    var isClean: Bool { mistyped.isEmpty && invalid.isEmpty }

    mutating func refuse(_ path: String, _ message: String) {
        guard invalid.count < Self.problemLimit else { return }
        invalid.append(FieldProblem(path: path, message: message))
    }

    private mutating func refuseType(_ path: String, _ expected: String, _ value: JSON) {
        guard mistyped.count < Self.problemLimit else { return }
        mistyped.append(
            FieldProblem(path: path, message: "expected \(expected), found \(value.kindName)"))
    }

    /// Refuses members that are not `known`, and everything that is no object.
    mutating func checkNames(of object: JSON, at path: String, known: [String]) {
        guard case .object(let members) = object else {
            refuseType(path.isEmpty ? "/" : path, "an object", object)
            return
        }
        for member in members where !known.contains(member.name) {
            // What was meant is sought among all names, which must not be done for ever.
            if invalid.count == Self.problemLimit { return }
            let advice = Spelling.nearest(to: member.name, in: known).map {
                "; did you mean '\($0)'?"
            }
            refuse("\(path)/\(member.name)", "there is no such field" + (advice ?? ""))
        }
    }

    private func given(_ object: JSON, _ name: String) -> JSON? {
        guard let value = object[name], !value.isNull else { return nil }
        return value
    }

    mutating func text(_ object: JSON, _ name: String, at path: String) -> String? {
        guard let value = given(object, name) else { return nil }
        guard case .string(let text) = value else {
            refuseType("\(path)/\(name)", "text", value)
            return nil
        }
        return text
    }

    mutating func flag(_ object: JSON, _ name: String, at path: String) -> Bool? {
        guard let value = given(object, name) else { return nil }
        guard case .bool(let flag) = value else {
            refuseType("\(path)/\(name)", "true or false", value)
            return nil
        }
        return flag
    }

    /// One of a few words.
    mutating func word<Word: RawRepresentable & CaseIterable>(
        _ object: JSON, _ name: String, at path: String, of type: Word.Type
    ) -> Word? where Word.RawValue == String {
        guard let text = text(object, name, at: path) else { return nil }
        if let word = Word(rawValue: text) { return word }
        let words = Word.allCases.map(\.rawValue)
        refuse("\(path)/\(name)", "must be one of \(words.joined(separator: ", "))")
        return nil
    }

    /// A number with `decimals` decimals, in units of the last one; bounds in whole units.
    mutating func number(
        _ object: JSON, _ name: String, at path: String, decimals: Int, in bounds: ClosedRange<Int>
    ) -> Int64? {
        guard let value = given(object, name) else { return nil }
        let field = "\(path)/\(name)"
        guard case .number(let digits) = value else {
            refuseType(field, "a number", value)
            return nil
        }
        let unit = (0..<decimals).reduce(Int64(1)) { product, _ in product * 10 }
        guard let number = Decimal.scaled(digits, decimals: decimals),
            number >= Int64(bounds.lowerBound) * unit, number <= Int64(bounds.upperBound) * unit
        else {
            refuse(
                field,
                digits.hasPrefix("-") && bounds.lowerBound >= 0
                    ? "may not be negative"
                    : "must lie between \(bounds.lowerBound) and \(bounds.upperBound)")
            return nil
        }
        return number
    }

    mutating func count(
        _ object: JSON, _ name: String, at path: String, in bounds: ClosedRange<Int>
    ) -> Int? {
        guard let thousandths = number(object, name, at: path, decimals: 3, in: bounds) else {
            return nil
        }
        guard thousandths % 1000 == 0 else {
            refuse("\(path)/\(name)", "must be a whole number")
            return nil
        }
        return Int(thousandths / 1000)
    }

    mutating func quantity(
        _ object: JSON, _ name: String, at path: String, upTo limit: Int
    ) -> Milli? {
        number(object, name, at: path, decimals: 3, in: 0...limit).map { Milli(thousandths: $0) }
    }

    /// Seconds, with milliseconds as decimals; at most a year.
    mutating func seconds(_ object: JSON, _ name: String, at path: String) -> Duration? {
        number(object, name, at: path, decimals: 3, in: 0...31_536_000).map { .milliseconds($0) }
    }

    mutating func list(_ object: JSON, _ name: String, at path: String) -> [JSON]? {
        guard let value = given(object, name) else { return nil }
        guard case .array(let elements) = value else {
            refuseType("\(path)/\(name)", "a list", value)
            return nil
        }
        return elements
    }

    mutating func texts(_ object: JSON, _ name: String, at path: String) -> [String]? {
        list(object, name, at: path)?.enumerated().compactMap { index, element in
            if case .string(let text) = element { return text }
            refuseType("\(path)/\(name)/\(index)", "text", element)
            return nil
        }
    }

    mutating func object(_ object: JSON, _ name: String, at path: String) -> JSON? {
        guard let value = given(object, name) else { return nil }
        guard case .object = value else {
            refuseType("\(path)/\(name)", "an object", value)
            return nil
        }
        return value
    }

    /// Names with texts, by name.
    mutating func texts(byName object: JSON, _ name: String, at path: String) -> [Label]? {
        guard let value = self.object(object, name, at: path) else { return nil }
        var labels: [Label] = []
        for member in value.members {
            guard case .string(let text) = member.value else {
                refuseType("\(path)/\(name)/\(member.name)", "text", member.value)
                continue
            }
            labels.append(Label(member.name, text))
        }
        return labels.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
    }
}

extension JSON {
    fileprivate var kindName: String {
        switch self {
        case .null: "null"
        case .bool: "true or false"
        case .number: "a number"
        case .string: "text"
        case .array: "a list"
        case .object: "an object"
        }
    }
}
