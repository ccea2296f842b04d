/// The top-level role above a role, or the role itself.
func topLevelRole(_ role: String) -> String { String(role.prefix { $0 != "/" }) }

/// What forbids a role's name, or `nil`.
///
/// A path separated by slashes; `*` alone is the default role. Parts may not be empty, `.`, `..`,
/// `*`, begin with `-` or contain white space, backspace or delete.
func problemOfRole(_ role: String) -> String? {
    if role == "*" { return nil }
    if role.isEmpty { return "a role's name may not be empty" }
    for part in role.split(separator: "/", omittingEmptySubsequences: false) {
        if part.isEmpty { return "the role '\(role)' has an empty part" }
        if part == "." || part == ".." || part == "*" {
            return "the role '\(role)' may not have '\(part)' as a part"
        }
        if part.hasPrefix("-") { return "a part of the role '\(role)' begins with '-'" }
        if part.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7F }) {
            return "the role '\(role)' contains white space or a control character"
        }
    }
    return nil
}
