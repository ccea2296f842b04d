@_spi(Driver) internal import ProfferKernel

extension Outbox {
    /// Takes every effect out; the simulator plays the shells' part.
    mutating func all() -> ContiguousArray<Effect> { takeAll() }
}
