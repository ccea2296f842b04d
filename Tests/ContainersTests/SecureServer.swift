import Glibc
import ProfferModel
import Testing

@testable import ProfferContainers

/// A server for HTTPS whose certificate nobody has signed.
final class SecureServer {
    static let isPossible = ["curl", "openssl"].allSatisfy { name in
        ["/usr/local/bin/", "/usr/bin/", "/bin/"].contains { access($0 + name, X_OK) == 0 }
    }

    let port: Int
    private var watcher: ProcessWatcher

    init(_ scratch: Scratch) throws {
        let script = """
            openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=test -days 1 \
              -keyout key.pem -out cert.pem 2>log
            exec openssl s_server -accept 127.0.0.1:0 -cert cert.pem -key key.pem -www >said 2>&1
            """
        watcher = try ProcessWatcher()
        try watcher.watchChild(try ProcessLauncher.start(scratch.plan(script)), token: 1)
        var found: Int?
        _ = eventually {
            let line = scratch.text("said").split(separator: "\n").first {
                $0.hasPrefix("ACCEPT 127.0.0.1:")
            }
            found = line?.split(separator: ":").last.flatMap { Int($0) }
            return found != nil
        }
        port = try #require(found)
    }

    deinit { end() }

    func end() {
        if watcher.signalGroup(1, SIGKILL) { _ = watcher.takeEnds(within: 10_000) }
    }
}
