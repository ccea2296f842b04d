import ProfferKernel
import ProfferModel
import ProfferSession
import ProfferWire
import Testing

/// The calls and events that Mesos does not have, as bytes put together without the schema.
@Suite("Hostile values: demand, claims and quota")
struct DemandHostileTests {
    private func problem(_ bytes: [UInt8]) -> WireError? {
        do {
            _ = try WireCodec.decodeFrameworkCall(bytes)
            return nil
        } catch {
            return error
        }
    }

    private func problemOfEvent(_ bytes: [UInt8]) -> WireError? {
        do {
            _ = try WireCodec.decodeSchedulerEvent(bytes)
            return nil
        } catch {
            return error
        }
    }

    private func problemOfCall(_ bytes: [UInt8]) -> WireError? {
        do {
            _ = try WireCodec.decodeOperatorCall(bytes)
            return nil
        } catch {
            return error
        }
    }

    private func problemOfAnswer(_ bytes: [UInt8]) -> WireError? {
        do {
            _ = try WireCodec.decodeOperatorAnswer(bytes)
            return nil
        } catch {
            return error
        }
    }

    private func demand(_ rest: [UInt8]) -> [UInt8] {
        Bytes.number(2, 1000)
            + Bytes.field(1000, Bytes.field(1, Bytes.text(1, "d") + rest))
    }

    private func amounts(_ number: UInt64, _ list: [(String, Double)]) -> [UInt8] {
        list.flatMap { name, amount in
            Bytes.field(number, Bytes.text(1, name), Bytes.field(2, Bytes.double(1, amount)))
        }
    }

    private static let beyond: [Int64] = [
        .max, .min, Int64(Int32.max) + 1, Int64(Int32.min) - 1, 1 << 32,
    ]

    @Test("the numbers of demand are those of the schema")
    func numbers() throws {
        let body =
            Bytes.text(2, "eng") + Bytes.field(3, amounts(1, [("cpus", 0.5)])) + Bytes.number(4, 2)
            + Bytes.number(5, 40) + Bytes.number(7, 3) + Bytes.number(8, 4) + Bytes.number(9, 5)
            + Bytes.number(10, 6)
        let expected = Demand(
            id: "d", role: "eng", resources: Resources(cpus: Milli(thousandths: 500)).quantities,
            ports: 2, count: 40, priority: 3, gang: 4, perOffer: 5, perAgent: 6)
        #expect(try WireCodec.decodeFrameworkCall(demand(body)).call == .demand([expected]))
        #expect(WireCodec.encode(FrameworkCall(call: .demand([expected]))) == demand(body))
    }

