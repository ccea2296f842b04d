internal import BatchPolicy
internal import Foundation

/// The outputs that were collected: `<path>/<job>/<task>/<index>/<file>`.
struct OutputFolder: Sendable {
    /// The most files that a list names.
    static let listLimit = 10_000

    let path: String

    /// The files of a job, by task, index and name.
    func list(job: String) -> [OutputObject] {
        var objects: [OutputObject] = []
        let base = URL(fileURLWithPath: path).appendingPathComponent(job)
        guard
            let files = FileManager.default.enumerator(
                at: base, includingPropertiesForKeys: [.fileSizeKey, .isRegularFileKey])
        else { return [] }
        let depth = base.standardizedFileURL.pathComponents.count
        for case let file as URL in files {
            let parts = file.standardizedFileURL.pathComponents.dropFirst(depth)
            let values = try? file.resourceValues(forKeys: [.fileSizeKey, .isRegularFileKey])
            guard objects.count < Self.listLimit, values?.isRegularFile == true,
                parts.count >= 3, let task = parts.first, let index = Int(parts[depth + 1]),
                !file.path.hasSuffix(".part")
            else { continue }
            objects.append(
                OutputObject(
                    task: task, index: index,
                    name: parts.dropFirst(2).joined(separator: "/"),
                    sizeBytes: Int64(values?.fileSize ?? 0)))
        }
        return objects.sorted {
            ($0.task, $0.index, $0.name) < ($1.task, $1.index, $1.name)
        }
    }

    /// The contents of one file; `nil` when there is none, or its name could lead elsewhere.
    func read(job: String, task: String, index: Int, file: String) -> Data? {
        guard JobSpecification.isName(task), OutputPath.isPlain(file), OutputPath.isPlain(job)
        else { return nil }
        return FileManager.default.contents(atPath: "\(path)/\(job)/\(task)/\(index)/\(file)")
    }
}
