/// Columns of text, as wide as they need to be.
struct Table {
    let header: [String]
    var rows: [[String]] = []

    init(_ header: [String]) { self.header = header }

    /// Adds a row; what could move the cursor of a terminal, or turn the order of what it shows,
    /// becomes a blank.
    mutating func add(_ row: [String]) { rows.append(row.map(harmless)) }

    var text: String {
        let all = [header] + rows
        let widths = header.indices.map { column in
            all.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0
        }
        return all.map { row in
            var line = ""
            for (column, cell) in row.enumerated() {
                line += cell
                if column < row.count - 1 {
                    line += String(repeating: " ", count: widths[column] - cell.count + 2)
                }
            }
            return line
        }.joined(separator: "\n")
    }
}

/// A text that shows as one line from left to right, whatever somebody has put into it.
func harmless(_ text: String) -> String {
    String(
        String.UnicodeScalarView(
            text.unicodeScalars.map { scalar in
                switch scalar.properties.generalCategory {
                case .control, .format, .lineSeparator, .paragraphSeparator: " "
                default: scalar
                }
            }))
}

/// The first `count` characters of an id, enough to tell it from others on a screen.
func short(_ id: String, _ count: Int = 24) -> String {
    id.count <= count ? id : String(id.prefix(count - 1)) + "…"
}
