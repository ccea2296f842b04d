import Foundation

/// One text file of the source tree.
struct SourceFile: Sendable {
    /// The path below the root of the package.
    var path: String
    /// Its lines as they are.
    var lines: [String]
    /// For Swift files, its lines without comments and the contents of string literals.
    var code: [[Token]]

    init(_ path: String, _ text: String) {
        self.path = path
        lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        if lines.last?.isEmpty == true { lines.removeLast() }
        code = path.hasSuffix(".swift") ? SwiftText(text).tokens(lineCount: lines.count) : []
    }

    /// The folder directly below `Sources`, `Tests` or `Examples`: for Sources, the target.
    var target: String? {
        let parts = path.split(separator: "/")
        return parts.count > 2 ? String(parts[1]) : nil
    }

    var isSwift: Bool { path.hasSuffix(".swift") }
}

/// Something in the tree that a rule does not allow.
struct Violation: Hashable, CustomStringConvertible {
    var path: String
    var line: Int
    var problem: String

    var description: String { "\(path):\(line): \(problem)" }
}

/// The files that people have written: no build products, no generated code.
struct SourceTree: Sendable {
    var files: [SourceFile]

    /// The tree that this test was compiled from.
    static let current = SourceTree(root: rootPath(#filePath))

    init(files: [SourceFile]) { self.files = files }

    init(root: String) {
        let textEndings = [
            "swift", "md", "sh", "proto", "yml", "yaml", "json", "h", "modulemap", "svg",
        ]
        let bareNames = ["Makefile", "LICENSE", "run", "setup", "docs", "swift-files"]
        var found: [SourceFile] = []
        let walk = FileManager.default.enumerator(atPath: root)
        while let path = walk?.nextObject() as? String {
            let name = path.split(separator: "/").last.map(String.init) ?? path
            if name == ".git" || name.hasPrefix(".build") || name == ".swiftpm" {
                walk?.skipDescendants()
                continue
            }
            let isText =
                bareNames.contains(name)
                || textEndings.contains { name.hasSuffix("." + $0) }
            guard isText, !path.contains("/Generated/"),
                let data = FileManager.default.contents(atPath: root + "/" + path)
            else { continue }
            found.append(SourceFile(path, String(decoding: data, as: UTF8.self)))
        }
        files = found.sorted { $0.path < $1.path }
    }

    private static func rootPath(_ file: String) -> String {
        URL(fileURLWithPath: file).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().path
    }

    /// The Swift files below any of the folders.
    func swift(below folders: String...) -> [SourceFile] {
        files.filter { file in
            file.isSwift && folders.contains { file.path.hasPrefix($0 + "/") }
        }
    }

    subscript(path: String) -> SourceFile? { files.first { $0.path == path } }
}
