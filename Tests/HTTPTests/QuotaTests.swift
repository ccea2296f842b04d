import Foundation
import HTTPTypes
import ProfferAPI
import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferHTTP

@Suite("Quotas over HTTP")
struct QuotaTests {
    private static let bearer = "Bearer \(token)"

    @Test("quotas are listed by role, with what is consumed")
    func list() async throws {
        let web = Quota(
            role: "web", guarantees: Resources(cpus: Milli(thousandths: 1500)).quantities,
            limits: [QuotaLimit(name: "cpus", amount: Milli(8))])
        let view = FakeView { _ in
            .quotas([
                QuotaSummary(quota: web, consumed: Resources(mem: Milli(64)).quantities),
                QuotaSummary(quota: Quota(role: "batch"), consumed: ResourceQuantities()),
            ])
        }
        let reply = try await request(view, .get, "/v1/quotas")
        #expect(reply.status == 200)
        #expect(view.asked == [.quotas])
        #expect(try reply.items("id") == ["batch", "web"])
        #expect(
            reply.body.contains(
                #"{"consumed":{"mem":"64"},"guarantees":{"cpus":"1.5"},"id":"web","kind":"quota","#
                    + #""limits":{"cpus":"8"},"name":"web"}"#))
    }

    @Test("quotas are set all at once, from numbers and from text")
    func set() async throws {
        let view = FakeView()
        let reply = try await request(
            view, .put, "/v1/quotas", authorization: Self.bearer,
            body: """
                {"quotas": [
                    {"role": "web", "guarantees": {"cpus": 2, "mem": "512.5"},
                     "limits": {"mem": 1e3, "cpus": 8, "gpus": 0}},
                    {"role": "batch"}
                ], "force": true}
                """)
        #expect(reply.status == 202)
        var web = Quota(
            role: "web",
            limits: [
                QuotaLimit(name: "cpus", amount: Milli(8)),
                QuotaLimit(name: "gpus", amount: .zero),
                QuotaLimit(name: "mem", amount: Milli(1000)),
            ])
        web.guarantees = Resources(cpus: Milli(2), mem: Milli(thousandths: 512_500)).quantities
        #expect(view.asked == [.setQuotas([web, Quota(role: "batch")], isForced: true)])
    }

    @Test("without 'force' nothing is forced")
    func unforced() async throws {
        let view = FakeView()
        _ = try await request(
            view, .put, "/v1/quotas", authorization: Self.bearer, body: #"{"quotas": []}"#)
        #expect(view.asked == [.setQuotas([], isForced: false)])
    }

    @Test("an order without the token is refused and not carried out")
    func unauthorized() async throws {
        let view = FakeView()
        for authorization in [nil, "Bearer wrong"] {
            let reply = try await request(
                view, .put, "/v1/quotas", authorization: authorization, body: #"{"quotas": []}"#)
            #expect(reply.status == 401)
        }
        #expect(view.asked.isEmpty)
    }

    @Test("what the master refuses is a conflict with its words")
    func refused() async throws {
        let view = FakeView { _ in .refused("the guarantees are above the cluster's 4 cpus") }
        let reply = try await request(
            view, .put, "/v1/quotas", authorization: Self.bearer, body: #"{"quotas": []}"#)
        #expect(reply.status == 409)
        let problem = try reply.problem()
        #expect(problem.detail == "the guarantees are above the cluster's 4 cpus")
        #expect(problem.advice?.contains("force") == true)
    }

    @Test(
        "a body that is wrong is a bad request that names the place, and nothing is changed",
        arguments: [
            ("", "not JSON"), ("[]", "an object"), ("{}", "'quotas' is missing"),
            (#"{"quotas": 1}"#, "'quotas' is a number"),
            (#"{"quotas": [7]}"#, "'quotas[0]' is a number"),
            (#"{"quotas": [], "force": 1}"#, "'force' is a number"),
            (#"{"quotas": [], "quotas": []}"#, "'quotas' is there twice"),
            (#"{"quotas": [{}]}"#, "'quotas[0].role' is missing"),
            (#"{"quotas": [{"role": "a"}, {"role": "a"}]}"#, "is 'a' again"),
            (#"{"quotas": [{"role": "a", "limits": {"cpus": 1, "cpus": 2}}]}"#, "there twice"),
            (#"{"quotas": [{"role": "a", "limits": {"cpus": "x"}}]}"#, "limits.cpus' is no amount"),
            (#"{"quotas": [{"role": "a", "limits": {"cpus": 1e300}}]}"#, "is no amount"),
            (#"{"quotas": [{"role": "a", "limits": {"cpus": null}}]}"#, "is no amount"),
            (#"{"quotas": [{"role": "a", "limits": {"cpus": -1}}]}"#, "negative"),
            (#"{"quotas": [{"role": "a/b"}]}"#, "lies below another"),
            (#"{"quotas": [{"role": "*"}]}"#, "cannot have a quota"),
            (
                #"{"quotas": [{"role": "a", "guarantees": {"cpus": 2}, "limits": {"cpus": 1}}]}"#,
                "above the limit"
            ),
            (#"{"quotas": []} x"#, "something follows"), (#"{"quotas": ["#, "not JSON"),
            (#"{"quotas": [{"role": "\ud800"}]}"#, "half a character"),
        ])
    func mistakes(body: String, words: String) async throws {
        let view = FakeView()
        let reply = try await request(
            view, .put, "/v1/quotas", authorization: Self.bearer, body: body)
        #expect(reply.status == 400)
        #expect(try reply.problem().detail.contains(words), "\(reply.body)")
        #expect(view.asked.isEmpty)
    }

    @Test("a key that is not known is refused with the one that was perhaps meant")
    func unknownKeys() async throws {
        let reply = try await request(
            FakeView(), .put, "/v1/quotas", authorization: Self.bearer,
            body: #"{"quotas": [{"role": "a", "garantees": {}}]}"#)
        let problem = try reply.problem()
        #expect(problem.status == 400)
        #expect(problem.detail == "'quotas[0].garantees' is not known")
        #expect(problem.advice == "did you mean 'guarantees'?")
    }

    @Test("a body that is deep, long or has many keys is refused")
    func largeBodies() async throws {
        let view = FakeView()
        let deep = String(repeating: "[", count: 100_000)
        let wide =
            #"{"quotas": [{"role": "a", "limits": {"#
            + (0..<65).map { #""r\#($0)": 1"# }.joined(separator: ",") + "}}]}"
        for body in [deep, wide] {
            let reply = try await request(
                view, .put, "/v1/quotas", authorization: Self.bearer, body: body)
            #expect(reply.status == 400)
        }
        let long = try await request(
            view, .put, "/v1/quotas", authorization: Self.bearer,
            body: String(repeating: " ", count: 300_000))
        #expect(long.status == 413)
        #expect(view.asked.isEmpty)
    }
}

@Suite("Why, over HTTP")
struct WhyTests {
    static let explanation = PlacementExplanation(
        agents: 3,
        steps: [
            .init(check: .agentActive, removed: 1, alone: 1, examples: ["a-1"]),
            .init(check: .perAgent, removed: 0, alone: 2, examples: []),
        ], fitting: 2, obstacle: "suppressed",
        nearest: [
            .init(
                agent: "a-1", hostname: "node-1", failed: [.agentActive, .quotaLimit],
                missing: Resources(mem: Milli(64)).quantities)
        ],
        quota: [.init(name: "cpus", consumed: Milli(6), guarantee: Milli(2), limit: Milli(8))],
        shareMillionths: 125_000, roleShareMillionths: 250_000, ahead: 3,
        suggestions: ["free 64 MiB"])

    @Test("the demands of a framework are listed with their explanations")
    func framework() async throws {
        let demand = Demand(
            id: "/web", role: "web", resources: Resources(cpus: Milli(2)).quantities, ports: 1,
            count: 4,
            constraints: [
                [AttributeConstraint(selector: .zone, predicate: .textEquals("z"))]
            ], priority: 5, gang: 2)
        let view = FakeView { _ in
            .demands([
                DemandSummary(
                    demand: demand, waitingSince: WallTime(nanosecondsSince1970: 0),
                    explanation: Self.explanation)
            ])
        }
        let reply = try await request(view, .get, "/v1/why/frameworks/f%201")
        #expect(reply.status == 200)
        #expect(view.asked == [.whyFramework("f 1")])
        let list = try APICoding.decode(
            ObjectList<DemandObject>.self, from: Data(reply.body.utf8))
        let object = try #require(list.items.first)
        #expect(object.id == "/web")
        #expect(object.role == "web")
        #expect(object.resources == ["cpus": "2"])
        #expect((object.count, object.gang, object.priority, object.ports) == (4, 2, 5, 1))
        #expect(
            object.constraints == [[ConstraintObject(field: "@zone", rule: "equals", value: "z")]])
        #expect(object.waitingSince == "1970-01-01T00:00:00.000Z")
        #expect((object.waiting ?? 0) > 1e9)
        let why = object.explanation
        #expect(why.steps.map(\.check) == ["agent_active", "per_agent"])
        #expect(why.steps.map(\.title) == ["active", "instances per agent"])
        #expect(why.nearest.first?.failed == ["agent_active", "quota_limit"])
        #expect(why.nearest.first?.missing == ["mem": "64"])
        #expect(why.quota.first?.limit == "8")
        #expect((why.share, why.roleShare, why.ahead) == (0.125, 0.25, 3))
        #expect(why.obstacle == "suppressed")
        #expect(why.suggestions == ["free 64 MiB"])
    }

    @Test(
        "a framework that is not there, or cannot be asked about, is a problem",
        arguments: [
            (OperatorAnswer.notFound("there is no framework 'f'"), 404),
            (.refused("not served yet"), 409), (.tasks([]), 503),
        ])
    func problems(answer: OperatorAnswer, status: Int) async throws {
        let reply = try await request(FakeView { _ in answer }, .get, "/v1/why/frameworks/f")
        #expect(reply.status == status)
        _ = try reply.problem()
    }

    @Test("a shape is asked about without a token")
    func shape() async throws {
        let view = FakeView { _ in .why(Self.explanation) }
        let reply = try await request(
            view, .post, "/v1/why",
            body: """
                {"role": "web", "framework": "f", "resources": {"cpus": 2, "mem": "512"},
                 "ports": 1, "count": 6, "gang": 3, "priority": -2, "per_agent": 2,
                 "constraints": [
                    [{"field": "rack", "rule": "matches", "value": "r[12]"},
                     {"field": "hostname", "rule": "not_equals", "value": "h"}],
                    [{"field": "@zone", "rule": "exists"}], []]}
                """)
        #expect(reply.status == 200)
        let demand = Demand(
            id: "question", role: "web",
            resources: Resources(cpus: Milli(2), mem: Milli(512)).quantities, ports: 1, count: 6,
            constraints: [
                [
                    AttributeConstraint(
                        selector: .attribute("rack"), predicate: .textMatches("r[12]")),
                    AttributeConstraint(selector: .hostname, predicate: .textNotEquals("h")),
                ], [AttributeConstraint(selector: .zone, predicate: .exists)], [],
            ], priority: -2, gang: 3, perAgent: 2)
        #expect(view.asked == [.why(PlacementQuestion(framework: "f", demand: demand))])
        let object = try APICoding.decode(ExplanationObject.self, from: Data(reply.body.utf8))
        #expect(object.kind == "explanation")
        #expect(object.agents == 3)
    }

    @Test("a shape of which nothing is said is any offer for anybody")
    func anything() async throws {
        let view = FakeView { _ in .why(PlacementExplanation()) }
        let reply = try await request(view, .post, "/v1/why", body: "{}")
        #expect(reply.status == 200)
        let demand = Demand(id: "question", resources: ResourceQuantities())
        #expect(view.asked == [.why(PlacementQuestion(framework: nil, demand: demand))])
    }

    @Test(
        "a shape that is wrong is a bad request that says what is wrong",
        arguments: [
            (#"{"roles": "web"}"#, "'roles' is not known"), (#"{"count": -1}"#, "-1 instances"),
            (#"{"count": 1.5}"#, "'count' has to be a whole number"),
            (#"{"count": 99999999999}"#, "'count' has to be a whole number"),
            (#"{"gang": 2}"#, "a gang of 2"), (#"{"ports": 70000}"#, "70000 ports"),
            (#"{"per_offer": 0}"#, "0 instances per offer"),
            (#"{"resources": {"cpus": -1}}"#, "negative"),
            (#"{"resources": [1]}"#, "'resources' is a list"),
            (#"{"constraints": [{"field": "a"}]}"#, "'constraints[0]' is an object"),
            (#"{"constraints": [[{"rule": "exists"}]]}"#, "'constraints[0][0].field' is missing"),
            (#"{"constraints": [[{"field": "a", "rule": "is"}]]}"#, "is no constraint"),
            (
                #"{"constraints": [[{"field": "a", "rule": "exists", "value": "b"}]]}"#,
                "is no constraint"
            ),
            (
                #"{"constraints": [[{"field": "a", "rule": "matches", "value": "("}]]}"#,
                "no pattern"
            ),
        ])
    func mistakes(body: String, words: String) async throws {
        let view = FakeView { _ in .why(Self.explanation) }
        let reply = try await request(view, .post, "/v1/why", body: body)
        #expect(reply.status == 400)
        #expect(try reply.problem().detail.contains(words), "\(reply.body)")
        #expect(view.asked.isEmpty)
    }
}

@Suite("JSON of requests")
struct RequestJSONTests {
    private func text(_ json: String) throws -> String? {
        guard case .text(let text) = try RequestJSON.parse(Array(json.utf8)) else { return nil }
        return text
    }

    @Test("escapes mean what they mean")
    func escapes() throws {
        #expect(try text(#""a\"\\\/\b\f\n\r\tA""#) == "a\"\\/\u{8}\u{C}\n\r\tA")
        #expect(try text(#""é€😀""#) == "é€😀")
        #expect(try text(#""\u00e9\u20ac\ud83d\ude00""#) == "é€😀")
        #expect(try text(#"  "x"  "#) == "x")
    }

    @Test(
        "what is not JSON is refused and never traps",
        arguments: [
            "", " ", "{", "}", "[", "[1", "[1,", "[1,]", "{\"a\"", "{\"a\":", "{\"a\":1",
            "{\"a\":1,", "{\"a\":1,}", "{a:1}", "\"", "\"\\", "\"\\u", "\"\\u12", "\"\\u12G4\"",
            "\"\\x\"", "\"\n\"", "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\\udc00\"", "tru", "nul",
            "+1", "'a'", "1 2", "\u{0}",
        ])
    func malformed(json: String) {
        #expect(throws: ProblemObject.self) { _ = try RequestJSON.parse(Array(json.utf8)) }
    }

    @Test("text that is not UTF-8 is refused")
    func encoding() {
        #expect(throws: ProblemObject.self) {
            _ = try RequestJSON.parse([0x22, 0xFF, 0xFE, 0x22])
        }
    }

    @Test("random bytes are refused or read", arguments: UInt64(0)..<20)
    func random(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let letters = Array(#"{}[]",:\u0d8e1-+.tfn "#.utf8)
        for _ in 0..<200 {
            let bytes = (0..<Int.random(in: 0...24, using: &random)).map { _ in
                letters[Int.random(in: 0..<letters.count, using: &random)]
            }
            do {
                _ = try RequestJSON.parse(bytes)
            } catch {
                #expect(error is ProblemObject)
            }
        }
    }
}
