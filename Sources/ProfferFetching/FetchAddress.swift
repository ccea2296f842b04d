/// Something that cannot or may not be fetched, and why.
public struct FetchRefusal: Error, Hashable, CustomStringConvertible, Sendable {
    /// What is wrong with it.
    public let description: String

    /// Describes what is wrong.
    public init(_ description: String) { self.description = description }
}

/// Where a file comes from, read from its URI.
///
/// `http://`, `https://` and `file:` are known, and a plain absolute path. The fragment may hold
/// the checksum that the file must have, `#sha256=` and 64 hexadecimal digits; no server sees it.
public struct FetchAddress: Hashable, Sendable {
    /// How the file is got.
    public enum Source: Hashable, Sendable {
        /// From a server.
        case web(isSecure: Bool, host: String)
        /// From the node: the names from the root of its files.
        case node([String])
    }

    /// The URI without its fragment.
    public let text: String
    /// How the file is got.
    public let source: Source
    /// The last name of its path; `nil` when there is none.
    public let name: String?
    /// Its SHA-256 in lower-case hexadecimal digits, if it is checked.
    public let checksum: String?

    /// Reads a URI.
    ///
    /// - Throws: ``FetchRefusal`` that names what is wrong.
    public init(_ uri: String) throws(FetchRefusal) {
        let parts = uri.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false)
        text = parts.first.map(String.init) ?? ""
        guard text.utf8.count <= 4096, text.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else {
            throw FetchRefusal("it has blanks or control characters, or is too long")
        }
        checksum = try parts.count > 1 ? Self.checksum(String(parts[1])) : nil
        let text = self.text
        let end = text.range(of: "://")
        let scheme = end.map { text[..<$0.lowerBound].lowercased() }
        if let end, scheme == "http" || scheme == "https" {
            let rest = text[end.upperBound...]
            let authority = rest.prefix { $0 != "/" && $0 != "?" }
            source = .web(isSecure: scheme == "https", host: try Self.host(authority))
            let path = rest.dropFirst(authority.count).prefix { $0 != "?" }
            name = try Self.decoded(path.split(separator: "/").last.map(String.init))
        } else {
            let steps = try Self.nodePath(text)
            source = .node(steps)
            name = steps.last
        }
    }

    private static func checksum(_ fragment: String) throws(FetchRefusal) -> String {
        let digits = fragment.dropFirst("sha256=".count).lowercased()
        guard fragment.hasPrefix("sha256="), digits.utf8.count == 64,
            digits.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) })
        else {
            throw FetchRefusal("its fragment is not 'sha256=' and 64 hexadecimal digits")
        }
        return digits
    }

    private static func host(_ authority: Substring) throws(FetchRefusal) -> String {
        if authority.contains("@") {
            throw FetchRefusal("it has a user or password, which every log would show")
        }
        var host = authority
        if host.hasPrefix("["), let end = host.firstIndex(of: "]") {
            host = host[host.index(after: host.startIndex)..<end]
        } else if let colon = host.lastIndex(of: ":") {
            host = host[..<colon]
        }
        if host.isEmpty { throw FetchRefusal("it names no server") }
        return String(host)
    }

    private static func nodePath(_ text: String) throws(FetchRefusal) -> [String] {
        var path = text
        for prefix in ["file://localhost/", "file:///", "file:/"] where text.hasPrefix(prefix) {
            path = "/" + text.dropFirst(prefix.count)
            break
        }
        guard path.hasPrefix("/"), path == text || text.hasPrefix("file:") else {
            throw FetchRefusal("it begins with none of http://, https://, file:/// and /")
        }
        var steps: [String] = []
        for step in path.dropFirst().split(separator: "/", omittingEmptySubsequences: false) {
            guard let step = try decoded(String(step)) else { continue }
            steps.append(step)
        }
        if steps.isEmpty { throw FetchRefusal("it names no file") }
        return steps
    }

    /// A name without percent-encoding, if a file can have it.
    private static func decoded(_ name: String?) throws(FetchRefusal) -> String? {
        guard let name else { return nil }
        var bytes: [UInt8] = []
        var rest = Array(name.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == 0x25 else {
                bytes.append(byte)
                continue
            }
            guard rest.count >= 2,
                let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
            else { throw FetchRefusal("its percent-encoding is broken") }
            rest = rest.dropFirst(2)
            bytes.append(value)
        }
        guard let text = String(validating: bytes, as: UTF8.self), SandboxPath.isName(text) else {
            throw FetchRefusal("'\(name)' cannot be the name of a file")
        }
        return text
    }

    /// Where a redirection leads, for the next request.
    ///
    /// - Parameter location: The answer's header.
    /// - Returns: The next address.
    /// - Throws: ``FetchRefusal`` when it leads to anything but a server, or from one with TLS to
    ///   one without.
    public func redirected(to location: String) throws(FetchRefusal) -> FetchAddress {
        guard case .web(let isSecure, _) = source, let start = text.range(of: "://") else {
            throw FetchRefusal("only a server redirects")
        }
        let authority = text[start.upperBound...].prefix { $0 != "/" && $0 != "?" }
        let origin = text[..<start.upperBound] + authority
        let plain = location.prefix { $0 != "#" }
        let target: String
        if plain.contains("://") {
            target = String(plain)
        } else if plain.hasPrefix("//") {
            target = String(text[..<start.lowerBound] + ":" + plain)
        } else if plain.hasPrefix("/") {
            target = String(origin + plain)
        } else {
            throw FetchRefusal("the server redirects to '\(location)', which is no address")
        }
        let next = try FetchAddress(target)
        guard case .web(let isNextSecure, _) = next.source else {
            throw FetchRefusal("the server redirects to '\(target)', which is no server")
        }
        if isSecure, !isNextSecure {
            throw FetchRefusal("the server redirects from https to http")
        }
        return next
    }
}

extension String {
    /// The first place of a text in this one.
    fileprivate func range(of other: String) -> Range<Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(other) {
                return start..<index(start, offsetBy: other.count)
            }
            start = index(after: start)
        }
        return nil
    }
}
