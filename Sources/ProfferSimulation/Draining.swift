@_spi(Driver) internal import ProfferKernel

extension Outbox {
    /// Takes every effect out; the simulator plays the shells' part.
    mutating func all() -> ContiguousArray<Effect> { takeAll() }
}

extension Machine {
    /// The next deadline, asked for in place: reading a property of a machine that is kept in an
    /// object copies the machine first.
    mutating func deadline() -> Instant? { nextDeadline }
}
