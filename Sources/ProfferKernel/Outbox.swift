/// Effects in the order in which they must be carried out.
///
/// Machines append; only a driver drains (`@_spi(Driver)`), so that no machine can read back what
/// it has said.
public struct Outbox<Effect>: ~Copyable {
    @usableFromInline
    var effects: ContiguousArray<Effect> = []

    /// Makes an empty outbox.
    @inlinable
    public init() {}

    /// Whether nothing waits to be carried out.
    @inlinable
    public var isEmpty: Bool { effects.isEmpty }

    /// Appends one effect.
    ///
    /// Amortised O(1).
    @inlinable
    public mutating func append(_ effect: consuming Effect) {
        effects.append(effect)
    }

    /// Hands every effect to `body`, in order, and empties the outbox, keeping its storage.
    ///
    /// When `body` throws, the effects it has had, the failing one included, are gone; the rest
    /// stay for the next call.
    @_spi(Driver)
    @inlinable
    public mutating func drain<Failure: Error>(
        _ body: (Effect) throws(Failure) -> Void
    ) throws(Failure) {
        var handled = 0
        defer { effects.removeFirst(handled) }
        while handled < effects.count {
            handled += 1
            try body(effects[handled - 1])
        }
    }

    /// Takes every effect out at once.
    @_spi(Driver)
    @inlinable
    public mutating func takeAll() -> ContiguousArray<Effect> {
        let taken = effects
        effects = []
        return taken
    }
}
