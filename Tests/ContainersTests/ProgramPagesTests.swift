import Foundation
import ProfferContainers
import Testing

@Suite("Program pages")
struct ProgramPagesTests {
    /// The resident pages that belong to files, in KiB.
    private func residentFilePages() throws -> Int {
        let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
        let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("RssFile:") })
        return try #require(line.split(whereSeparator: \.isWhitespace).compactMap { Int($0) }.first)
    }

    @Test("a process that gives its program pages back holds less and goes on")
    func release() throws {
        let before = try residentFilePages()
        ProgramPages.release()
        let after = try residentFilePages()
        #expect(after < before)
        #expect((1...100).reduce(0, +) == 5050)
    }
}
