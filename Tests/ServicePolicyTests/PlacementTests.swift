import Proffer
import Testing

@testable import ServicePolicy

@Suite("Constraints")
struct PlacementTests {
    private func place(_ rack: String?, host: String = "h") -> Instance.Place {
        Instance.Place(
            host: host, region: "eu", zone: "a",
            attributes: rack.map { [Label("rack", $0)] } ?? [])
    }

    private func accepts(
        _ constraint: JSON, _ rack: String?, used: [String] = [], instances: Int = 4,
        choices: [String] = [], host: String = "h"
    ) throws -> Bool {
        var reader = AppReader()
        let json = app("/web", ["constraints": [constraint], "instances": .int(instances)])
        let read = reader.read(json)
        let app = try #require(read)
        return Placement(
            app: app, peers: used.map { place($0) }, candidates: choices.map { place($0) }
        ).accepts(place(rack, host: host))
    }

    @Test("UNIQUE: a value is used once")
    func unique() throws {
        #expect(try accepts(["rack", "UNIQUE"], "r1", used: ["r2"]))
        #expect(try !accepts(["rack", "UNIQUE"], "r1", used: ["r1"]))
    }

    @Test("CLUSTER: everything has the given value")
    func clusterWithValue() throws {
        #expect(try accepts(["rack", "CLUSTER", "r1"], "r1"))
        #expect(try !accepts(["rack", "CLUSTER", "r1"], "r2"))
    }

    @Test("CLUSTER without a value: everything has the value of the first")
    func clusterWithoutValue() throws {
        #expect(try accepts(["rack", "CLUSTER"], "r1"))
        #expect(try accepts(["rack", "CLUSTER"], "r1", used: ["r1"]))
        #expect(try !accepts(["rack", "CLUSTER"], "r2", used: ["r1"]))
    }

    @Test("GROUP_BY: groups are filled evenly, the remainder one each")
    func groupBy() throws {
        let rule: JSON = ["rack", "GROUP_BY", "3"]
        #expect(try accepts(rule, "r1", used: ["r2"]))
        #expect(try accepts(rule, "r1", used: ["r1", "r2", "r3"]))
        #expect(try !accepts(rule, "r1", used: ["r1", "r2", "r2", "r3"]))
        #expect(try !accepts(rule, "r4", used: ["r1", "r2", "r3"]))
    }

    @Test("GROUP_BY without a count: the emptiest of the choices takes the next")
    func groupByChoices() throws {
        let rule: JSON = ["rack", "GROUP_BY"]
        let choices = ["r1", "r2"]
        #expect(try accepts(rule, "r2", used: ["r1"], choices: choices))
        #expect(try !accepts(rule, "r1", used: ["r1"], choices: choices))
        #expect(try accepts(rule, "r1", used: ["r1", "r2"], choices: choices))
    }

    @Test("LIKE: the whole value matches")
    func like() throws {
        #expect(try accepts(["rack", "LIKE", "r[1-3]"], "r2"))
        #expect(try !accepts(["rack", "LIKE", "r[1-3]"], "r22"))
    }

    @Test("UNLIKE: the value does not match, or there is none")
    func unlike() throws {
        #expect(try !accepts(["rack", "UNLIKE", "r[1-3]"], "r2"))
        #expect(try accepts(["rack", "UNLIKE", "r[1-3]"], "r4"))
        #expect(try accepts(["rack", "UNLIKE", "r[1-3]"], nil))
    }

    @Test("MAX_PER: a value is used so many times")
    func maxPer() throws {
        #expect(try accepts(["rack", "MAX_PER", "2"], "r1", used: ["r1"]))
        #expect(try !accepts(["rack", "MAX_PER", "2"], "r1", used: ["r1", "r1"]))
    }

    @Test("IS: the value equals, numbers by their value")
    func isEqual() throws {
        #expect(try accepts(["rack", "IS", "r1"], "r1"))
        #expect(try !accepts(["rack", "IS", "r1"], "r2"))
        #expect(try accepts(["rack", "IS", "1.500"], "1.5"))
    }

    @Test("hosts, regions and zones are fields like attributes")
    func fields() throws {
        #expect(try accepts(["hostname", "LIKE", "node-.*"], nil, host: "node-1"))
        #expect(try accepts(["@hostname", "IS", "node-1"], nil, host: "node-1"))
        #expect(try accepts(["@region", "IS", "eu"], nil))
        #expect(try !accepts(["@zone", "IS", "b"], nil))
    }

    @Test("a place without the attribute is refused by everything but UNLIKE")
    func missingAttribute() throws {
        for rule in [["rack", "UNIQUE"], ["rack", "CLUSTER"], ["rack", "LIKE", ".*"]] as [JSON] {
            #expect(try !accepts(rule, nil))
        }
    }

    @Test("attributes that are numbers, ranges and sets are compared as text")
    func attributeText() {
        let offer = Offer(
            id: "o", frameworkID: "f", agentID: "a", hostname: "h", resources: Resources(),
            attributes: [
                Attribute(name: "size", value: .scalar(Milli(thousandths: 1500))),
                Attribute(name: "vlans", value: .ranges(IntervalSet([5...7, 1...2]))),
                Attribute(name: "tags", value: .set(["b", "a"])),
            ], role: "*")
        let texts = Instance.Place(offer).attributes.map(\.value)
        #expect(texts == ["1.5", "[1-2,5-7]", "{a,b}"])
    }
}
