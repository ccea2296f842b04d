internal import CLinux
internal import Glibc
internal import ProfferIsolation

/// Files that are never on a disk.
public enum MemoryFile {
    /// Whether a directory or file is in memory.
    public static func isInMemory(_ path: String) -> Bool { linux_directory_in_memory(path) != 0 }

    /// Writes a file that only one user may read, and nobody write.
    ///
    /// - Throws: ``SystemError`` when it exists, or would be on a disk.
    static func make(
        _ path: String, _ contents: SecretContents, for owner: ContainerUser
    ) throws(SystemError) {
        let flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW
        let descriptor = open(path, flags, 0o400)
        guard descriptor >= 0 else { throw SystemError("make", path, code: errno) }
        defer { close(descriptor) }
        guard linux_file_in_memory(descriptor) != 0 else {
            unlink(path)
            throw SystemError(
                "hand over a secret at", path, code: EPERM,
                hint: "it would be written to a disk; the node needs a tmpfs at /run or /dev/shm")
        }
        do throws(SystemError) {
            try write(contents.bytes, to: descriptor, path)
            // The executor may be somebody whose files all belong to that user already.
            guard fchown(descriptor, owner.id, owner.group) == 0, fchmod(descriptor, 0o400) == 0
            else { throw SystemError("give away", path, code: errno) }
        } catch {
            unlink(path)
            throw error
        }
    }

    private static func write(
        _ bytes: [UInt8], to descriptor: Int32, _ path: String
    ) throws(SystemError) {
        var written = 0
        while written < bytes.count {
            let count = bytes[written...].withUnsafeBytes {
                Glibc.write(descriptor, $0.baseAddress, $0.count)
            }
            guard count > 0 else { throw SystemError("write to", path, code: errno) }
            written += count
        }
    }
}
