/// A part of a value that is kept apart from it, so that what it belongs to stays small.
///
/// Values are copied as often as they are handed on. A box costs an allocation when it is made and
/// one reference wherever it is copied to.
final class Box<Value: Hashable & Sendable>: Hashable, Sendable, CustomStringConvertible {
    let value: Value

    init(_ value: Value) { self.value = value }

    static func == (left: Box, right: Box) -> Bool {
        left === right || left.value == right.value
    }

    func hash(into hasher: inout Hasher) { hasher.combine(value) }

    var description: String { String(describing: value) }
}
