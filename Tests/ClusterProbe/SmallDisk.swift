internal import Foundation
internal import Glibc

/// A file system of a few kibibytes, unmounted and removed at the end.
public final class SmallDisk: Sendable {
    /// Where it is mounted.
    public let path: String

    /// Whether this process may mount one.
    public static var isPossible: Bool {
        guard geteuid() == 0, let disk = try? SmallDisk(kibibytes: 64) else { return false }
        return access(disk.path, W_OK) == 0
    }

    /// Mounts a file system of `kibibytes` at a new directory.
    public convenience init(kibibytes: Int) throws {
        var template = Array("/tmp/proffer-disk-XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else {
            throw NeverHappened(description: "no temporary directory: \(errno)")
        }
        try self.init(kibibytes: kibibytes, at: String(cString: made))
    }

    /// Mounts a file system of `kibibytes` at an empty directory, which is removed with it.
    public init(kibibytes: Int, at path: String) throws {
        self.path = path
        let options = "size=\(kibibytes)k,mode=0700"
        guard mount("tmpfs", path, "tmpfs", 0, options) == 0 else {
            rmdir(path)
            throw NeverHappened(description: "no small file system: \(errno)")
        }
    }

    /// Gives it another size.
    public func resize(kibibytes: Int) throws {
        guard mount("tmpfs", path, "tmpfs", UInt(MS_REMOUNT), "size=\(kibibytes)k") == 0 else {
            throw NeverHappened(description: "the file system keeps its size: \(errno)")
        }
    }

    /// Takes what room is left, with a file.
    public func fill() throws {
        try TextFile.write("", to: path + "/filler")
        let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path + "/filler"))
        let block = Data(repeating: 1, count: 4096)
        while (try? file.write(contentsOf: block)) != nil {}
        try file.close()
    }

    deinit {
        umount2(path, Int32(MNT_DETACH))
        rmdir(path)
    }
}
