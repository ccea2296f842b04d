import ProfferFetching
import Testing

@Suite("Archives")
struct ArchiveTests {
    private func items(_ entries: TarEntry...) throws -> [ArchiveItem?] {
        var rule = ArchiveRule(byteLimit: 100, entryLimit: 5)
        return try entries.map { try rule.item(for: $0) }
    }

    @Test("files, directories and links within are made, without the bits that give rights")
    func made() throws {
        let items = try items(
            TarEntry(kind: .directory, path: "./", mode: 0o755),
            TarEntry(kind: .directory, path: "./a/b/", mode: 0o1777),
            TarEntry(kind: .file, path: "a//b/./run", mode: 0o104755, size: 100),
            TarEntry(kind: .symbolicLink, path: "a/b/link", target: "../../a/run"),
            TarEntry(kind: .hardLink, path: "again", target: "a/b/run"))
        #expect(
            items == [
                nil, .directory(["a", "b"], mode: 0o777), .file(["a", "b", "run"], mode: 0o755),
                .symbolicLink(["a", "b", "link"], target: "../../a/run"),
                .hardLink(["again"], of: ["a", "b", "run"]),
            ])
    }

    static let hostile: [TarEntry] = [
        TarEntry(kind: .file, path: "../x"), TarEntry(kind: .file, path: "a/../../x"),
        TarEntry(kind: .file, path: "a/.."), TarEntry(kind: .file, path: "/etc/passwd"),
        TarEntry(kind: .file, path: ""), TarEntry(kind: .file, path: "."),
        TarEntry(kind: .file, path: "a\0b"), TarEntry(kind: .directory, path: ".."),
        TarEntry(kind: .file, path: String(repeating: "x", count: 256)),
        TarEntry(kind: .file, path: String(repeating: "x/", count: 65) + "x"),
        TarEntry(kind: .file, path: "stdout"), TarEntry(kind: .file, path: "stderr.1"),
        TarEntry(kind: .symbolicLink, path: "l", target: "/etc"),
        TarEntry(kind: .symbolicLink, path: "l", target: ".."),
        TarEntry(kind: .symbolicLink, path: "a/l", target: "../.."),
        TarEntry(kind: .symbolicLink, path: "a/b/l", target: "m/../../x"),
        TarEntry(kind: .symbolicLink, path: "a/b/l", target: "m/.."),
        TarEntry(kind: .symbolicLink, path: "l", target: ""),
        TarEntry(kind: .symbolicLink, path: "stdout", target: "x"),
        TarEntry(kind: .hardLink, path: "l", target: "/etc/passwd"),
        TarEntry(kind: .hardLink, path: "l", target: "../x"),
        TarEntry(kind: .hardLink, path: "l", target: "stdout"),
        TarEntry(kind: .hardLink, path: "l", target: ""),
        TarEntry(kind: .other(0x33), path: "null"), TarEntry(kind: .other(0x34), path: "sda"),
        TarEntry(kind: .other(0x36), path: "pipe"), TarEntry(kind: .other(0x53), path: "sparse"),
        TarEntry(kind: .file, path: "x", size: 101), TarEntry(kind: .file, path: "x", size: .max),
        TarEntry(kind: .file, path: "x", size: -1),
    ]

    @Test("what could leave the sandbox, or is no file, refuses the archive", arguments: hostile)
    func refused(entry: TarEntry) {
        #expect(throws: FetchRefusal.self) { try items(entry) }
    }

    @Test("only the usual formats are unpacked")
    func formats() {
        #expect(ArchiveRule.allows("Archive Format: POSIX ustar format"))
        #expect(ArchiveRule.allows("Archive Format: ZIP 2.0 (deflation)"))
        for line in ["Archive Format: mtree", "Archive Format: raw", "", "ZIP"] {
            #expect(!ArchiveRule.allows(line))
        }
    }

    @Test("the sums of bytes and entries are limited")
    func limits() {
        let half = TarEntry(kind: .file, path: "x", size: 51)
        #expect(throws: FetchRefusal.self) { try items(half, half) }
        let empty = TarEntry(kind: .file, path: "x")
        #expect(throws: FetchRefusal.self) { try items(empty, empty, empty, empty, empty, empty) }
    }
}

@Suite("Reader of the tape format")
struct TarReaderTests {
    private static func field(_ text: String, _ count: Int) -> [UInt8] {
        let bytes = Array(text.utf8)
        return bytes + Array(repeating: 0, count: count - bytes.count)
    }

