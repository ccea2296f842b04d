import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferWire

@Suite("The quick way")
struct QuickTests {
    private func launch(_ tasks: [TaskInfo]) -> FrameworkCall {
        FrameworkCall(
            frameworkID: "f",
            call: .accept(
                offers: ["o"], operations: [Operation(action: .launch(tasks))], filters: nil))
    }

    @Test("tasks with ports and a priority are common, and have the bytes of the general way")
    func launches() throws {
        let call = launch([Samples.portsTask, Samples.urgentTask])
        let quick = try #require(QuickWriter.bytes(of: call))
        #expect(quick == WireCodec.encodeGenerally(call))
        #expect(QuickReader.frameworkCall(quick) == call)
        #expect(try WireCodec.decodeFrameworkCallGenerally(quick) == call)
    }

    @Test("a run for a framework with a priority is common")
    func runs() throws {
        let run = RunTask(
            framework: FrameworkInfo(user: "u", name: "n", id: "f", roles: ["eng"], priority: -3),
            tasks: [Samples.portsTask], role: "eng", updateWindow: 4)
        let quick = try #require(QuickWriter.bytes(of: .run(run)))
        #expect(QuickReader.masterToAgent(quick) == .run(run))
        #expect(try WireCodec.decodeMasterToAgent(quick) == .run(run))
    }

    @Test("ranges the wrong way round, without an end or of another kind go the general way")
    func leftToTheGeneralWay() {
        func task(_ resource: [UInt8]) -> [UInt8] {
            let task =
                Bytes.text(1, "n") + Bytes.id(2, "t") + Bytes.id(3, "a")
                + Bytes.field(4, resource)
            let operation = Bytes.number(1, 1) + Bytes.field(2, Bytes.field(1, task))
            return Bytes.id(1, "f") + Bytes.number(2, 3)
                + Bytes.field(4, Bytes.id(1, "o"), Bytes.field(2, operation))
        }
        func ports(kind: UInt64, _ range: [UInt8]) -> [UInt8] {
            Bytes.text(1, "ports") + Bytes.number(2, kind) + Bytes.field(4, Bytes.field(1, range))
        }
        let good = Bytes.number(1, 5) + Bytes.number(2, 6)
        #expect(QuickReader.frameworkCall(task(ports(kind: 1, good))) != nil)
        #expect(QuickReader.frameworkCall(task(ports(kind: 0, good))) == nil)
        let bad = Bytes.number(1, 6) + Bytes.number(2, 5)
        #expect(QuickReader.frameworkCall(task(ports(kind: 1, bad))) == nil)
        #expect(throws: WireError.self) {
            try WireCodec.decodeFrameworkCall(task(ports(kind: 1, bad)))
        }
        #expect(QuickReader.frameworkCall(task(ports(kind: 1, Bytes.number(1, 5)))) == nil)
        #expect(throws: WireError.self) {
            try WireCodec.decodeFrameworkCall(task(ports(kind: 1, Bytes.number(1, 5))))
        }
    }
}
