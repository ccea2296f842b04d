import Glibc
import ProfferZeroMQ
import Testing

@Suite("CURVE", .timeLimit(.minutes(1)))
struct CurveTests {
    private let serverKeys: KeyPair
    private let context: Context

    init() throws {
        serverKeys = try KeyPair.generate()
        context = try Context()
    }

    private func server() throws -> (End, String) {
        let end = try End(.router, context) {
            try $0.actAsServer(serverKeys, domain: "test")
        }
        return (end, try end.socket.bind("tcp://127.0.0.1:*"))
    }

    private func client(
        _ address: String, _ keys: KeyPair?, serverKey: String? = nil
    ) throws -> End {
        let end = try End(.dealer, context) { socket in
            if let keys {
                try socket.actAsClient(keys, server: serverKey ?? serverKeys.publicKey)
            }
        }
        try end.socket.connect(address)
        return end
    }

    @Test("an allowed key gets in, and every message carries it")
    func allowed() throws {
        let box = try AuthenticatorBox(context)
        let (router, address) = try server()
        let keys = try KeyPair.generate()
        box.allowed.set([keys.publicKey], domain: "test")
        let dealer = try client(address, keys)
        try eventually("connected", router, dealer, authenticator: box) {
            dealer.handshakes == 1
        }
        try dealer.socket.send([1])
        try eventually("heard", router, authenticator: box) { router.bodies == [[1]] }
        #expect(router.keys == [keys.publicKey])
        #expect(box.allowed.counts.accepted == 1)
        #expect(box.allowed.counts.refused == 0)
    }

    @Test("a key that is not on the list is refused, counted and named")
    func refused() throws {
        let box = try AuthenticatorBox(context)
        let (router, address) = try server()
        let keys = try KeyPair.generate()
        let dealer = try client(address, keys)
        try eventually("refused", router, dealer, authenticator: box) {
            router.problems.contains(.refused(status: 400))
        }
        #expect(box.allowed.counts.refused >= 1)
        #expect(box.allowed.counts.lastRefused == keys.publicKey)
        #expect(dealer.handshakes == 0)
        #expect(throws: ZeroMQError.self) { try dealer.socket.send([1]) }
    }

    @Test("a key of another domain is refused")
    func otherDomain() throws {
        let box = try AuthenticatorBox(context)
        let (router, address) = try server()
        let keys = try KeyPair.generate()
        box.allowed.set([keys.publicKey], domain: "other")
        let dealer = try client(address, keys)
        try eventually("refused", router, dealer, authenticator: box) {
            router.problems.contains(.refused(status: 400))
        }
        #expect(router.handshakes == 0)
    }

    @Test("without an authenticator nobody gets in")
    func noAuthenticator() throws {
        let (router, address) = try server()
        let dealer = try client(address, try KeyPair.generate())
        try eventually("refused", router, dealer) { !router.problems.isEmpty }
        #expect(router.handshakes == 0)
        #expect(dealer.handshakes == 0)
    }

    @Test("an empty domain is refused, because nobody would be asked about it")
    func emptyDomain() throws {
        let socket = try Socket(.router, in: context)
        let error = #expect(throws: ZeroMQError.self) {
            try socket.actAsServer(serverKeys, domain: "")
        }
        #expect(error?.code == EINVAL)
    }

    @Test("a client that expects another server key gets no further than the handshake")
    func wrongServerKey() throws {
        let box = try AuthenticatorBox(context)
        let (router, address) = try server()
        let keys = try KeyPair.generate()
        box.allowed.set([keys.publicKey], domain: "test")
        let dealer = try client(address, keys, serverKey: try KeyPair.generate().publicKey)
        try eventually("refused", router, dealer, authenticator: box) {
            !router.problems.isEmpty || router.disconnections > 0
        }
        #expect(router.handshakes == 0)
        #expect(dealer.handshakes == 0)
        #expect(box.allowed.counts.accepted == 0)
    }

    @Test("a client without encryption is refused")
    func plaintext() throws {
        let box = try AuthenticatorBox(context)
        let (router, address) = try server()
        let dealer = try client(address, nil)
        try eventually("refused", router, dealer, authenticator: box) {
            router.problems.contains(.mechanismMismatch)
        }
        #expect(router.handshakes == 0)
    }

    @Test("a context has one authenticator")
    func oneAuthenticator() throws {
        let box = try AuthenticatorBox(context)
        let error = #expect(throws: ZeroMQError.self) { _ = try AuthenticatorBox(context) }
        #expect(error?.code == EADDRINUSE)
        withExtendedLifetime(box) {}
    }
}

@Suite("KeyPair")
struct KeyPairTests {
    // The two pairs that the manual of libzmq's CURVE functions prints.
    private let printed = [
        (
            "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID",
            "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs"
        ),
        (
            "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7",
            "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6"
        ),
    ]

    private func problem(_ publicKey: String, _ secretKey: String) -> KeyProblem? {
        do {
            _ = try KeyPair(publicKey: publicKey, secretKey: secretKey)
            return nil
        } catch {
            return error
        }
    }

