internal import ProfferContainers
internal import ProfferExecutor
internal import ProfferIsolation
internal import ProfferKernel
internal import ProfferModel

/// What one task uses of one directory, beside what it has taken.
struct DiskUse: Sendable {
    var id: TaskID
    var path: String
    /// What the directory is, for people.
    var name: String
    var limit: Milli

    /// Measures what is in the directory; takes as long as it takes.
    ///
    /// - Returns: A sentence when that is too much, else `nil`.
    func problem() -> String? {
        let bytes = DiskSize.bytes(of: path)
        guard bytes / 1_048_576 >= limit.thousandths / 1000, bytes > limitBytes else { return nil }
        return "it uses \((bytes + 1_048_575) / 1_048_576) MiB of \(name), and has taken \(limit)"
    }

    private var limitBytes: Int64 {
        let (bytes, isTooMuch) = limit.thousandths.multipliedReportingOverflow(by: 1_048_576)
        return isTooMuch ? .max : bytes / 1000
    }
}

extension TaskHost.Running {
    /// The directories that a task has taken disk for: its sandbox, and its volumes.
    ///
    /// A task that has taken no disk is not held to any.
    func disks(_ settings: IsolationSettings) -> [DiskUse] {
        var uses: [DiskUse] = []
        var plain = Milli.zero
        for item in resources.items where item.name == "disk" {
            guard case .scalar(let amount) = item.value else { continue }
            guard let place = item.volumePlace(below: settings.volumes.directory) else {
                plain += amount
                continue
            }
            // A whole file system cannot be used beyond its size.
            if place.names.isEmpty { continue }
            uses.append(
                DiskUse(
                    id: id, path: place.path,
                    name: "the volume '\(item.disk?.persistenceID ?? "")'", limit: amount))
        }
        if plain > .zero {
            uses.append(DiskUse(id: id, path: sandbox, name: "its sandbox", limit: plain))
        }
        return uses
    }
}
