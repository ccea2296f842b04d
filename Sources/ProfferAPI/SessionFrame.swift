/// One piece of a conversation with a program in a task, in either direction.
///
/// On the wire: one byte for the kind, four for the length of the rest, the highest first, and that
/// many bytes.
public enum SessionFrame: Hashable, Sendable {
    /// The most that one frame holds beside its head, in bytes.
    public static let limit = 64 << 10

    /// To the program: input.
    case input([UInt8])
    /// To the program: there is no more input.
    case endOfInput
    /// To the program: the size of the terminal.
    case size(rows: UInt16, columns: UInt16)
    /// Whoever sends this is there.
    case alive
    /// From the program: what it wrote to its terminal or standard output.
    case output([UInt8])
    /// From the program: what it wrote to its standard error.
    case error([UInt8])
    /// The program has ended with this code; 128 and the number when a signal ended it.
    case ended(code: UInt32)

    private var kind: UInt8 {
        switch self {
        case .input: 0
        case .endOfInput: 1
        case .size: 2
        case .alive: 3
        case .output: 4
        case .error: 5
        case .ended: 6
        }
    }

    /// The bytes of the frame.
    public var bytes: [UInt8] {
        let body: [UInt8] =
            switch self {
            case .input(let bytes), .output(let bytes), .error(let bytes): bytes
            case .endOfInput, .alive: []
            case .size(let rows, let columns): Self.bytes(rows) + Self.bytes(columns)
            case .ended(let code): Self.bytes(code)
            }
        return [kind] + Self.bytes(UInt32(body.count)) + body
    }

    private static func bytes(_ number: some FixedWidthInteger) -> [UInt8] {
        withUnsafeBytes(of: number.bigEndian) { Array($0) }
    }

    fileprivate init?(_ kind: UInt8, _ body: [UInt8]) {
        func number(_ range: Range<Int>) -> UInt32 {
            body[range].reduce(0) { $0 << 8 | UInt32($1) }
        }
        switch (kind, body.count) {
        case (0, _): self = .input(body)
        case (1, 0): self = .endOfInput
        case (2, 4): self = .size(rows: UInt16(number(0..<2)), columns: UInt16(number(2..<4)))
        case (3, 0): self = .alive
        case (4, _): self = .output(body)
        case (5, _): self = .error(body)
        case (6, 4): self = .ended(code: number(0..<4))
        case _: return nil
        }
    }
}

/// Puts frames together from bytes as they come.
public struct SessionFrameReader: Sendable {
    private var bytes: [UInt8] = []

    /// Makes a reader that has read nothing.
    public init() {}

    /// Takes bytes and returns the frames that are whole now.
    ///
    /// - Throws: ``SessionFrameProblem`` when they are no frames.
    public mutating func take(
        _ more: some Sequence<UInt8>
    ) throws(SessionFrameProblem) -> [SessionFrame] {
        bytes += more
        var frames: [SessionFrame] = []
        var start = 0
        while bytes.count - start >= 5 {
            let length = bytes[(start + 1)..<(start + 5)].reduce(0) { $0 << 8 | Int($1) }
            guard length <= SessionFrame.limit else { throw SessionFrameProblem() }
            guard bytes.count - start - 5 >= length else { break }
            let body = Array(bytes[(start + 5)..<(start + 5 + length)])
            guard let frame = SessionFrame(bytes[start], body) else {
                throw SessionFrameProblem()
            }
            frames.append(frame)
            start += 5 + length
        }
        bytes.removeFirst(start)
        return frames
    }
}

/// Bytes that are no frame.
public struct SessionFrameProblem: Error, CustomStringConvertible, Sendable {
    /// One sentence.
    public var description: String { "what was sent is no frame of a session" }
}
