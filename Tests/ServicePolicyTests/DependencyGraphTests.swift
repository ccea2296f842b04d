import Testing

@testable import ServicePolicy

@Suite("Dependency graph")
struct DependencyGraphTests {
    private func app(_ path: String, _ dependencies: String...) -> App {
        var app = App(id: AppPath(path), command: .shell("true"))
        app.dependencies = dependencies.map { AppPath($0) }
        return app
    }

    private func graph(_ apps: [App], _ groups: [String: [String]] = [:]) -> DependencyGraph {
        DependencyGraph(
            apps: apps,
            groups: groups.keys.sorted().map { path in
                GroupRecord(
                    path: AppPath(path),
                    dependencies: (groups[path] ?? []).map { AppPath($0) }, version: "")
            })
    }

    private func cycle(_ graph: DependencyGraph) -> [String]? {
        graph.cycle?.map(\.description)
    }

    @Test("an app is as deep as the longest chain that it waits for")
    func depths() {
        let graph = graph([
            app("/a"), app("/b", "/a"), app("/c", "/b", "/a"), app("/d", "/nothing"),
        ])
        #expect(graph.cycle == nil)
        #expect(graph.depths().keys.map(\.description) == ["/a", "/b", "/c", "/d"])
        #expect(graph.depths().values == [0, 1, 2, 0])
    }

    @Test("who waits for a group waits for its deepest app, at any depth of paths")
    func groups() {
        let graph = graph([
            app("/g/a"), app("/g/h/b", "/g/a"), app("/x", "/g"), app("/y", "/g/h"), app("/z", "/e"),
        ])
        #expect(graph.depths().values == [0, 1, 2, 2, 0])
    }

    @Test("what a group waits for, the apps in it wait for, and those in groups in it")
    func inherited() {
        let graph = graph(
            [app("/g/a"), app("/g/h/b"), app("/x")], ["/g": ["/x"], "/g/h": ["/g/a"]])
        #expect(graph.depths().values == [1, 2, 0])
    }

    @Test("a circle is told from app to app, groups left out")
    func cycles() {
        #expect(cycle(graph([app("/a", "/a")])) == ["/a", "/a"])
        #expect(cycle(graph([app("/a", "/b"), app("/b", "/a")])) == ["/a", "/b", "/a"])
        let over = graph([app("/g/a", "/h"), app("/h/b", "/g")])
        #expect(cycle(over) == ["/g/a", "/h/b", "/g/a"])
        #expect(over.depths().isEmpty)
    }

    @Test("an app may wait for the others of a group that it is in; two may not")
    func ownGroup() {
        let one = graph([app("/g/a"), app("/g/b", "/g"), app("/g/c")])
        #expect(one.cycle == nil)
        #expect(one.depths().values == [0, 1, 0])
        let two = graph([app("/g/a", "/g"), app("/g/b", "/g"), app("/g/c")])
        #expect(cycle(two) == ["/g/a", "/g/b", "/g/a"])
        #expect(cycle(graph([app("/g/a")], ["/g": ["/g"]])) == nil)
    }

    @Test("a chain may be longer than any stack")
    func longChain() {
        let count = 20_000
        let names = (0..<count).map { number in
            let digits = String(number)
            return "/n" + String(repeating: "0", count: 6 - digits.count) + digits
        }
        let apps = names.indices.map { index in
            index == 0 ? app(names[index]) : app(names[index], names[index - 1])
        }
        let graph = graph(apps)
        #expect(graph.cycle == nil)
        #expect(graph.depths().values == Array(0..<count))
        var circle = apps
        circle[0] = app(names[0], names[count - 1])
        #expect(self.graph(circle).cycle?.count == count + 1)
    }

    @Test("many apps that wait for a group of many take one edge each")
    func wideGroup() {
        let count = 2000
        let apps =
            (0..<count).map { app("/a/n\($0)") } + (0..<count).map { app("/b/n\($0)", "/a") }
        let graph = graph(apps)
        #expect(graph.edgeCount < 10 * count)
        #expect(graph.depths()[AppPath("/b/n7")] == 1)
    }
}
