import Glibc
import ProfferIsolation
import ProfferModel
import Testing

@testable import ProfferContainers

@Suite("What is used of a node")
struct UsageTests {
    @Test("what goes over the loopback is no network usage")
    func network() {
        let table = """
            Inter-|   Receive                            |  Transmit
             face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets
                lo: 1000 1 0 0 0 0 0 0 1000 1 0 0 0 0 0 0
              eth0: 200 1 0 0 0 0 0 0 30 1 0 0 0 0 0 0
            eth1.2:5 1 0 0 0 0 0 0 7 1 0 0 0 0 0 0
              bad0: x
            """
        #expect(
            UsageProbe.network(table: table) == NetworkUsage(receivedBytes: 205, sentBytes: 37))
        #expect(UsageProbe.network(table: "") == NetworkUsage())
    }

    @Test("a node tells its cores, its memory and how long its processes have waited")
    func node() throws {
        let usage = UsageProbe.node(diskAt: "/")
        #expect(usage.cores > 0)
        #expect(usage.memoryUsedBytes > 0 && usage.memoryUsedBytes <= usage.memoryTotalBytes)
        #expect(usage.diskTotalBytes > 0)
        #expect(usage.network != nil)
        let counts = access("/proc/pressure/memory", R_OK) == 0
        #expect((usage.pressure?.memory != nil) == counts)
    }

    @Test("this process has the network that it sees itself")
    func namespace() {
        #expect(!UsageProbe.hasOwnNetwork(getpid()))
        #expect(UsageProbe.network(of: getpid()) != nil)
        #expect(UsageProbe.network(of: -1) == nil)
    }

    @Test("what waits is the first line's total, and nothing when there is none")
    func pressure() {
        let text = "some avg10=1.81 avg60=8.55 avg300=9.40 total=26\nfull avg10=0.00 total=5"
        #expect(PressureText.total(text) == .microseconds(26))
        #expect(PressureText.total("full avg10=0.00 total=5") == nil)
        #expect(PressureText.total("some avg10=0.00 total=x") == nil)
    }

    @Test("the size of a sandbox counts what lies in it, follows no link, and has an end")
    func size() throws {
        let scratch = try Scratch()
        let inside = scratch.path + "/inside"
        #expect(mkdir(inside, 0o755) == 0)
        let empty = Sandbox.size(inside, entries: 100)
        for name in ["a", "b"] {
            let file = open("\(inside)/\(name)", O_WRONLY | O_CREAT, 0o600)
            let bytes = [UInt8](repeating: 1, count: 1 << 20)
            #expect(write(file, bytes, bytes.count) == bytes.count)
            close(file)
        }
        #expect(symlink("/", inside + "/root") == 0)
        let full = Sandbox.size(inside, entries: 100)
        #expect(full - empty >= 2 << 20 && full - empty < 3 << 20)
        let part = Sandbox.size(inside, entries: 1)
        #expect(part < full)
        #expect(Sandbox.size(inside, entries: 0) == 0)
        #expect(Sandbox.size(inside + "/nothing", entries: 100) == 0)
        #expect(Sandbox.size(inside + "/root", entries: 100) == 0)
    }
}
