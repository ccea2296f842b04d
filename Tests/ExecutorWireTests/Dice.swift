import ProfferKernel
import ProfferModel
import ProfferSession

/// Messages at random: every field that may be absent is absent about half of the time.
struct Dice {
    private var random: SeededGenerator

    init(seed: UInt64) { random = SeededGenerator(seed: seed) }

    // MARK: Values

    mutating func bool() -> Bool { Bool.random(using: &random) }

    mutating func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &random) }

    mutating func pick<Element>(_ list: [Element]) -> Element { list[number(0...list.count - 1)] }

    mutating func maybe<Value>(_ make: (inout Dice) -> Value) -> Value? {
        bool() ? make(&self) : nil
    }

    mutating func list<Value>(_ make: (inout Dice) -> Value) -> [Value] {
        (0..<pick([0, 0, 1, 2, 3])).map { _ in make(&self) }
    }

    mutating func text() -> String {
        // With letters of one to four bytes, one character in two spellings, a zero, long ones.
        pick([
            "", "a", "b", "web", "10.0.0.1", "/bin/sh -c 'x'", "é", "e\u{301}", "\u{0}", "日本", "😀",
            String(repeating: "x", count: number(0...300)),
        ])
    }

    mutating func data() -> [UInt8] {
        (0..<number(0...20)).map { _ in UInt8.random(in: 0...255, using: &random) }
    }

    mutating func word() -> UInt64 { pick([0, 1, 127, 128, 1 << 32, .max, random.next()]) }

    mutating func int64() -> Int64 { Int64(bitPattern: word()) }

    mutating func int() -> Int { Int(int64()) }

    mutating func port() -> Int { pick([0, 1, 80, 65_535, 1 << 32, -1]) }

    mutating func id<Subject>() -> Identifier<Subject> { Identifier(text()) }

    mutating func milli() -> Milli {
        Milli(thousandths: Int64(pick([0, 1, -1, 500, 1000, number(0...1 << 40)])))
    }

    mutating func seconds() -> Duration {
        pick([
            .zero, .seconds(3), .milliseconds(1500), .nanoseconds(1), .seconds(-2),
            .nanoseconds(Int64(number(0...1 << 52))), .seconds(1 << 40),
        ])
    }

    mutating func duration() -> Duration { pick([seconds(), .nanoseconds(int64())]) }

    mutating func time() -> WallTime { WallTime(nanosecondsSince1970: int64()) }

    mutating func uuid() -> UpdateID { UpdateID(high: random.next(), low: random.next()) }

    mutating func label() -> Label { Label(text(), maybe { $0.text() }) }

    mutating func intervals() -> IntervalSet {
        IntervalSet(
            list { dice in
                let ends = [dice.word(), dice.word()].sorted()
                return ends[0]...ends[1]
            })
    }

    // MARK: Resources

    mutating func reservation() -> Reservation {
        Reservation(
            kind: bool() ? .static : .dynamic, role: text(), principal: maybe { $0.text() },
            labels: list { $0.label() })
    }

    mutating func disk() -> DiskInfo {
        DiskInfo(
            persistenceID: maybe { $0.text() }, principal: maybe { $0.text() },
            containerPath: maybe { $0.text() },
            source: maybe { dice in
                let root = dice.maybe { $0.text() }
                return dice.bool() ? .path(root: root) : .mount(root: root)
            })
    }

    mutating func resource() -> Resource {
        let value: ResourceValue =
            switch number(0...2) {
            case 0: .scalar(milli())
            case 1: .ranges(intervals())
            default: .set(list { $0.text() })
            }
        return Resource(
            pick(["cpus", "mem", "ports", text()]), value, reservations: list { $0.reservation() },
            disk: maybe { $0.disk() }, isRevocable: bool(), isShared: bool())
    }

    mutating func resources() -> Resources { Resources(list { $0.resource() }) }

    // MARK: Descriptions

    mutating func command() -> CommandInfo {
        CommandInfo(
            value: maybe { $0.text() }, shell: bool(), arguments: list { $0.text() },
            environment: list { dice in
                guard dice.number(0...3) == 0 else {
                    return EnvironmentVariable(name: dice.text(), value: dice.text())
                }
                return EnvironmentVariable(name: dice.text(), value: "", secret: dice.secret())
            },
            user: maybe { $0.text() },
            uris: list { dice in
                FetchURI(
                    value: dice.text(), isExecutable: dice.bool(), extract: dice.bool(),
                    cache: dice.bool(), outputFile: dice.maybe { $0.text() })
            })
    }

    mutating func reference() -> SecretReference {
        SecretReference(name: text(), key: maybe { $0.text() })
    }

    mutating func secret() -> Secret { number(0...4) == 0 ? .value : .reference(reference()) }

    mutating func secrets() -> [SecretValue] {
        list { SecretValue(reference: $0.reference(), bytes: $0.data()) }
    }

    mutating func container() -> ContainerInfo {
        ContainerInfo(
            kind: bool() ? .docker : .native, image: maybe { $0.text() },
            hostname: maybe { $0.text() },
            volumes: list { $0.volume() }, network: pick([.host, .bridge, .none, .named(text())]),
            portMappings: list { dice in
                PortMapping(
                    hostPort: dice.port(), containerPort: dice.port(),
                    protocolName: dice.maybe { $0.text() })
            }, isPrivileged: bool(), forcePull: bool(),
            limits: list { dice in
                ProcessLimit(
                    dice.pick(ProcessLimit.Kind.allCases),
                    soft: dice.maybe { UInt64(bitPattern: $0.int64()) },
                    hard: dice.maybe { UInt64(bitPattern: $0.int64()) })
            }, capabilities: list { $0.pick(Capability.all) })
    }

    mutating func discovery() -> DiscoveryInfo {
        DiscoveryInfo(
            visibility: pick([.framework, .cluster, .external]), name: maybe { $0.text() },
            environment: maybe { $0.text() }, location: maybe { $0.text() },
            version: maybe { $0.text() },
            ports: list { dice in
                DiscoveryPort(
                    number: dice.port(), name: dice.maybe { $0.text() },
                    protocolName: dice.maybe { $0.text() }, labels: dice.list { $0.label() })
            }, labels: list { $0.label() })
    }

    mutating func check() -> CheckKind {
        switch number(0...2) {
        case 0: .command(command())
        case 1: .http(scheme: pick(["http", "https"]), port: port(), path: text())
        default: .tcp(port: port())
        }
    }

    mutating func executor() -> ExecutorInfo {
        ExecutorInfo(
            id: id(), kind: bool() ? .default : .custom, frameworkID: maybe { $0.id() },
            command: maybe { $0.command() }, container: maybe { $0.container() },
            resources: resources(), name: maybe { $0.text() }, data: data(),
            discovery: maybe { $0.discovery() }, shutdownGracePeriod: maybe { $0.duration() },
            labels: list { $0.label() })
    }

    mutating func framework() -> FrameworkInfo {
        FrameworkInfo(
            user: text(), name: text(), id: maybe { $0.id() }, failoverTimeout: seconds(),
            checkpoint: bool(), roles: list { $0.text() }, hostname: maybe { $0.text() },
            principal: maybe { $0.text() }, webUIURL: maybe { $0.text() },
            capabilities: FrameworkCapabilities(rawValue: UInt32(number(0...1023))),
            labels: list { $0.label() },
            minimumOffers: list { dice in
                MinimumOffer(
                    role: dice.text(), quantities: dice.list { $0.resources().quantities })
            }, priority: int())
    }

    mutating func agent() -> AgentInfo {
        AgentInfo(
            hostname: text(), port: port(), resources: resources(),
            attributes: list { dice in
                Attribute(
                    name: dice.text(),
                    value: dice.pick([
                        .scalar(dice.milli()), .ranges(dice.intervals()),
                        .set(dice.list { $0.text() }), .text(dice.text()),
                    ]))
            }, id: maybe { $0.id() },
            domain: maybe { FaultDomain(region: $0.text(), zone: $0.text()) },
            capabilities: AgentCapabilities(rawValue: UInt32(number(0...255)) << 1))
    }
}
