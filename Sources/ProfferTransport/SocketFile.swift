internal import Glibc

/// The file of a socket that listens on `ipc://`, removed when the socket goes.
///
/// libzmq leaves it behind. Only the very file is removed: by then another program may listen on
/// the same path.
struct SocketFile {
    private let path: String
    private let device: dev_t
    private let number: ino_t

    init?(_ address: String) {
        guard address.hasPrefix("ipc://"), !address.hasPrefix("ipc://@") else { return nil }
        path = String(address.dropFirst(6))
        var status = stat()
        guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK else { return nil }
        device = status.st_dev
        number = status.st_ino
    }

    func remove() {
        var status = stat()
        guard lstat(path, &status) == 0, status.st_dev == device, status.st_ino == number else {
            return
        }
        unlink(path)
    }
}
