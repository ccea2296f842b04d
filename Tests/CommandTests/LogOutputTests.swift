import Foundation
import ProfferAPI
import Testing

@testable import ProfferCommands

@Suite("Output of logs and stop")
struct LogOutputTests {
    private final class Written {
        var data = Data()
        var isOpen = true
        var objects: [LogObject] {
            data.split(separator: UInt8(ascii: "\n")).compactMap {
                try? APICoding.decode(LogObject.self, from: Data($0))
            }
        }
    }

    private func task() throws -> TaskObject {
        try APICoding.decode(
            TaskObject.self,
            from: Data(
                #"""
                {"kind": "task", "id": "t", "name": "n", "framework": "f", "role": "*",
                 "state": "TASK_RUNNING", "resources": {}, "labels": {}}
                """#.utf8))
    }

    private func output(
        _ format: OutputFormat, follows: Bool, _ written: Written
    ) throws -> LogOutput {
        LogOutput(format, of: try task(), file: "stdout", follows: follows) {
            written.data += $0
            return written.isOpen
        }
    }

    @Test("as a table the bytes come as they are")
    func plain() throws {
        let written = Written()
        var output = try output(.table, follows: false, written)
        let isRead0 = output.take(Data([0xFF, 0x0A]), at: 0)
        #expect(isRead0)
        output.finish()
        #expect(written.data == Data([0xFF, 0x0A]))
    }

    @Test("as JSON a file is one object, however many answers it took")
    func whole() throws {
        let written = Written()
        var output = try output(.json, follows: false, written)
        let isRead7 = output.take(Data("one\n".utf8), at: 7)
        #expect(isRead7)
        let isRead11 = output.take(Data("two".utf8), at: 11)
        #expect(isRead11)
        #expect(written.data.isEmpty)
        output.finish()
        let object = try APICoding.decode(LogObject.self, from: written.data)
        #expect(object.kind == "log")
        #expect(object.framework == "f")
        #expect(object.task == "t")
        #expect(object.file == "stdout")
        #expect(object.offset == 7)
        #expect(object.text == "one\ntwo")
    }

    @Test("as JSON an empty file is an object too")
    func empty() throws {
        let written = Written()
        var output = try output(.json, follows: false, written)
        let isRead0 = output.take(Data(), at: 0)
        #expect(isRead0)
        output.finish()
        #expect(try APICoding.decode(LogObject.self, from: written.data).text == "")
    }

    @Test("as JSON a file that is followed is an object on a line for each piece")
    func followed() throws {
        let written = Written()
        var output = try output(.json, follows: true, written)
        let isRead0 = output.take(Data("one\n".utf8), at: 0)
        #expect(isRead0)
        let isEmptyRead = output.take(Data(), at: 4)
        #expect(isEmptyRead)
        let isRead4 = output.take(Data("two".utf8), at: 4)
        #expect(isRead4)
        output.finish()
        #expect(written.objects.map(\.text) == ["one\n", "two"])
        #expect(written.objects.map(\.offset) == [0, 4])
    }

    @Test("a character that comes in two pieces is whole in the second object")
    func cutCharacter() throws {
        let written = Written()
        var output = try output(.json, follows: true, written)
        let euro = Data("a€".utf8)
        let isRead0 = output.take(euro.prefix(2), at: 0)
        #expect(isRead0)
        let isRead2 = output.take(euro.suffix(2), at: 2)
        #expect(isRead2)
        output.finish()
        #expect(written.objects.map(\.text) == ["a", "€"])
        #expect(written.objects.map(\.offset) == [0, 1])
    }

    @Test("when nobody reads any more it says so")
    func closed() throws {
        let written = Written()
        written.isOpen = false
        var output = try output(.json, follows: true, written)
        let isRead = output.take(Data("x".utf8), at: 0)
        #expect(!isRead)
    }

    @Test("what was stopped is told by kind, id and state")
    func stopped() throws {
        let object = StoppedObject(kind: "service", id: "web", state: "ended")
        let text = String(decoding: try APICoding.encode(object), as: UTF8.self)
        #expect(text == #"{"id":"web","kind":"service","state":"ended"}"#)
    }
}
