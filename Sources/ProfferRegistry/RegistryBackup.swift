public import Foundation
internal import ProfferWire

/// A registry as a file: JSON with a check sum.
public struct RegistryBackup: Sendable {
    /// The version of the file's form.
    public static let version = 1
    private static let form = "proffer-registry"

    /// What was in the registry.
    public var contents: RegistryContents

    /// Prepares a backup.
    public init(_ contents: RegistryContents) { self.contents = contents }

    private struct File: Codable {
        struct Fact: Codable {
            var kind: String
            var key: String
            var value: Data
        }

        var form: String
        var version: Int
        var schema: Int
        var cluster: String?
        var epoch: UInt64
        var facts: [Fact]
        var sum: String
    }

    /// The bytes of the file.
    public func encoded() throws -> Data {
        let facts = contents.records.map {
            File.Fact(kind: $0.kind, key: $0.key, value: Data($0.value ?? []))
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return try encoder.encode(
            File(
                form: Self.form, version: Self.version, schema: contents.schema,
                cluster: contents.clusterID, epoch: contents.epoch, facts: facts,
                sum: Self.sum(contents)))
    }

    /// Reads a file.
    ///
    /// - Throws: ``StoreProblem`` when it is none, is damaged or comes from a newer version.
    public init(_ data: Data, path: String) throws(StoreProblem) {
        let file: File
        do {
            file = try JSONDecoder().decode(File.self, from: data)
        } catch {
            throw StoreProblem(.unusable, path: path, because: "it is no backup, or is cut off")
        }
        guard file.form == Self.form else {
            throw StoreProblem(.foreign, path: path, because: "it is no backup of a registry")
        }
        guard file.version <= Self.version, file.schema <= EtcdRegistry.schema else {
            throw StoreProblem(
                .newer, path: path,
                because: "its version is \(file.version), this program knows up to \(Self.version)")
        }
        guard file.epoch < UInt64(Int64.max) else {
            throw StoreProblem(
                .unusable, path: path, because: "its epoch, \(file.epoch), is none")
        }
        contents = RegistryContents(
            schema: file.schema, clusterID: file.cluster, epoch: file.epoch,
            records: file.facts.map {
                StoredRecord(kind: $0.kind, key: $0.key, value: [UInt8]($0.value))
            })
        guard Self.sum(contents) == file.sum else {
            throw StoreProblem(.unusable, path: path, because: "its check sum does not hold")
        }
    }

    /// FNV-1a over everything, with lengths, so that nothing can move from one field to another.
    private static func sum(_ contents: RegistryContents) -> String {
        var digest: UInt64 = 0xCBF2_9CE4_8422_2325
        func add(_ bytes: some Sequence<UInt8>) {
            var count = 0
            for byte in bytes {
                digest = (digest ^ UInt64(byte)) &* 0x100_0000_01B3
                count += 1
            }
            digest = (digest ^ UInt64(count)) &* 0x100_0000_01B3
        }
        add("\(contents.schema) \(contents.epoch) \(contents.clusterID ?? "")".utf8)
        for record in contents.records {
            add(record.kind.utf8)
            add(record.key.utf8)
            add(record.value ?? [])
        }
        return String(digest, radix: 16)
    }
}
