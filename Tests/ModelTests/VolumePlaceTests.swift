import ProfferModel
import Testing

@Suite("Places of volumes")
struct VolumePlaceTests {
    private func volume(
        _ id: String?, role: String = "db", source: DiskInfo.Source? = nil
    ) -> Resource {
        Resource(
            "disk", .scalar(Milli(10)), reservations: [Reservation(role: role)],
            disk: DiskInfo(persistenceID: id, source: source))
    }

    private func path(_ id: String, role: String = "db") -> String? {
        volume(id, role: role).volumePlace(below: "/v")?.path
    }

    @Test("role and id lead to a directory; a disk of its own is the volume")
    func places() {
        #expect(path("data") == "/v/roles/db/data")
        #expect(volume(nil).volumePlace(below: "/v") == nil)
        #expect(
            volume("a", source: .path(root: "/d")).volumePlace(below: "/v")?.path
                == "/d/volumes/roles/db/a")
        let whole = volume("a", source: .mount(root: "/mnt/d")).volumePlace(below: "/v")
        #expect(whole == VolumePlace(top: "/mnt/d", names: []))
        #expect(whole?.path == "/mnt/d")
    }

    @Test("no name leads out of the directory, and different volumes never share a place")
    func names() throws {
        let long = String(repeating: "x", count: 255)
        let names = [
            "a", "A", "a/b", "..", ".", "...", ".a", "a.", "%", "%2E", "%25", "a%2Fb", " ", "+",
            "a+", "é", long, long + "y", String(long.dropLast()), "a\u{0}b", "-", "",
        ]
        var places: [VolumePlace: String] = [:]
        for role in names {
            for id in names {
                let place = try #require(volume(id, role: role).volumePlace(below: "/v"))
                for name in place.names {
                    #expect(name.utf8.count <= 255)
                    #expect(!name.isEmpty && !name.hasPrefix(".") && !name.contains("/"))
                }
                let name = "\(role)|\(id)"
                #expect(places[place] == nil, "\(name) has the place of \(places[place] ?? "")")
                places[place] = name
            }
        }
    }

    @Test("no volume lies within another one")
    func nesting() throws {
        let long = String(repeating: "x", count: 255)
        let ids = ["a", "a+", "x", long, String(long.prefix(198)), String(long.prefix(199))]
        let roles = ["r", "r/a", "r/a/b", long]
        let paths = try roles.flatMap { role in
            try ids.map { try #require(path($0, role: role)) }
        }
        for inner in paths {
            #expect(!paths.contains { inner.hasPrefix($0 + "/") })
        }
    }
}
