import ArgumentParser
import Foundation
import ProfferZeroMQ
import Testing

@testable import ProfferCommands

@Suite("Making keys")
struct KeygenTests {
    @Test("a key pair can be used, is its owner's alone, and is never written over another")
    func keygen() throws {
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("proffer-keygen-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.appendingPathComponent("client.key").path
        try KeygenCommand.parse([path]).run()
        let first = try KeyPair.load(path)
        #expect(KeyPair.isKey(first.publicKey))
        #expect(throws: CommandProblem.self) { try KeygenCommand.parse([path]).run() }
        #expect(try KeyPair.load(path).publicKey == first.publicKey)
    }
}
