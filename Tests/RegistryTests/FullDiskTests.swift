import ClusterProbe
import Foundation
import ProfferWire
import Testing

@testable import ProfferRegistry

@Suite("Store on a full disk")
struct FullDiskTests {
    @Test(
        "after a failed write nothing is confirmed any more, and nothing confirmed is lost",
        .enabled(if: SmallDisk.isPossible, "only root can mount a small file system"))
    func full() async throws {
        let disk = try SmallDisk(kibibytes: 512)
        let path = disk.path + "/store.sqlite"
        let store = try SQLiteStore(path: path)
        let block = [UInt8](repeating: 7, count: 20_000)
        var confirmed: [String] = []
        var failure: StoreProblem?
        for number in 0..<200 where failure == nil {
            let record = StoredRecord(kind: "k", key: "\(number)", value: block)
            failure = await store.submit([record])
            if failure == nil { confirmed.append(record.key) }
        }
        #expect(failure?.kind == .full)
        #expect(failure?.description.contains(path) == true)
        #expect(!confirmed.isEmpty)
        // A small fact would fit, but the order of facts would have a hole.
        let later = await store.submit([StoredRecord(kind: "k", key: "later", value: [1])])
        #expect(later?.kind == .full)
        store.close()
        // With room on the disk everything that was confirmed is there again.
        try disk.resize(kibibytes: 4096)
        let again = try SQLiteStore(path: path)
        #expect(Set(try again.load().map(\.key)) == Set(confirmed))
        #expect(await again.submit([StoredRecord(kind: "k", key: "new", value: block)]) == nil)
        again.close()
    }
}
