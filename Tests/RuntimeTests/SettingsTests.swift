import ClusterProbe
import Foundation
import Logging
import ProfferModel
import Testing

@testable import ProfferRuntime

@Suite("Settings", .serialized)
struct SettingsTests {
    private let directory: TemporaryDirectory
    private let names = ["data-dir", "host", "http-port", "offer-timeout", "log-level"]

    init() throws { directory = try TemporaryDirectory("settings") }

    private func settings(
        _ flags: [String: String] = [:], section: String = "settingstest", file: String? = nil
    ) async throws -> DaemonSettings {
        var all: [String: String?] = [:]
        for name in names { all[name] = .some(flags[name]) }
        var path: String?
        if let file {
            path = directory.file("config.json")
            try TextFile.write(file, to: directory.file("config.json"))
        }
        return try await DaemonSettings(section: section, flags: all, file: path)
    }

    private func problem(_ body: () async throws -> Void) async -> DaemonProblem? {
        do {
            try await body()
            return nil
        } catch {
            return error as? DaemonProblem
        }
    }

    @Test("flags win over the environment, the environment over the file")
    func precedence() async throws {
        let file = #"{"host": "file", "http-port": 1}"#
        #expect(try await settings(file: file).text("host") == "file")
        #expect(try await settings(file: file).port("http-port", default: 9) == 1)
        setenv("PROFFER_SETTINGSTEST_HOST", "environment", 1)
        setenv("PROFFER_SETTINGSTEST_HTTP_PORT", "2", 1)
        defer {
            unsetenv("PROFFER_SETTINGSTEST_HOST")
            unsetenv("PROFFER_SETTINGSTEST_HTTP_PORT")
        }
        #expect(try await settings(file: file).text("host") == "environment")
        #expect(try await settings(file: file).port("http-port", default: 9) == 2)
        let flags = ["host": "flag", "http-port": "3"]
        #expect(try await settings(flags, file: file).text("host") == "flag")
        #expect(try await settings(flags, file: file).port("http-port", default: 9) == 3)
    }

    @Test("what nobody sets has its default")
    func defaults() async throws {
        let settings = try await settings()
        #expect(settings.text("host") == nil)
        #expect(try settings.port("http-port", default: 5050) == 5050)
        #expect(try settings.logLevel() == .info)
    }

