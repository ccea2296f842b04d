import ProfferModel
import Testing

@Suite("Resource rules")
struct ResourceRuleTests {
    private func cpus(_ value: Double) throws -> Resources {
        Resources([Resource("cpus", .scalar(try #require(Milli(rounding: value))))])
    }

    private func volume(_ id: String, shared: Bool) -> Resource {
        Resource(
            "disk", .scalar(Milli(64)), reservations: [Reservation(role: "eng")],
            disk: DiskInfo(persistenceID: id, containerPath: "data"), isShared: shared)
    }

    @Test("scalars are exact to thousandths, and less than that is nothing")
    func scalars() throws {
        let tenth = try cpus(0.1)
        #expect(try tenth + tenth + tenth == cpus(0.3))
        #expect(try cpus(1.0001) == cpus(1.0004))
        #expect(try cpus(1.0004) == cpus(1))
        let less = try cpus(0.0004)
        #expect(less.isEmpty)
        let rest = try cpus(0.3) - tenth - tenth - tenth
        #expect(rest.isEmpty && rest.items.isEmpty)
    }

    @Test("a debt that is paid leaves nothing, and no subtraction makes a debt")
    func negative() {
        let debt = Resource("cpus", .scalar(Milli(-1)))
        var all = Resources([debt])
        all += Resource("cpus", .scalar(Milli(1)))
        #expect(all.items.isEmpty)
        #expect(Resources([debt, Resource("cpus", .scalar(Milli(1)))]).items.isEmpty)
        #expect((Resources([debt]) + Resources(cpus: Milli(1))).items.isEmpty)
        #expect((Resources(cpus: Milli(1)) - Resources(cpus: Milli(2))).items.isEmpty)
        #expect((Resources(mem: Milli(1)) - Resources(cpus: Milli(2))) == Resources(mem: Milli(1)))
    }

    @Test("ports that follow each other become one range, and a hole makes two")
    func ports() throws {
        let all = try Resources(text: "ports:[1-2]") + Resources(text: "ports:[3-5]")
        #expect(all.ports.intervals == [1...5])
        let (three, more) = try (Resources(text: "ports:[3-3]"), Resources(text: "ports:[1-9]"))
        #expect((all - three).ports.intervals == [1...2, 4...5])
        #expect((all - more).isEmpty)
    }

    @Test("a set that was written in any order is one")
    func sets() {
        let one = Resources([Resource("zones", .set(["c", "a", "c"]))])
        #expect(one == Resources([Resource("zones", .set(["a", "c"]))]))
        #expect((one - Resources([Resource("zones", .set(["c", "b"]))])).items.count == 1)
        var rest = one
        rest -= Resource("zones", .set(["c", "a"]))
        #expect(rest.isEmpty)
    }

    @Test("a shared volume goes with its last holder")
    func holders() {
        let volume = volume("v", shared: true)
        var all = Resources([volume])
        all += Resources([volume])
        all += volume
        #expect(all.items.count == 1)
        #expect(all.holders(of: volume) == 3)
        #expect(all != Resources([volume]))
        #expect(all.quantities["disk"] == Milli(64))
        all -= volume
        #expect(all.holders(of: volume) == 2)
        #expect((all - Resources([volume])).contains(Resources([volume])))
        all -= Resources([volume, volume])
        #expect(all.isEmpty && all.holders(of: volume) == 0)
    }

    @Test("more holders than there are must be added first, and can be only to what is there")
    func missingHolders() {
        let (volume, other) = (volume("v", shared: true), volume("w", shared: true))
        var all = Resources([volume])
        let needed = Resources([volume, volume, volume, other])
        #expect(!all.contains(Resources([volume, volume])))
        #expect(all.missingHolders(for: needed) == Resources([volume, volume]))
        all += all.missingHolders(for: needed)
        #expect(all.contains(Resources([volume, volume, volume])))
        #expect(all.missingHolders(for: Resources([volume])).isEmpty)
        #expect(all.filter { _ in true }.holders(of: volume) == 3)
        #expect(all.pushReservation(Reservation(role: "x")).items.count == 1)
        #expect(all.pushReservation(Reservation(role: "x")).popReservation() == all)
    }

    @Test("volumes that are not shared are there as often as they were added")
    func copies() {
        let volume = volume("v", shared: false)
        let two = Resources([volume, volume])
        #expect(two.contains(two))
        #expect(!Resources([volume]).contains(two))
        #expect((two - Resources([volume])) == Resources([volume]))
        #expect(two.missingHolders(for: two + two).isEmpty)
    }

    @Test("what does not fit whole is left out when resources shrink")
    func shrinking() {
        let disk = Resource("disk", .scalar(Milli(80)))
        let mount = Resource(
            "disk", .scalar(Milli(60)), disk: DiskInfo(source: .mount(root: "/m")))
        let all = Resources([disk, mount, Resource("cpus", .scalar(Milli(4)))])
        func shrunk(_ size: Int) -> Resources {
            var target = ResourceQuantities()
            target.add(Milli(size), to: "disk")
            return all.shrunk(to: target)
        }
        #expect(shrunk(59) == Resources(disk: Milli(59)))
        #expect(shrunk(60) == Resources([mount]))
        #expect(shrunk(100) == Resources([Resource("disk", .scalar(Milli(40))), mount]))
        #expect(shrunk(500) == Resources([disk, mount]))
        #expect(all.shrunk(to: ResourceQuantities()).isEmpty)
    }

    @Test("a resource says everything about itself")
    func descriptions() {
        #expect("\(Resource("cpus", .scalar(Milli(1)), isRevocable: true))" == "cpus{REV}:1")
        let stack = [
            Reservation(kind: .static, role: "a"),
            Reservation(role: "a/b", principal: "p", labels: [Label("k", "v"), Label("l")]),
        ]
        var disk = Resource("disk", .scalar(Milli(64)), reservations: stack, isShared: true)
        disk.disk = DiskInfo(
            persistenceID: "v", principal: "q", containerPath: "data", source: .mount(root: "/m"))
        #expect(
            "\(disk)" == "disk(reservations: [(STATIC,a),(DYNAMIC,a/b,p,{k: v, l})])"
                + "[MOUNT:/m,v:data,by q]<SHARED>:64")
    }

    @Test("what a resource is besides its amount can be read and changed part by part")
    func details() {
        var resource = Resource("disk", .scalar(Milli(1)))
        let plain = resource
        resource.reservations.append(Reservation(role: "a"))
        resource.disk = DiskInfo(persistenceID: "v")
        resource.isShared = true
        resource.isRevocable = true
        #expect(resource.reservedRole == "a" && resource.isReserved && resource.isPersistentVolume)
        #expect(resource.isIndivisible && resource.isShared && resource.isRevocable)
        #expect(
            resource
                == Resource(
                    "disk", .scalar(Milli(1)), reservations: [Reservation(role: "a")],
                    disk: DiskInfo(persistenceID: "v"), isRevocable: true, isShared: true))
        #expect(plain != resource && !plain.isReserved && plain.disk == nil)
        resource.reservations.removeLast()
        resource.disk = nil
        resource.isShared = false
        resource.isRevocable = false
        #expect(plain == resource && plain.hashValue == resource.hashValue)
    }
}