    private func problemOfLoading(_ path: String) -> KeyProblem? {
        do {
            _ = try KeyPair.load(path)
            return nil
        } catch {
            return error
        }
    }

    @Test("a generated pair is valid and differs from the next")
    func generate() throws {
        let pair = try KeyPair.generate()
        #expect(problem(pair.publicKey, pair.secretKey) == nil)
        #expect(try KeyPair.generate() != pair)
    }

    @Test("pairs that manuals print are refused, also on the allow-list")
    func publicTestKeys() {
        let allowed = AllowList()
        for (publicKey, secretKey) in printed {
            #expect(problem(publicKey, secretKey) == .publicTestKey)
            allowed.insert(publicKey, domain: "d")
            #expect(!allowed.allows(publicKey, domain: "d"))
        }
        allowed.set(printed.map(\.0), domain: "d")
        #expect(printed.allSatisfy { !allowed.allows($0.0, domain: "d") })
    }

    @Test("halves that do not belong together are refused")
    func mismatch() throws {
        let (first, second) = (try KeyPair.generate(), try KeyPair.generate())
        #expect(problem(first.publicKey, second.secretKey) == .mismatch)
    }

    @Test(
        "a text that is no key is refused",
        arguments: [
            "", "short", String(repeating: "~", count: 40), String(repeating: " ", count: 40),
            String(repeating: "é", count: 20), String(repeating: "a", count: 41),
            "aaaaa\0" + String(repeating: "a", count: 34), String(repeating: "#", count: 40),
        ])
    func noKey(text: String) throws {
        #expect(!KeyPair.isKey(text))
        let pair = try KeyPair.generate()
        #expect(problem(text, pair.secretKey) == .notAKey)
        #expect(problem(pair.publicKey, text) == .notAKey)
    }

    @Test("a saved pair is read back, and only its owner can read it")
    func file() throws {
        let scratch = try Scratch()
        let pair = try KeyPair.generate()
        try pair.save(scratch.file("key"))
        #expect(try KeyPair.load(scratch.file("key")) == pair)
        var status = stat()
        #expect(stat(scratch.file("key"), &status) == 0)
        #expect(status.st_mode & 0o777 == 0o600)
    }

    @Test("an existing file is never overwritten")
    func exclusive() throws {
        let scratch = try Scratch()
        let pair = try KeyPair.generate()
        try pair.save(scratch.file("key"))
        #expect(throws: KeyProblem.unreadable(scratch.file("key"), EEXIST)) {
            try KeyPair.generate().save(scratch.file("key"))
        }
        #expect(try KeyPair.load(scratch.file("key")) == pair)
    }

    @Test(
        "a key file that others can read or write is refused",
        arguments: [0o640, 0o620, 0o604, 0o602, 0o610, 0o644, 0o666, 0o777] as [mode_t])
    func tooOpen(mode: mode_t) throws {
        let scratch = try Scratch()
        let path = scratch.file("key")
        try KeyPair.generate().save(path)
        #expect(chmod(path, mode) == 0)
        #expect(problemOfLoading(path) == .tooOpen(path))
    }

    @Test("a symbolic link is refused, and so is what is no plain file")
    func links() throws {
        let scratch = try Scratch()
        try KeyPair.generate().save(scratch.file("key"))
        #expect(symlink(scratch.file("key"), scratch.file("link")) == 0)
        #expect(problemOfLoading(scratch.file("link")) == .unreadable(scratch.file("link"), ELOOP))
        #expect(mkfifo(scratch.file("pipe"), 0o600) == 0)
        #expect(problemOfLoading(scratch.file("pipe")) == .notAFile(scratch.file("pipe")))
        #expect(problemOfLoading(scratch.path) == .notAFile(scratch.path))
        let absent = scratch.file("absent")
        #expect(problemOfLoading(absent) == .unreadable(absent, ENOENT))
    }

    @Test("a file without a pair is refused")
    func noPair() throws {
        let scratch = try Scratch()
        let path = scratch.file("key")
        for text in ["", "\n", "public x\nsecret y\n", "public\nsecret\n"] {
            let file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
            _ = write(file, text, text.utf8.count)
            close(file)
            #expect(problemOfLoading(path) != nil)
        }
    }
}

@Suite("AllowList")
struct AllowListTests {
    @Test("setting a domain replaces its keys and leaves the others alone")
    func replacement() throws {
        let keys = try (0..<3).map { _ in try KeyPair.generate().publicKey }
        let allowed = AllowList()
        allowed.set([keys[0], keys[1]], domain: "a")
        allowed.set([keys[2]], domain: "b")
        allowed.set([keys[1], "nonsense"], domain: "a")
        #expect(!allowed.allows(keys[0], domain: "a"))
        #expect(allowed.allows(keys[1], domain: "a"))
        #expect(!allowed.allows(keys[1], domain: "b"))
        #expect(allowed.allows(keys[2], domain: "b"))
        #expect(!allowed.allows("nonsense", domain: "a"))
        #expect(!allowed.allows(keys[1], domain: ""))
    }
}
