import ProfferFetching
import ProfferIsolation
import ProfferModel
import Testing

@Suite("Addresses of files")
struct AddressTests {
    @Test(
        "a server, the node, a name",
        arguments: [
            ("http://h/a/b.tar?x=1", FetchAddress.Source.web(isSecure: false, host: "h"), "b.tar"),
            ("HTTPS://h:8443/a%20b", .web(isSecure: true, host: "h"), "a b"),
            ("http://[::1]:80/x", .web(isSecure: false, host: "::1"), "x"),
            ("https://h", .web(isSecure: true, host: "h"), nil),
            ("file:///a/b", .node(["a", "b"]), "b"), ("file:/a/b", .node(["a", "b"]), "b"),
            ("file://localhost/a", .node(["a"]), "a"), ("/a/b", .node(["a", "b"]), "b"),
        ] as [(String, FetchAddress.Source, String?)])
    func read(uri: String, source: FetchAddress.Source, name: String?) throws {
        let address = try FetchAddress(uri)
        #expect(address.source == source)
        #expect(address.name == name)
        #expect(address.checksum == nil)
    }

    @Test(
        "what is none or leads elsewhere is refused",
        arguments: [
            "", "a/b", "ftp://h/x", "http://", "http:///x", "http://u:p@h/x", "file://other/x",
            "file:///a/../b", "/a/./b", "/a//b", "/", "/a/%2e%2e/b", "/a/%2F", "/a%00b",
            "http://h/%zz",
            "http://h/%2e%2e", "http://h/a b", "http://h/a\n", "http://h/x#md5=1",
            "http://h/x#sha256=12",
            "http://h/x#sha256=" + String(repeating: "g", count: 64),
            "http://h/" + String(repeating: "x", count: 5000),
        ])
    func refused(uri: String) {
        #expect(throws: FetchRefusal.self) { try FetchAddress(uri) }
    }

    @Test("the fragment is the checksum, and no part of the address")
    func checksum() throws {
        let digits = String(repeating: "Ab", count: 32)
        let address = try FetchAddress("http://h/x#sha256=" + digits)
        #expect(address.checksum == digits.lowercased())
        #expect(address.text == "http://h/x")
    }

    @Test(
        "redirections lead to servers only, and not out of TLS",
        arguments: [
            ("http://h:1/a/b", "/c", "http://h:1/c"), ("https://h/a", "//g/c", "https://g/c"),
            ("http://h/a", "https://g/c#x", "https://g/c"), ("https://h/a", "http://g/c", nil),
            ("http://h/a", "file:///etc/passwd", nil), ("http://h/a", "/../c/..", nil),
            ("http://h/a", "c", nil), ("/a", "http://h/", nil),
        ] as [(String, String, String?)])
    func redirected(from: String, to: String, result: String?) throws {
        let address = try FetchAddress(from)
        let next = try? address.redirected(to: to)
        #expect(next?.text == result)
    }

    @Test(
        "what becomes of a file follows from its name and the wishes of the task",
        arguments: [
            (FetchURI(value: "/d/x.tar.gz"), ["x.tar.gz"], ArchiveKind.archive),
            (FetchURI(value: "/d/x.tar.gz", extract: false), ["x.tar.gz"], nil),
            (FetchURI(value: "/d/x.zip", isExecutable: true), ["x.zip"], nil),
            (
                FetchURI(value: "/d/x.gz", outputFile: "a/y"), ["a", "y"],
                .compressed(program: "gzip", name: "y")
            ),
            (FetchURI(value: "/d/x.XZ"), ["x.XZ"], .compressed(program: "xz", name: "x")),
            (FetchURI(value: "/d/.tar"), [".tar"], nil),
            (FetchURI(value: "/d/x", outputFile: "./b.tar"), ["b.tar"], .archive),
        ] as [(FetchURI, [String], ArchiveKind?)])
    func plan(uri: FetchURI, path: [String], archive: ArchiveKind?) throws {
        let plan = try FetchPlan(uri)
        #expect(plan.path == path)
        #expect(plan.archive == archive)
    }

