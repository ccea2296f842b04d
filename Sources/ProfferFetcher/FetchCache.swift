internal import Crypto
internal import Glibc
internal import ProfferFetching

/// Files that were fetched and may be wanted again, shared by all fetchers of an agent.
///
/// Each file is named by the digest of its address. Who takes a copy holds a lock on it, which the
/// kernel lets go however the holder ends: the locks are the counts of uses. Who fetches holds a
/// lock on the address, so others wait for the file instead of fetching it too.
struct FetchCache {
    let directory: String
    let policy: CachePolicy

    /// Finds a file, or has it fetched.
    ///
    /// - Parameters:
    ///   - address: Where it comes from.
    ///   - fetch: Fills an empty file that is open for reading and writing.
    /// - Returns: The open file, which stays whole until it is closed, and whether it was there.
    /// - Throws: What `fetch` throws, and ``TreeProblem`` when the cache cannot be used.
    func find(
        _ address: String, fetch: (Int32) async throws -> Void
    ) async throws -> (file: Int32, wasThere: Bool) {
        let key = Self.key(address)
        let lock = try await self.lock(key)
        defer { close(lock) }
        let path = "\(directory)/\(key)"
        if let file = try? open(path, O_RDONLY) {
            flock(file, LOCK_SH)
            futimens(file, nil)
            return (file, true)
        }
        let part = "\(path).part"
        unlink(part)
        let file = try open(part, O_RDWR | O_CREAT | O_EXCL)
        do {
            flock(file, LOCK_EX)
            try await fetch(file)
            try keep(file, part, as: path)
        } catch {
            unlink(part)
            close(file)
            throw error
        }
        return (file, false)
    }

    /// The lock on an address.
    private func lock(_ key: String) async throws -> Int32 {
        while true {
            let lock = try open("\(directory)/\(key).lock", O_RDWR | O_CREAT)
            // Tried again and again: the kernel tells nobody when a lock is free but a thread that
            // is blocked for it, and one of those that run tasks must not be.
            if flock(lock, LOCK_EX | LOCK_NB) == 0 {
                var status = stat()
                // One that was removed before it was taken keeps nobody else away.
                if fstat(lock, &status) == 0, status.st_nlink > 0 { return lock }
                close(lock)
                continue
            }
            let code = errno
            close(lock)
            guard code == EWOULDBLOCK || code == EINTR else { throw TreeProblem("lock", [key]) }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    /// Removes a file, and the lock on its address unless somebody has it.
    private func remove(_ key: String) {
        unlink("\(directory)/\(key)")
        guard let lock = try? open("\(directory)/\(key).lock", O_RDWR) else { return }
        defer { close(lock) }
        if flock(lock, LOCK_EX | LOCK_NB) == 0 { unlink("\(directory)/\(key).lock") }
    }

    private func keep(_ file: Int32, _ part: String, as path: String) throws {
        let lock = try open("\(directory)/lock", O_RDWR | O_CREAT)
        defer { close(lock) }
        guard flock(lock, LOCK_EX) == 0 else { throw TreeProblem("lock", [directory]) }
        var status = stat()
        fstat(file, &status)
        guard let victims = policy.victims(toFit: Int64(status.st_size), among: entries()) else {
            // It serves this time only.
            unlink(part)
            return
        }
        for key in victims { remove(key) }
        flock(file, LOCK_SH)
        guard rename(part, path) == 0 else { throw TreeProblem("rename", [part]) }
    }

    /// What is there; what a fetcher that died has left half done is removed.
    func entries() -> [CacheEntry] {
        guard let stream = opendir(directory) else { return [] }
        defer { closedir(stream) }
        var entries: [CacheEntry] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            let isPart = name.hasSuffix(".part")
            guard isPart || name.utf8.count == 64 else { continue }
            if isPart {
                removeLeftover(name)
                continue
            }
            guard let file = try? open("\(directory)/\(name)", O_RDONLY) else { continue }
            defer { close(file) }
            let isFree = flock(file, LOCK_EX | LOCK_NB) == 0
            var status = stat()
            fstat(file, &status)
            entries.append(
                CacheEntry(
                    key: name, bytes: Int64(status.st_size), lastUse: Int64(status.st_mtim.tv_sec),
                    uses: isFree ? 0 : 1))
        }
        return entries
    }

    /// Removes what is half done, unless somebody is at it: whoever fetches has the lock on the
    /// address from before the file is made, when it has none itself, until it is whole.
    private func removeLeftover(_ part: String) {
        let lock = try? open("\(directory)/\(part.dropLast(5)).lock", O_RDWR)
        defer { if let lock { close(lock) } }
        if let lock, flock(lock, LOCK_EX | LOCK_NB) != 0 { return }
        unlink("\(directory)/\(part)")
    }

    private func open(_ path: String, _ flags: Int32) throws -> Int32 {
        let file = Glibc.open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else { throw TreeProblem("open", [path]) }
        return file
    }

    static func key(_ address: String) -> String {
        Digits.text(SHA256.hash(data: Array(address.utf8)))
    }
}

/// Hexadecimal digits.
enum Digits {
    static func text(_ bytes: some Sequence<UInt8>) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        for byte in bytes { text += [digits[Int(byte >> 4)], digits[Int(byte & 15)]] }
        return String(decoding: text, as: UTF8.self)
    }
}