    @Test("a demand of which little is said is one instance for anybody")
    func defaults() throws {
        #expect(
            try WireCodec.decodeFrameworkCall(demand([])).call
                == .demand([Demand(id: "d", resources: ResourceQuantities())]))
    }

    @Test("a number of a demand that does not fit into 32 bits is refused", arguments: beyond)
    func largeNumbers(value: Int64) {
        let bits = UInt64(bitPattern: value)
        for (number, name) in [
            (UInt64(4), "ports"), (5, "count"), (7, "priority"), (8, "gang"), (9, "per_offer"),
            (10, "per_agent"),
        ] {
            #expect(
                problem(demand(Bytes.number(number, bits))) == .outOfRange("demand.\(name)"))
        }
    }

    @Test("a number that only makes no sense is left to the master, who can say why")
    func senselessNumbers() throws {
        for number in [UInt64(4), 5, 8, 9, 10] {
            let bytes = demand(Bytes.number(number, UInt64(bitPattern: -1)))
            guard case .demand(let demands) = try WireCodec.decodeFrameworkCall(bytes).call else {
                Issue.record("not a demand")
                continue
            }
            #expect(demands.first?.problem != nil)
        }
    }

    @Test("what is too large to be said is said as the nearest number, which is refused in words")
    func clamped() throws {
        let huge = Demand(
            id: "d", resources: Resources(cpus: Milli(1)).quantities, ports: .max, count: .max,
            priority: .min, gang: .max, perOffer: .max, perAgent: .min)
        let call = FrameworkCall(call: .demand([huge]))
        guard
            case .demand(let demands) = try WireCodec.decodeFrameworkCall(WireCodec.encode(call))
                .call
        else {
            Issue.record("not a demand")
            return
        }
        #expect(demands.first?.count == Int(Int32.max))
        #expect(demands.first?.priority == Int(Int32.min))
        #expect(demands.first?.problem != nil)
    }

    @Test(
        "an amount of a demand that is no number or too large is refused",
        arguments: [.nan, .infinity, -.infinity, 1e300, 9.1e9] as [Double])
    func amountsOfDemand(value: Double) {
        let bytes = demand(Bytes.field(3, amounts(1, [("cpus", value)])))
        #expect(problem(bytes) == .outOfRange("quantity cpus"))
    }

    @Test("more names than can be merged quickly are refused, wherever amounts have names")
    func manyNames() {
        let many = (0...WireLimits.quantities).map { ("r\($0)", 1.0) }
        let most = Array(many.dropLast())
        #expect(problem(demand(Bytes.field(3, amounts(1, many)))) == .outOfRange("quantity"))
        #expect(problem(demand(Bytes.field(3, amounts(1, most)))) == nil)
        for (number, name) in [(UInt64(2), "guarantee"), (3, "limits")] {
            func quota(_ list: [(String, Double)]) -> [UInt8] {
                Bytes.number(1, 36)
                    + Bytes.field(
                        20, Bytes.field(2, Bytes.text(1, "eng") + amounts(number, list)))
            }
            #expect(problemOfCall(quota(many)) == .outOfRange(name))
            #expect(problemOfCall(quota(most)) == nil)
        }
    }

    @Test(
        "an amount of a quota that is no number or too large is refused",
        arguments: [.nan, .infinity, -.infinity, 1e300, 9.1e9] as [Double])
    func amountsOfQuota(value: Double) {
        for (number, name) in [(UInt64(2), "guarantee cpus"), (3, "limit cpus")] {
            let bytes =
                Bytes.number(1, 36)
                + Bytes.field(
                    20, Bytes.field(2, Bytes.text(1, "eng") + amounts(number, [("cpus", value)])))
            #expect(problemOfCall(bytes) == .outOfRange(name))
        }
    }

    @Test("the record of a quota under the key of another role is refused")
    func quotaRecord() throws {
        var record = WireCodec.encode(MasterRecord.quota(role: "eng", Samples.quota))
        record.key = "ops"
        #expect(throws: WireError.malformed("record key")) {
            _ = try WireCodec.decodeMasterRecord(record)
        }
    }

    @Test("a constraint of a demand without selector or predicate is refused")
    func constraints() {
        let empty = Bytes.field(6, Bytes.field(1, Bytes.field(1), Bytes.field(2)))
        #expect(problem(demand(empty)) == .missing("selector"))
        let half = Bytes.field(
            6, Bytes.field(1, Bytes.field(1, Bytes.text(2, "rack")), Bytes.field(2)))
        #expect(problem(demand(half)) == .missing("predicate"))
    }

    @Test("a part of a claim is read as strictly as an offer's acceptance")
    func claims() {
        func claim(_ part: [UInt8]) -> [UInt8] {
            Bytes.number(2, 1002) + Bytes.field(1002, Bytes.text(1, "c") + Bytes.field(2, part))
        }
        let place = Bytes.id(1, "a") + Bytes.text(2, "*")
        #expect(problem(claim(place)) == nil)
        #expect(
            problem(claim(Bytes.id(1, "a"))) == .missing("a required field of scheduler call"))
        #expect(
            problem(claim(place + Bytes.field(3, Bytes.scalar("cpus", .nan))))
                == .outOfRange("resource cpus"))
        #expect(
            problem(claim(place + Bytes.field(4, Bytes.number(1, 99))))
                == .outOfRange("operation.type"))
    }

    @Test("a priority that does not fit into 32 bits is refused", arguments: beyond)
    func priorities(value: Int64) {
        let priority = Bytes.number(1000, UInt64(bitPattern: value))
        let framework = Bytes.text(1, "root") + Bytes.text(2, "n") + priority
        #expect(
            problem(Bytes.number(2, 1) + Bytes.field(3, Bytes.field(1, framework)))
                == .outOfRange("priority"))
        let task = Bytes.text(1, "n") + Bytes.id(2, "t") + Bytes.id(3, "a") + priority
        let operation = Bytes.number(1, 1) + Bytes.field(2, Bytes.field(1, task))
        #expect(
            problem(Bytes.number(2, 3) + Bytes.field(4, Bytes.field(2, operation)))
                == .outOfRange("priority"))
    }

    @Test("a count in an answer that is negative or too large is refused", arguments: beyond + [-1])
    func counts(value: Int64) {
        let bits = UInt64(bitPattern: value)
        let pause = Bytes.field(3, Bytes.number(1, 1))
        #expect(
            problemOfEvent(
                Bytes.number(1, 1003)
                    + Bytes.field(1003, Bytes.text(1, "*"), Bytes.number(2, bits), pause))
                == .outOfRange("backed_off.declines"))
        for (number, name) in [(UInt64(1), "agents"), (3, "fitting"), (9, "ahead")] {
            #expect(
                problemOfAnswer(
                    Bytes.number(1, 1005) + Bytes.field(1003, Bytes.number(number, bits)))
                    == .outOfRange("explanation.\(name)"))
        }
    }

    @Test("a check that is not known is refused in an explanation and passed over in a conflict")
    func unknownChecks() throws {
        for number in [UInt64(0), 99] {
            let step = Bytes.field(2, Bytes.number(1, number))
            #expect(problemOfAnswer(Bytes.number(1, 1005) + Bytes.field(1003, step)) != nil)
            let conflict =
                Bytes.id(1, "a") + Bytes.number(2, number) + Bytes.text(3, "not now")
            let event = try WireCodec.decodeSchedulerEvent(
                Bytes.number(1, 1001)
                    + Bytes.field(
                        1001, Bytes.text(1, "c"), Bytes.number(2, 0), Bytes.field(3, conflict)))
            #expect(
                event
                    == .claimAnswer(
                        id: "c",
                        .conflict([
                            ClaimConflict(agentID: "a", check: nil, message: "not now")
                        ])))
        }
    }

    @Test("an agent that says nothing of what it can do can do everything")
    func capabilities() throws {
        let info = Bytes.text(1, "node")
        func capabilities(_ rest: [UInt8]) throws -> AgentCapabilities? {
            let bytes = Bytes.field(1, Bytes.field(1, info + rest))
            guard case .register(let info, _, _) = try WireCodec.decodeAgentToMaster(bytes) else {
                return nil
            }
            return info.capabilities
        }
        #expect(try capabilities([]) == .all)
        #expect(try capabilities(Bytes.field(1000, Bytes.number(1, 3))) == .reservationRefinement)
        #expect(try capabilities(Bytes.field(1000, Bytes.number(1, 99))) == [])
        #expect(try capabilities(Bytes.field(1000)) == [])
    }
}
