internal import Foundation
internal import Logging
internal import ProfferZeroMQ
internal import ServiceLifecycle

/// The keys that may connect in one domain, one per line; what follows a key is a comment.
public struct AllowListFile: Sendable {
    /// The file.
    public let path: String
    /// The ZAP domain whose peers it lets in.
    public let domain: String

    /// Names a file; it need not exist, then nobody is let in.
    public init(path: String, domain: String) {
        self.path = path
        self.domain = domain
    }

    /// The keys in the file, and the lines that are none.
    func read() -> (keys: [String], wrong: [Int]) {
        guard let data = FileManager.default.contents(atPath: path) else { return ([], []) }
        var keys: [String] = []
        var wrong: [Int] = []
        // A carriage return with its line feed is one character, and not "\n".
        let lines = String(decoding: data, as: UTF8.self).split(
            omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        for (index, line) in lines.enumerated() {
            guard let word = line.split(whereSeparator: \.isWhitespace).first else { continue }
            // A key may begin with '#', which is a letter of Z85: only "# " begins a comment.
            if word == "#" { continue }
            if KeyPair.isKey(String(word)), !KeyPair.isPublicTestKey(String(word)) {
                keys.append(String(word))
            } else {
                wrong.append(index + 1)
            }
        }
        return (keys, wrong)
    }

    /// What tells one state of the file from another; `nil` when there is none.
    func stamp() -> Stamp? {
        guard let attributes = try? FileManager.default.attributesOfItem(atPath: path) else {
            return nil
        }
        return Stamp(
            modified: attributes[.modificationDate] as? Date,
            size: (attributes[.size] as? NSNumber)?.intValue,
            number: (attributes[.systemFileNumber] as? NSNumber)?.intValue)
    }

    struct Stamp: Equatable {
        var modified: Date?
        var size: Int?
        var number: Int?
    }
}

/// Keeps an ``AllowList`` as its files are.
struct AllowListService: Service {
    /// How often the files are looked at.
    private static let interval = Duration.seconds(1)

    private let files: [AllowListFile]
    private let allowList: AllowList
    private let logger: Logger
    /// The files as they were before they were read: whoever changes one later is noticed.
    private let stamps: [AllowListFile.Stamp?]

    /// Reads every file once.
    init(files: [AllowListFile], allowList: AllowList, logger: Logger) {
        self.files = files
        self.allowList = allowList
        self.logger = logger
        stamps = files.map { $0.stamp() }
        for file in files { load(file) }
    }

    private func load(_ file: AllowListFile) {
        let (keys, wrong) = file.read()
        allowList.set(keys, domain: file.domain)
        logger.info(
            "read who may connect",
            metadata: ["file": "\(file.path)", "keys": "\(keys.count)"])
        for line in wrong {
            logger.warning(
                "a line holds no key and was skipped",
                metadata: ["file": "\(file.path)", "line": "\(line)"])
        }
    }

    func run() async throws {
        try? await cancelWhenGracefulShutdown {
            var stamps = stamps
            while !Task.isCancelled {
                try await Task.sleep(for: Self.interval)
                for (index, file) in files.enumerated() where file.stamp() != stamps[index] {
                    stamps[index] = file.stamp()
                    load(file)
                }
            }
        }
    }
}
