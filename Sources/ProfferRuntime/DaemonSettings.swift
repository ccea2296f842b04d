internal import Configuration
internal import Foundation
public import Logging
internal import ProfferKernel

/// The settings of a daemon: from its flags, else from its environment, else from its file.
///
/// One name serves all three: the flag `--http-port`, the variable `PROFFER_MASTER_HTTP_PORT` and
/// the key `http-port` of the JSON file.
public struct DaemonSettings: Sendable {
    private let reader: ConfigReader
    private let section: String

    /// Collects the settings.
    ///
    /// - Parameters:
    ///   - section: `master` or `agent`: part of the names of environment variables.
    ///   - flags: What the command line says, by name; absent ones as `nil`.
    ///   - file: The path of a JSON file with one object, if there is one.
    /// - Throws: ``DaemonProblem`` when the file cannot be read or has a key that is no setting.
    public init(section: String, flags: [String: String?], file: String?) async throws {
        self.section = section
        var values: [AbsoluteConfigKey: ConfigValue] = [:]
        for (name, value) in flags {
            guard let value else { continue }
            values[AbsoluteConfigKey([name])] = ConfigValue(.string(value), isSecret: false)
        }
        var providers: [any ConfigProvider] = [
            InMemoryProvider(name: "flags", values: values),
            EnvironmentVariablesProvider().prefixKeys(with: ConfigKey(["proffer", section])),
        ]
        if let file {
            let texts = try Self.texts(file, names: flags.keys.sorted())
            providers.append(
                InMemoryProvider(
                    name: "file",
                    values: Dictionary(
                        uniqueKeysWithValues: texts.map {
                            (AbsoluteConfigKey([$0]), ConfigValue(.string($1), isSecret: false))
                        })))
        }
        reader = ConfigReader(providers: providers)
    }

    private static func fileProblem(_ file: String, _ because: String) -> DaemonProblem {
        DaemonProblem(
            .configuration, "the configuration file \(file) cannot be used", because: because,
            try: "give a JSON file with one object, such as {\"http-port\": 5050}")
    }

    /// A value of the file as its flag would have it; `nil` when it is a list, an object or null.
    private struct FileValue: Decodable {
        let text: String?

        init(from decoder: any Decoder) throws {
            let value = try decoder.singleValueContainer()
            if let text = try? value.decode(String.self) {
                self.text = text
            } else if let flag = try? value.decode(Bool.self) {
                text = "\(flag)"
            } else if let number = try? value.decode(Int.self) {
                text = "\(number)"
            } else {
                text = (try? value.decode(Double.self)).map { "\($0)" }
            }
        }
    }

    private static func texts(_ file: String, names: [String]) throws -> [(String, String)] {
        guard let data = FileManager.default.contents(atPath: file) else {
            throw fileProblem(file, "it cannot be read")
        }
        let object: [String: FileValue]
        do {
            object = try JSONDecoder().decode([String: FileValue].self, from: data)
        } catch {
            throw fileProblem(file, "it is no JSON object")
        }
        for key in object.keys.sorted() where !names.contains(key) {
            let near = Spelling.nearest(to: key, in: names)
            throw DaemonProblem(
                .configuration, "the configuration file \(file) cannot be used",
                because: "there is no setting '\(key)'",
                try: near.map { "did you mean '\($0)'?" }
                    ?? "use one of \(names.joined(separator: ", "))")
        }
        // What is not read would be passed over in silence.
        return try object.sorted { $0.key < $1.key }.map { key, value in
            guard let text = value.text else {
                throw DaemonProblem(
                    .configuration, "the configuration file \(file) cannot be used",
                    because: "the setting '\(key)' is neither text nor a number nor true or false",
                    try: "write it as the flag would have it, in quotes")
            }
            return (key, text)
        }
    }

    /// The text of a setting.
    public func text(_ name: String) -> String? {
        reader.string(forKey: ConfigKey([name]))
    }

    /// The text of a setting that must be there.
    ///
    /// - Throws: ``DaemonProblem`` when it is not.
    public func required(_ name: String, _ advice: String) throws -> String {
        if let text = text(name), !text.isEmpty { return text }
        throw DaemonProblem(
            .configuration, "--\(name) is missing",
            because: "neither the flag nor \(variable(name)) nor the file gives it", try: advice)
    }

    /// A whole number within bounds.
    ///
    /// - Throws: ``DaemonProblem`` when it is none.
    public func number(_ name: String, default standard: Int, in bounds: ClosedRange<Int>)
        throws -> Int
    {
        guard let text = text(name) else { return standard }
        if let number = Int(text), bounds.contains(number) { return number }
        throw invalid(
            name, text, "a whole number from \(bounds.lowerBound) to \(bounds.upperBound)")
    }

    /// A TCP port; 0 is any free one.
    ///
    /// - Throws: ``DaemonProblem`` when it is none.
    public func port(_ name: String, default standard: Int) throws -> Int {
        try number(name, default: standard, in: 0...65_535)
    }

    /// A duration such as `30s`.
    ///
    /// - Throws: ``DaemonProblem`` when it is none or not above zero.
    public func duration(_ name: String, default standard: Duration) throws -> Duration {
        guard let text = text(name) else { return standard }
        if let span = Duration(text: text), span > .zero { return span }
        throw invalid(name, text, "a duration above zero, such as 500ms, 30s, 5m or 2h")
    }

    /// How much is logged.
    ///
    /// - Throws: ``DaemonProblem`` when there is no such level.
    public func logLevel() throws -> Logger.Level {
        guard let text = text("log-level") else { return .info }
        if let level = Logger.Level(rawValue: text) { return level }
        let levels = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
        throw invalid("log-level", text, "one of \(levels)")
    }

    func invalid(_ name: String, _ text: String, _ wanted: String) -> DaemonProblem {
        DaemonProblem(
            .configuration, "--\(name) is not valid", because: "'\(text)' is not \(wanted)",
            try: "correct the flag, \(variable(name)) or the configuration file")
    }

    private func variable(_ name: String) -> String {
        "PROFFER_\(section)_\(name)".uppercased().map { $0 == "-" ? "_" : String($0) }.joined()
    }
}
