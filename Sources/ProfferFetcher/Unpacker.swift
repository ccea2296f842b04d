internal import CLinux
internal import Glibc
internal import ProfferContainers
internal import ProfferFetching
internal import ProfferIsolation
internal import ProfferModel

/// Unpacks archives into a sandbox.
///
/// Programs that know the formats only turn what they read into a plain stream: they run without
/// privileges, see no directory and make no file. Every file is made here, by ``SandboxTree``, once
/// ``ArchiveRule`` has decided on it.
struct Unpacker {
    let tree: SandboxTree
    let settings: FetchSettings
    /// Where the programs run: an empty directory of their own.
    let directory: String
    /// Who runs them; `nil` is whoever runs this process.
    let user: String?

    /// Unpacks an archive with many files below a directory of the sandbox.
    func unpackArchive(_ archive: Int32, below top: [String]) throws {
        try checkFormat(archive)
        var reader = TarReader()
        var rule = ArchiveRule(byteLimit: settings.unpackedBytes, entryLimit: settings.entries)
        var writer = EntryWriter(tree: tree, top: top)
        defer { writer.abandon() }
        let arguments = ["bsdtar", "-cf", "-", "--format=gnutar", "@-"]
        try stream(arguments, from: archive) { bytes in
            try reader.take(bytes) { event in
                switch event {
                case .entry(let entry): try writer.begin(rule.item(for: entry))
                case .content(let bytes): try writer.write(bytes)
                case .entryEnd: try writer.end()
                }
            }
        }
        guard reader.isAtEnd else { throw FetchRefusal("it is damaged: its end is missing") }
    }

    /// Lets archives of the usual formats through only: the tool knows others, and one of them,
    /// mtree, has it read files of the node.
    private func checkFormat(_ archive: Int32) throws {
        var end: [UInt8] = []
        try stream(["bsdtar", "-tvvf", "-"], from: archive) { bytes in
            end = (end + bytes).suffix(200)
        }
        let line = String(decoding: end, as: UTF8.self).split(separator: "\n").last ?? ""
        guard let format = line.split(separator: ",").first, ArchiveRule.allows(String(format))
        else { throw FetchRefusal("it is neither a tar nor a zip archive") }
    }

    /// Unpacks one compressed file.
    func unpackFile(_ file: Int32, with program: String, to steps: [String]) throws {
        let target = try tree.makeFile(steps)
        var left = settings.unpackedBytes
        do {
            try stream([program, "-dc"], from: file) { bytes in
                left -= Int64(bytes.count)
                if left < 0 {
                    throw FetchRefusal("it unpacks to more than \(settings.unpackedBytes) bytes")
                }
                try FileCopy.write(bytes, to: target)
            }
        } catch {
            close(target)
            throw error
        }
        try tree.finish(target, mode: 0o644, steps)
    }

    /// Runs a program over an open file and hands on what it writes.
    private func stream(
        _ arguments: [String], from input: Int32, _ take: ([UInt8]) throws -> Void
    ) throws {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw TreeProblem("make", ["a pipe"]) }
        defer { close(ends[0]) }
        let words = linux_memory_file("words")
        defer { close(words) }
        lseek(input, 0, SEEK_SET)
        var confinement = Confinement()
        confinement.keepsUnprivileged = true
        confinement.limits = [
            ProcessLimit(.addressSpace, soft: 1 << 30, hard: 1 << 30),
            ProcessLimit(.fileSize, soft: 64 << 20, hard: 64 << 20),
            ProcessLimit(.cpu, soft: 3600, hard: 3600),
            ProcessLimit(.core, soft: 0, hard: 0),
        ]
        let command = CommandInfo(
            value: arguments[0], shell: false, arguments: arguments, user: user)
        var watcher = try ProcessWatcher()
        do {
            let path = EnvironmentVariable(name: "PATH", value: "/usr/bin:/bin:/usr/local/bin")
            defer { close(ends[1]) }
            let process = try ProcessLauncher.start(
                ProcessPlan(
                    command: command,
                    environment: [path, EnvironmentVariable(name: "LC_ALL", value: "C.UTF-8")],
                    directory: directory, output: .descriptors(output: ends[1], error: words),
                    input: input, confinement: confinement), isExact: false)
            try watcher.watchChild(process, token: 1)
        }
        do {
            try Self.readAll(ends[0], take)
        } catch {
            watcher.signalGroup(1, SIGKILL)
            _ = watcher.takeEnds(within: -1)
            throw error
        }
        let exit = watcher.takeEnds(within: -1).first?.exit
        guard exit?.code == 0 else { throw refusal(arguments[0], words) }
    }

    private static func readAll(_ pipe: Int32, _ take: ([UInt8]) throws -> Void) throws {
        while true {
            let size = 262_144
            var count = 0
            let bytes = [UInt8](unsafeUninitializedCapacity: size) { buffer, used in
                count = Glibc.read(pipe, buffer.baseAddress, size)
                used = max(0, count)
            }
            if count < 0, errno == EINTR { continue }
            if count <= 0 { return }
            try take(bytes)
        }
    }

    private func refusal(_ program: String, _ words: Int32) -> FetchRefusal {
        let bytes = [UInt8](unsafeUninitializedCapacity: 1000) { buffer, used in
            used = max(0, pread(words, buffer.baseAddress, 1000, 0))
        }
        let line = String(decoding: bytes, as: UTF8.self).split(separator: "\n").first ?? ""
        let plain = line.unicodeScalars.map { $0.value < 0x20 ? "?" : String($0) }.joined()
        return FetchRefusal("it cannot be unpacked: \(plain.isEmpty ? program : plain)")
    }
}

/// Makes the entries of an archive, one after the other.
private struct EntryWriter {
    let tree: SandboxTree
    let top: [String]
    private var file: (descriptor: Int32, mode: UInt32, steps: [String])?

    init(tree: SandboxTree, top: [String]) {
        self.tree = tree
        self.top = top
    }

    mutating func begin(_ item: ArchiveItem?) throws {
        switch item {
        case nil: break
        case .directory(let steps, let mode): try tree.makeDirectory(top + steps, mode: mode)
        case .file(let steps, let mode):
            file = (try tree.makeFile(top + steps), mode, top + steps)
        case .symbolicLink(let steps, let target): try tree.makeLink(top + steps, to: target)
        case .hardLink(let steps, let target):
            try tree.makeHardLink(top + steps, of: top + target)
        }
    }

    func write(_ bytes: [UInt8]) throws {
        if let file { try FileCopy.write(bytes, to: file.descriptor) }
    }

    mutating func end() throws {
        guard let file else { return }
        self.file = nil
        try tree.finish(file.descriptor, mode: file.mode, file.steps)
    }

    mutating func abandon() {
        if let file { close(file.descriptor) }
        file = nil
    }
}
