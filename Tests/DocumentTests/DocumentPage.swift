import Foundation

/// A page of the documents, with the commands that it shows.
struct DocumentPage {
    /// A piece of a page between two lines of three marks.
    struct Block {
        var line: Int
        var language: String
        var text: String
    }

    /// A command, on one line.
    struct Command {
        var line: Int
        var text: String
    }

    /// The root of the source tree.
    static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// The path from the root.
    let path: String
    let blocks: [Block]

    init(path: String, text: String) {
        self.path = path
        var blocks: [Block] = []
        var open: Block?
        for (index, line) in text.components(separatedBy: "\n").enumerated() {
            if line.hasPrefix("```") {
                if let block = open {
                    blocks.append(block)
                    open = nil
                } else {
                    open = Block(line: index + 2, language: String(line.dropFirst(3)), text: "")
                }
            } else {
                open?.text += line + "\n"
            }
        }
        self.blocks = blocks
    }

    init(_ path: String) throws {
        let url = Self.root.appendingPathComponent(path)
        self.init(path: path, text: try String(contentsOf: url, encoding: .utf8))
    }

    /// The README and every page below `Docs`.
    static func all() throws -> [DocumentPage] {
        let docs = root.appendingPathComponent("Docs")
        let names = try FileManager.default.subpathsOfDirectory(atPath: docs.path)
        let paths = names.filter { $0.hasSuffix(".md") }.sorted().map { "Docs/" + $0 }
        return try (["README.md"] + paths).map { try DocumentPage($0) }
    }

    /// The commands of the blocks that say `sh`; lines that end in `\` go on.
    var commands: [Command] {
        blocks.filter { $0.language == "sh" }.flatMap { block in
            var found: [Command] = []
            var isContinued = false
            for (offset, line) in block.text.split(separator: "\n").enumerated() {
                let part = line.hasSuffix("\\") ? String(line.dropLast()) : String(line)
                if isContinued {
                    found[found.count - 1].text += part.drop { $0 == " " }
                } else {
                    found.append(Command(line: block.line + offset, text: part))
                }
                isContinued = line.hasSuffix("\\")
            }
            return found
        }
    }

    /// Blocks that do not say `sh` although they begin with a command.
    var hiddenCommands: [Block] {
        let programs: Set<String> = [
            "make", "swift", "proffer", "proffer-master", "proffer-agent", "service-scheduler",
            "batch-scheduler", "curl", "apt", "apt-get", "sudo", "cd", "git", "export",
        ]
        return blocks.filter { block in
            guard block.language != "sh" else { return false }
            return block.text.split(separator: "\n").contains { line in
                let words = line.split(separator: " ").drop { $0 == "$" }
                guard let first = words.first else { return false }
                return programs.contains(first.split(separator: "/").last.map(String.init) ?? "")
            }
        }
    }
}
