/// Stops the process when something is not as our own code promised.
///
/// Stays on in release builds: state that is wrong must not be acted on. Never for outside input;
/// that is refused with a typed error.
public func invariant(
    _ condition: @autoclosure () -> Bool, _ message: @autoclosure () -> String,
    file: StaticString = #fileID, line: UInt = #line
) {
    if !condition() { fatalError("invariant broken: \(message())", file: file, line: line) }
}
