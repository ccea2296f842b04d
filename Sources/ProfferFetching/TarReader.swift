/// One entry of an archive.
public struct TarEntry: Hashable, Sendable {
    /// What an entry is.
    public enum Kind: Hashable, Sendable {
        /// A file with content.
        case file
        /// A directory.
        case directory
        /// A symbolic link.
        case symbolicLink
        /// Another name of an earlier file.
        case hardLink
        /// Anything else, by the number of its type.
        case other(UInt8)
    }

    /// What it is.
    public var kind: Kind
    /// Its path.
    public var path: String
    /// Where a link leads.
    public var target: String
    /// Its permissions, with all bits that the archive has.
    public var mode: UInt32
    /// How long its content is.
    public var size: Int64

    /// Sets every field; what is left out has the default shown.
    public init(
        kind: Kind, path: String, target: String = "", mode: UInt32 = 0o644, size: Int64 = 0
    ) {
        self.kind = kind
        self.path = path
        self.target = target
        self.mode = mode
        self.size = size
    }
}

/// Reads the tape format as it comes, in pieces of any size: that of POSIX (ustar) and that of GNU
/// with its long names.
public struct TarReader: Sendable {
    /// What was read.
    public enum Event: Hashable, Sendable {
        /// An entry begins.
        case entry(TarEntry)
        /// More of the content of the entry that began last.
        case content([UInt8])
        /// The entry is complete.
        case entryEnd
    }

    private enum Part: Hashable {
        case header
        case content(left: Int64, padding: Int)
        case longName(isTarget: Bool, left: Int64, padding: Int)
        case padding(Int)
        case end
    }

    private static let blockSize = 512
    private static let nameLimit: Int64 = 65_536
    private var part = Part.header
    private var block: [UInt8] = []
    private var longName: [UInt8] = []
    private var nextPath: String?
    private var nextTarget: String?

    /// Begins with an archive.
    public init() {}

    /// Whether the archive has come to its end mark.
    public var isAtEnd: Bool { part == .end }

    /// Takes the next bytes.
    ///
    /// - Parameters:
    ///   - bytes: Any number.
    ///   - sink: Gets what was read, in order.
    /// - Throws: ``FetchRefusal`` when this is no such archive, and what `sink` throws.
    public mutating func take(_ bytes: [UInt8], _ sink: (Event) throws -> Void) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            switch part {
            case .end: return
            case .header:
                let count = min(rest.count, Self.blockSize - block.count)
                block += rest.prefix(count)
                rest = rest.dropFirst(count)
                if block.count == Self.blockSize { try readHeader(sink) }
            case .padding(let left):
                let count = min(rest.count, left)
                rest = rest.dropFirst(count)
                part = count == left ? .header : .padding(left - count)
            case .content(let left, let padding):
                let count = Int(min(Int64(rest.count), left))
                try sink(.content(Array(rest.prefix(count))))
                rest = rest.dropFirst(count)
                part = .content(left: left - Int64(count), padding: padding)
                if left == Int64(count) {
                    try sink(.entryEnd)
                    part = padding > 0 ? .padding(padding) : .header
                }
            case .longName(let isTarget, let left, let padding):
                let count = Int(min(Int64(rest.count), left))
                longName += rest.prefix(count)
                rest = rest.dropFirst(count)
                part = .longName(isTarget: isTarget, left: left - Int64(count), padding: padding)
                guard left == Int64(count) else { continue }
                let name = try Self.text(longName[...])
                if isTarget { nextTarget = name } else { nextPath = name }
                part = padding > 0 ? .padding(padding) : .header
            }
        }
    }

    private mutating func readHeader(_ sink: (Event) throws -> Void) throws {
        let header = block
        block = []
        if header.allSatisfy({ $0 == 0 }) {
            part = .end
            return
        }
        try Self.check(header)
        let size = try Self.number(header[124..<136])
        let padding = Int((512 - size % 512) % 512)
        let type = header[156]
        if type == 0x4C || type == 0x4B {
            guard (1...Self.nameLimit).contains(size) else {
                throw FetchRefusal("a name in it is too long")
            }
            longName = []
            part = .longName(isTarget: type == 0x4B, left: size, padding: padding)
            return
        }
        var path = try Self.text(header[0..<100])
        let isPOSIX = header[257..<263] == [0x75, 0x73, 0x74, 0x61, 0x72, 0]
        if isPOSIX {
            let prefix = try Self.text(header[345..<500])
            if !prefix.isEmpty { path = prefix + "/" + path }
        }
        let hasContent = type == 0x30 || type == 0 || type == 0x37
        let entry = TarEntry(
            kind: Self.kind(type, path), path: nextPath ?? path,
            target: try nextTarget ?? Self.text(header[157..<257]),
            mode: UInt32(truncatingIfNeeded: try Self.number(header[100..<108])),
            size: hasContent ? size : 0)
        nextPath = nil
        nextTarget = nil
        try sink(.entry(entry))
        if hasContent, size > 0 {
            part = .content(left: size, padding: padding)
        } else {
            try sink(.entryEnd)
            // No other kind has content, and one that says so would be read out of step.
            if size > 0 { throw FetchRefusal("an entry that is no file has content") }
        }
    }

    private static func kind(_ type: UInt8, _ path: String) -> TarEntry.Kind {
        switch type {
        case 0x30, 0, 0x37: path.hasSuffix("/") ? .directory : .file
        case 0x31: .hardLink
        case 0x32: .symbolicLink
        case 0x35: .directory
        case _: .other(type)
        }
    }

    private static func check(_ header: [UInt8]) throws(FetchRefusal) {
        var sum = 8 * 0x20
        for (index, byte) in header.enumerated() where !(148..<156).contains(index) {
            sum += Int(byte)
        }
        guard try number(header[148..<156]) == sum else {
            throw FetchRefusal("it is damaged, or no archive")
        }
    }

    /// A number in octal digits, or in binary when the first bit is set.
    private static func number(_ field: ArraySlice<UInt8>) throws(FetchRefusal) -> Int64 {
        guard let first = field.first else { return 0 }
        if first & 0x80 != 0 {
            var value = Int64(first & 0x7F)
            if first & 0x40 != 0 { throw FetchRefusal("a number in it is negative") }
            for byte in field.dropFirst() {
                guard value < 1 << 54 else { throw FetchRefusal("a number in it is too large") }
                value = value << 8 | Int64(byte)
            }
            return value
        }
        var value: Int64 = 0
        for byte in field.drop(while: { $0 == 0x20 }) {
            if byte == 0 || byte == 0x20 { break }
            guard (0x30...0x37).contains(byte) else {
                throw FetchRefusal("it is damaged, or no archive")
            }
            value = value << 3 | Int64(byte - 0x30)
        }
        return value
    }

    private static func text(_ field: ArraySlice<UInt8>) throws(FetchRefusal) -> String {
        guard let text = String(validating: field.prefix { $0 != 0 }, as: UTF8.self) else {
            throw FetchRefusal("a name in it is not UTF-8")
        }
        return text
    }
}