    @Test(
        "an output file that leads out, or is the task's output, is refused",
        arguments: ["../x", "/x", "a/../../x", "stdout", "stderr.3", "./stdout", "a\0b"])
    func output(path: String) {
        #expect(throws: FetchRefusal.self) {
            try FetchPlan(FetchURI(value: "/d/x", outputFile: path))
        }
    }

    @Test(
        "addresses of the node and its wire are closed, unless they are listed",
        arguments: [
            ([127, 0, 0, 1], false), ([169, 254, 169, 254], false), ([0, 0, 0, 0], false),
            ([224, 0, 0, 1], false), ([255, 255, 255, 255], false), ([10, 1, 2, 3], true),
            ([8, 8, 8, 8], true), ([1, 2, 3], false),
            (Array(repeating: 0, count: 15) + [1], false),
            ([0xFE, 0x80] + Array(repeating: 0, count: 14), false),
            (Array(repeating: 0, count: 10) + [0xFF, 0xFF, 127, 0, 0, 1], false),
            ([0x20, 1] + Array(repeating: 0, count: 14), true),
        ] as [([UInt8], Bool)])
    func networks(address: [UInt8], isOpen: Bool) {
        #expect(FetchNetworks().allows(address) == isOpen)
    }

    @Test("a list opens what it names and nothing else")
    func listed() throws {
        let networks = try FetchNetworks(["127.0.0.0/9", "9.9.9.9"]) { text in
            let parts = text.split(separator: ".").compactMap { UInt8($0) }
            return parts.count == 4 ? parts : nil
        }
        #expect(networks.allows([127, 0, 0, 1]))
        #expect(networks.allows(Array(repeating: 0, count: 10) + [0xFF, 0xFF, 127, 0, 0, 1]))
        #expect(!networks.allows([127, 128, 0, 1]))
        #expect(networks.allows([9, 9, 9, 9]))
        #expect(!networks.allows([9, 9, 9, 8]))
        for text in ["x", "1.2.3.4/33", "1.2.3.4/-1", "1.2.3.4/8/8", ""] {
            #expect(throws: FetchRefusal.self) {
                try FetchNetworks([text]) { $0 == "1.2.3.4" ? [1, 2, 3, 4] : nil }
            }
        }
    }
}

@Suite("Cache of fetched files")
struct CachePolicyTests {
    private func entry(_ key: String, _ bytes: Int64, _ lastUse: Int64, _ uses: Int = 0)
        -> CacheEntry
    {
        CacheEntry(key: key, bytes: bytes, lastUse: lastUse, uses: uses)
    }

    @Test("those used longest ago go, as few as are needed, and none that is in use")
    func victims() {
        let policy = CachePolicy(limit: 100)
        let entries = [entry("new", 30, 3), entry("used", 40, 1, 2), entry("old", 20, 2)]
        #expect(policy.victims(toFit: 10, among: entries) == [])
        #expect(policy.victims(toFit: 11, among: entries) == ["old"])
        #expect(policy.victims(toFit: 60, among: entries) == ["old", "new"])
        #expect(policy.victims(toFit: 61, among: entries) == nil)
        #expect(policy.victims(toFit: 101, among: []) == nil)
        #expect(policy.victims(toFit: -1, among: []) == nil)
        #expect(policy.victims(toFit: 1, among: [entry("a", .max, 1), entry("b", .max, 2)]) == nil)
    }
}

@Suite("Orders to the fetcher")
struct FetchOrderTests {
    @Test("orders and settings come back from their text")
    func text() throws {
        let order = FetchOrder(
            uris: [
                FetchURI(value: "http://h/x", isExecutable: true, extract: false),
                FetchURI(value: "/y", cache: true, outputFile: "z\"\\"),
            ], sandbox: "/s", user: 4_294_967_294, group: 7)
        #expect(FetchOrder(json: try JSON(text: order.json.description)) == order)
        var settings = FetchSettings()
        settings.directory = "/d"
        settings.roots = ["/r"]
        settings.networks = []
        settings.stall = .seconds(9)
        settings.entries = 5
        #expect(FetchSettings(json: try JSON(text: settings.json.description)) == settings)
        #expect(FetchSettings(json: .null) == FetchSettings())
        #expect(FetchOrder(json: ["sandbox": "/s", "user": -1, "group": 0]) == nil)
    }
}
