import ProfferAPI
import Testing

@Suite("Frames of sessions")
struct SessionFrameTests {
    private static let all: [SessionFrame] = [
        .input([1, 2, 3]), .input([]), .endOfInput, .size(rows: 513, columns: 65_535), .alive,
        .output(Array(repeating: 7, count: SessionFrame.limit)), .error([0]),
        .ended(code: 4_000_000_000),
    ]

    @Test("frames come as they went, however the bytes are cut", arguments: [1, 2, 5, 6, 1000])
    func roundTrip(piece: Int) throws {
        let bytes = Self.all.flatMap(\.bytes)
        var reader = SessionFrameReader()
        var found: [SessionFrame] = []
        for start in stride(from: 0, to: bytes.count, by: piece) {
            found += try reader.take(bytes[start..<min(start + piece, bytes.count)])
        }
        #expect(found == Self.all)
    }

    @Test(
        "what is no frame is refused",
        arguments: [
            [9, 0, 0, 0, 0], [2, 0, 0, 0, 3, 1, 1, 1], [6, 0, 0, 0, 1, 0], [1, 0, 0, 0, 1, 0],
            [0, 0, 1, 0, 1],
        ] as [[UInt8]])
    func malformed(bytes: [UInt8]) {
        var reader = SessionFrameReader()
        #expect(throws: SessionFrameProblem.self) { try reader.take(bytes) }
    }
}
