internal import Foundation
internal import ProfferAPI

/// An explanation as lines: how many agents there are, how many each check removes, how many are
/// left, and what else decides.
struct Funnel {
    private let explanation: ExplanationObject
    private let role: String
    private let wanted: [String: String]
    private let hosts: [String: String]

    /// - Parameters:
    ///   - explanation: What the master said.
    ///   - role: The role it is about.
    ///   - wanted: The scalars of one instance.
    ///   - hosts: The host names of agents by their ids.
    init(
        _ explanation: ExplanationObject, role: String, wanted: [String: String],
        hosts: [String: String]
    ) {
        self.explanation = explanation
        self.role = role
        self.wanted = wanted
        self.hosts = hosts
    }

    private struct Row {
        var label: String
        var value: String
        var remark = ""
    }

    var lines: [String] {
        var rows = [Row(label: "agents known", value: "\(explanation.agents)")]
        for step in explanation.steps {
            rows.append(
                Row(
                    label: "- \(plain(step.title))", value: "\(step.removed)",
                    remark: remark(step)))
        }
        rows.append(Row(label: "= fits", value: "\(explanation.fitting)"))
        for (index, state) in explanation.quota.enumerated() {
            rows.append(
                Row(
                    label: index == 0 ? "quota of \(topRole)" : "",
                    value: isWithin(state) ? "ok" : "full", remark: quota(state)))
        }
        rows.append(
            Row(
                label: "share",
                value: String(format: "%.1f%%", explanation.share * 100),
                remark: "\(explanation.ahead) ahead"))
        let width = max(34, rows.map { $0.label.count + 2 + $0.value.count }.max() ?? 0)
        var lines = rows.map { row in
            let gap = String(repeating: " ", count: width - row.label.count - row.value.count)
            let line = "  \(row.label)\(gap)\(row.value)"
            return row.remark.isEmpty ? line : line + "   " + row.remark
        }
        if let obstacle = explanation.obstacle { lines.append("  but: \(plain(obstacle))") }
        for (index, text) in explanation.suggestions.enumerated() {
            lines.append((index == 0 ? "next: " : "  or: ") + plain(text))
        }
        return lines
    }

    private var topRole: Substring { role.prefix { $0 != "/" } }

    /// Text of a master or framework that cannot move the cursor of a terminal.
    private func plain(_ text: String) -> String {
        String(
            String.UnicodeScalarView(
                text.unicodeScalars.map {
                    $0.properties.generalCategory == .control ? " " : $0
                }))
    }

    private func remark(_ step: ExplanationObject.Step) -> String {
        var parts: [String] = []
        if step.check == "resources", let best {
            parts.append(best)
        } else {
            let names = step.examples.prefix(3).map { plain(hosts[$0] ?? $0) }
            if !names.isEmpty {
                let more = step.removed > names.count ? ", ..." : ""
                parts.append(names.joined(separator: ", ") + more)
            }
        }
        if step.alone != step.removed { parts.append("alone would remove \(step.alone)") }
        return parts.joined(separator: "; ")
    }

    /// The most of what is missing that is free on one agent.
    private var best: String? {
        guard
            let miss = explanation.nearest.first(where: { $0.failed == ["resources"] })
                ?? explanation.nearest.first(where: { $0.failed.contains("resources") }),
            let name = miss.missing.keys.sorted().first,
            let missing = miss.missing[name].flatMap(Double.init),
            let amount = wanted[name].flatMap(Double.init)
        else { return nil }
        return "best free: \(quantity(max(0, amount - missing), of: name)) "
            + "on \(plain(miss.hostname))"
    }

    private func isWithin(_ state: ExplanationObject.QuotaState) -> Bool {
        guard let limit = state.limit.flatMap(Double.init) else { return true }
        let consumed = Double(state.consumed) ?? 0
        return consumed + (wanted[state.name].flatMap(Double.init) ?? 0) <= limit
    }

    private func quota(_ state: ExplanationObject.QuotaState) -> String {
        let consumed = number(Double(state.consumed) ?? 0)
        var text = consumed
        if let limit = state.limit.flatMap(Double.init) { text += " of \(number(limit))" }
        text += " \(state.name)"
        if let guarantee = Double(state.guarantee), guarantee > 0 {
            text += ", \(number(guarantee)) guaranteed"
        }
        return plain(text)
    }

    private func number(_ value: Double) -> String { String(format: "%.1f", value) }

    private func quantity(_ value: Double, of name: String) -> String {
        guard name == "mem" || name == "disk" else {
            return plain("\(number(value)) \(name)")
        }
        return value >= 1024
            ? String(format: "%.1f GiB", value / 1024) : String(format: "%.0f MiB", value)
    }
}

/// A span as people say it: `12s`, `4m12s`, `3h05m`, `2d04h`.
func span(_ seconds: Double) -> String {
    let whole = Int(min(max(0, seconds), 1e9))
    switch whole {
    case ..<60: return "\(whole)s"
    case ..<3600: return String(format: "%dm%02ds", whole / 60, whole % 60)
    case ..<86_400: return String(format: "%dh%02dm", whole / 3600, whole / 60 % 60)
    default: return String(format: "%dd%02dh", whole / 86_400, whole / 3600 % 24)
    }
}
