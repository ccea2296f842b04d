internal import Proffer

/// A group as a request describes it.
///
/// What it leaves out stays as it is.
struct GroupUpdate {
    var path: AppPath
    var dependencies: [AppPath]?
    /// The apps directly in it; others are removed.
    var apps: [App]?
    /// The groups directly in it; others are removed.
    var groups: [GroupUpdate]?
}

/// Reads and judges the description of a group.
struct GroupReader {
    var fields = FieldReader()
    let role: String

    private static let fieldNames = [
        "id", "apps", "groups", "dependencies", "pods", "version", "enforceRole", "scaleBy",
    ]

    /// The group, or `nil` when something is wrong with it, see ``fields``.
    mutating func read(
        _ json: JSON, id: AppPath?, in base: AppPath, at field: String = ""
    ) -> GroupUpdate? {
        fields.checkNames(of: json, at: field, known: Self.fieldNames)
        guard case .object = json else { return nil }
        let stated = fields.text(json, "id", at: field).map { AppPath($0, in: base) }
        if stated == nil, id == nil {
            fields.refuse("\(field)/id", "is missing")
        }
        let path = id ?? stated ?? .root
        if let stated, stated != path {
            fields.refuse("\(field)/id", "is not the id of the address, '\(path)'")
        }
        if let problem = path.problem { fields.refuse("\(field)/id", problem) }
        if !path.isWithin(base) {
            fields.refuse("\(field)/id", "does not lie in the group '\(base)'")
        }
        if let pods = fields.list(json, "pods", at: field), !pods.isEmpty {
            fields.refuse("\(field)/pods", "pods are not supported; use apps")
        }
        var update = GroupUpdate(path: path)
        update.dependencies = fields.texts(json, "dependencies", at: field)
            .map { $0.map { AppPath($0, in: path.parent) }.sorted() }
        update.apps = readApps(json, in: path, at: field)
        update.groups = fields.list(json, "groups", at: field).map { list in
            list.enumerated().compactMap { index, element in
                read(element, id: nil, in: path, at: "\(field)/groups/\(index)")
            }
        }
        return fields.isClean ? update : nil
    }

    private mutating func readApps(_ json: JSON, in path: AppPath, at field: String) -> [App]? {
        guard let list = fields.list(json, "apps", at: field) else { return nil }
        var apps: [App] = []
        for (index, element) in list.enumerated() {
            let place = "\(field)/apps/\(index)"
            var reader = AppReader(path: place, role: role)
            reader.fields = fields
            let app = reader.read(element, in: path)
            fields = reader.fields
            let id = element["id"]?.text.map { AppPath($0, in: path) }
            if let id, id.parent != path {
                fields.refuse("\(place)/id", "'\(id)' does not lie directly in '\(path)'")
            }
            if let id, apps.contains(where: { $0.id == id }) {
                fields.refuse("\(place)/id", "'\(id)' is given twice")
            }
            if let app { apps.append(app) }
        }
        return apps
    }
}