    private static func octal(_ value: Int, _ count: Int) -> [UInt8] {
        let digits = String(value, radix: 8)
        return field(String(repeating: "0", count: count - 1 - digits.count) + digits, count)
    }

    static func header(
        _ path: String, type: Character = "0", size: Int = 0, target: String = "",
        mode: Int = 0o644, prefix: String = ""
    ) -> [UInt8] {
        var bytes = field(path, 100) + octal(mode, 8) + octal(0, 8) + octal(0, 8)
        bytes += octal(size, 12) + octal(0, 12) + Array(repeating: 0x20, count: 8)
        bytes += [type.asciiValue ?? 0] + field(target, 100) + field("ustar\0" + "00", 8)
        bytes += Array(repeating: 0, count: 80) + field(prefix, 155)
        bytes += Array(repeating: 0, count: 512 - bytes.count)
        let sum = bytes.reduce(0) { $0 + Int($1) }
        bytes.replaceSubrange(148..<156, with: octal(sum, 7) + [0x20])
        return bytes
    }

    private static func padded(_ text: String) -> [UInt8] {
        let bytes = Array(text.utf8)
        return bytes + Array(repeating: 0, count: (512 - bytes.count % 512) % 512)
    }

    private static let long = String(repeating: "long/", count: 60) + "name"

    static let archive: [UInt8] =
        header("dir/", type: "5", mode: 0o755) + header("dir/a", size: 5, mode: 0o4755)
        + padded("hello") + header("b", prefix: "pre") + header("l", type: "2", target: "dir/a")
        + header("././@LongLink", type: "L", size: long.utf8.count + 1) + padded(long + "\0")
        + header("cut", size: 600) + padded(String(repeating: "x", count: 600))
        + Array(repeating: 0, count: 1024)

    private func read(_ bytes: [UInt8], by count: Int) throws -> ([TarEntry], [String], Bool) {
        var reader = TarReader()
        var entries: [TarEntry] = []
        var contents: [String] = []
        var start = 0
        while start < bytes.count {
            let piece = Array(bytes[start..<min(bytes.count, start + count)])
            start += count
            try reader.take(piece) { event in
                switch event {
                case .entry(let entry):
                    entries.append(entry)
                    contents.append("")
                case .content(let bytes):
                    contents[contents.count - 1] += String(decoding: bytes, as: UTF8.self)
                case .entryEnd: break
                }
            }
        }
        return (entries, contents, reader.isAtEnd)
    }

    @Test(
        "entries come with their content, however the bytes are cut", arguments: [1, 7, 512, 9999])
    func cut(count: Int) throws {
        let (entries, contents, isAtEnd) = try read(Self.archive, by: count)
        #expect(isAtEnd)
        #expect(entries.map(\.path) == ["dir/", "dir/a", "pre/b", "l", Self.long])
        #expect(
            entries.map(\.kind) == [.directory, .file, .file, .symbolicLink, .file])
        #expect(contents == ["", "hello", "", "", String(repeating: "x", count: 600)])
        #expect(entries[1].mode == 0o4755)
        #expect(entries[3].target == "dir/a")
    }

    @Test("what is cut short is not at its end, and damage is refused")
    func damage() throws {
        #expect(try read(Array(Self.archive.dropLast(1024)), by: 512).2 == false)
        for place in stride(from: 0, to: 512, by: 37) {
            var bytes = Self.archive
            bytes[place] ^= 0x11
            #expect(throws: FetchRefusal.self) { try read(bytes, by: 512) }
        }
        let directory = Self.header("d", type: "5", size: 5)
        #expect(throws: FetchRefusal.self) { try read(directory, by: 512) }
        let name = Self.header("x", type: "L", size: 1 << 20)
        #expect(throws: FetchRefusal.self) { try read(name, by: 512) }
    }

    @Test("numbers that no archive has are refused, not trusted")
    func numbers() {
        for head in [[0xFF], [0xBF], Array("9".utf8)] as [[UInt8]] {
            var bytes = Self.header("x")
            let field = head + Array(repeating: 0xFF, count: 12 - head.count)
            bytes.replaceSubrange(124..<136, with: field)
            bytes.replaceSubrange(148..<156, with: Array(repeating: 0x20, count: 8))
            let sum = bytes.reduce(0) { $0 + Int($1) }
            bytes.replaceSubrange(148..<156, with: Self.octal(sum, 7) + [0x20])
            #expect(throws: FetchRefusal.self) { try read(bytes, by: 512) }
        }
    }
}