    @Test("a key of the file that is no setting is refused with the nearest one that is")
    func unknownKey() async throws {
        let problem = await problem { _ = try await settings(file: #"{"htp-port": 1}"#) }
        #expect(problem?.code == .configuration)
        #expect(problem?.because.contains("'htp-port'") == true)
        #expect(problem?.advice.contains("'http-port'") == true)
    }

    @Test(
        "a file that is no JSON object is refused by its name",
        arguments: ["", "[1]", "{", "\"text\""])
    func noObject(text: String) async throws {
        let problem = await problem { _ = try await settings(file: text) }
        #expect(problem?.code == .configuration)
        #expect(problem?.what.contains("config.json") == true)
    }

    @Test("a file that is not there is refused by its name")
    func noFile() async throws {
        let problem = await problem {
            _ = try await DaemonSettings(
                section: "x", flags: [:], file: directory.file("none.json"))
        }
        #expect(problem?.code == .configuration)
        #expect(problem?.what.contains("none.json") == true)
    }

    @Test(
        "a port that is none is refused with the flag, the value and where to correct it",
        arguments: ["65536", "-1", "many", "1.5", ""])
    func badPort(text: String) async throws {
        let settings = try await settings(["http-port": text])
        let problem = await problem { _ = try settings.port("http-port", default: 0) }
        #expect(problem?.code == .configuration)
        #expect(problem?.what.contains("--http-port") == true)
        #expect(problem?.because.contains("'\(text)'") == true)
        #expect(problem?.advice.contains("PROFFER_SETTINGSTEST_HTTP_PORT") == true)
    }

    @Test("durations are above zero and have a unit", arguments: ["0s", "5", "-3s", "soon"])
    func badDuration(text: String) async throws {
        let settings = try await settings(["offer-timeout": text])
        let problem = await problem {
            _ = try settings.duration("offer-timeout", default: .seconds(1))
        }
        #expect(problem?.code == .configuration)
        #expect(problem?.because.contains("'\(text)'") == true)
    }

    @Test("durations are read", arguments: [("500ms", 500), ("30s", 30_000), ("2h", 7_200_000)])
    func duration(text: String, milliseconds: Int) async throws {
        let settings = try await settings(["offer-timeout": text])
        #expect(
            try settings.duration("offer-timeout", default: .seconds(1))
                == .milliseconds(milliseconds))
    }

    @Test("a log level that there is not is refused with the ones that there are")
    func badLogLevel() async throws {
        let settings = try await settings(["log-level": "loud"])
        let problem = await problem { _ = try settings.logLevel() }
        #expect(problem?.because.contains("debug") == true)
    }

    @Test("what must be given is asked for by name, with what to do")
    func required() async throws {
        let settings = try await settings()
        let problem = await problem { _ = try settings.required("data-dir", "name a directory") }
        #expect(problem?.code == .configuration)
        #expect(problem?.description.contains("--data-dir is missing") == true)
        #expect(problem?.description.contains("PROFFER_SETTINGSTEST_DATA_DIR") == true)
        #expect(problem?.description.contains("name a directory") == true)
    }

    @Test(
        "resources that say something twice, or a port that is none, are refused with the part",
        arguments: [
            ("cpus:1;mem:64;cpus:2", "'cpus:2': 'cpus' is given twice"),
            ("cpus:1;cpus(*):2", "'cpus(*):2': 'cpus(*)' is given twice"),
            ("mem(web):1;mem(web):2", "'mem(web):2': 'mem(web)' is given twice"),
            ("ports:[1-2];ports:[4-5]", "'ports:[4-5]': 'ports' is given twice"),
            ("ports:[65000-65536]", "'ports:[65000-65536]': there is no port 65536"),
            ("ports:[9-8]", "'ports:[9-8]': 9-8 begins behind its end"),
            ("ports:[1-5, 5-9]", "'ports:[1-5, 5-9]': 5-9 and 1-5 overlap"),
            ("ports:[1-5];ports(web):[3-4]", "'ports(web):[3-4]': 3-4 and 1-5 overlap"),
            ("ids:[7-9,8-8]", "'ids:[7-9,8-8]': 8-8 and 7-9 overlap"),
            ("cpus=2", "'cpus=2': it must have the form name:value"),
            ("ports:[1-x]", "'ports:[1-x]': ranges have the form [31000-31999,33000-33000]"),
        ])
    func badResources(text: String, because: String) {
        let problem = #expect(throws: DaemonProblem.self) { try ResourcesFlag.read(text) }
        #expect(problem?.code == .configuration)
        #expect(problem?.what == "--resources is not valid")
        #expect(problem?.because == because)
        #expect(problem?.advice.isEmpty == false)
    }

    @Test("one name may be given for several roles, and ranges that only touch are two")
    func goodResources() throws {
        let read = try ResourcesFlag.read(
            "cpus:1; cpus(web):2;ports:[1-5,6-65535];ids:[70000-80000]")
        #expect(
            try read
                == Resources(
                    text: "cpus:1;cpus(web):2;ports:[1-65535];ids:[70000-80000]"))
    }

    @Test("an agent's resources, attributes and domain are judged at the start")
    func agentConfiguration() async throws {
        let good = [
            "data-dir": "/tmp/x", "master": "tcp://a:1,tcp://b:2", "master-key": "k",
            "resources": "cpus:2;ports:[1-3]", "attributes": "rack:r1", "domain": "eu/a",
        ]
        func read(_ change: [String: String]) async throws -> AgentDaemonConfiguration {
            var flags: [String: String?] = [:]
            for (name, value) in good.merging(change, uniquingKeysWith: { $1 }) {
                flags[name] = value
            }
            return try AgentDaemonConfiguration(
                try await DaemonSettings(section: "x", flags: flags, file: nil))
        }
        let configuration = try await read([:])
        #expect(configuration.masters == ["tcp://a:1", "tcp://b:2"])
        #expect(configuration.resources?.cpus == Milli(2))
        #expect(configuration.domain == FaultDomain(region: "eu", zone: "a"))
        for change in [
            ["resources": "cpus=2"], ["attributes": "rack"], ["domain": "eu"],
            ["master": "tcp://a:1,b"], ["master": "ipc:///a:1"],
        ] {
            let problem = await problem { _ = try await read(change) }
            #expect(problem?.code == .configuration, "\(change)")
        }
    }
}
