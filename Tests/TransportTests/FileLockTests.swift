import Foundation
import ProfferTransport
import Testing

@Suite("File lock")
struct FileLockTests {
    private let path = NSTemporaryDirectory() + "proffer-lock-" + UUID().uuidString

    @Test("one holder at a time; the next is told which process has it")
    func exclusive() throws {
        defer { try? FileManager.default.removeItem(atPath: path) }
        let first = try FileLock(path)
        #expect(throws: FileLock.Problem.taken(process: "\(getpid())")) { try FileLock(path) }
        first.release()
        first.release()
        let second = try FileLock(path)
        withExtendedLifetime(second) {}
        let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions]
        #expect((mode as? NSNumber)?.intValue == 0o600)
    }

    @Test("the end of its owner lets go of it")
    func lifetime() throws {
        defer { try? FileManager.default.removeItem(atPath: path) }
        do { _ = try FileLock(path) }
        _ = try FileLock(path)
    }

    @Test("a symbolic link, and a directory that is not there, are refused")
    func unusable() throws {
        defer { try? FileManager.default.removeItem(atPath: path) }
        try FileManager.default.createSymbolicLink(
            atPath: path, withDestinationPath: "/dev/null")
        #expect(throws: FileLock.Problem.unusable(code: ELOOP)) { try FileLock(path) }
        let nowhere = path + "-none/lock"
        #expect(throws: FileLock.Problem.unusable(code: ENOENT)) { try FileLock(nowhere) }
    }
}
