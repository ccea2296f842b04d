internal import ArgumentParser
internal import Foundation
internal import ProfferAPI
internal import ProfferKernel

struct MaintenanceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "maintenance",
        abstract: "Plan that machines are unavailable; take them down and up.",
        discussion: """
            EXAMPLES:
              proffer maintenance plan node-1 node-2 --start 2026-01-31T12:00:00Z --duration 2h
              proffer maintenance                who was asked to leave, and what is down
              proffer maintenance down node-1    its agents are removed
              proffer maintenance up node-1      it may be used again
              proffer maintenance cancel node-2  nothing is planned for it any more
            """,
        subcommands: [Status.self, Plan.self, Cancel.self, Down.self, Up.self],
        defaultSubcommand: Status.self)

    struct Status: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show the machines of the plan.")

        @OptionGroup
        var cluster: ClusterOptions

        func run() async throws {
            let list = try await cluster.client().get(
                "/v1/maintenance", as: ObjectList<MachineObject>.self)
            try show(list, cluster.output, header: ["MACHINE", "STATE", "FROM", "FOR", "ASKED"]) {
                machine in
                [
                    machine.id, machine.state, machine.window?.start ?? "-",
                    machine.window?.duration ?? "-",
                    machine.requests.isEmpty
                        ? "-"
                        : machine.requests.map { "\(short($0.framework, 20)): \($0.answer)" }
                            .joined(separator: ", "),
                ]
            }
        }
    }

    struct Machines: ParsableArguments {
        @OptionGroup
        var cluster: ClusterOptions

        @Argument(help: ArgumentHelp("The host names.", valueName: "host"))
        var machines: [String] = []

        func validate() throws {
            if machines.isEmpty { throw ValidationError("name at least one machine") }
        }

        func order(_ what: String) async throws {
            try await cluster.client().order(
                .post, "/v1/maintenance/\(what)", MachinesObject(machines))
        }

        /// Changes the plan; the machines named are in no window before `add`.
        func change(_ add: (inout [WindowObject]) -> Void) async throws {
            let client = try cluster.client()
            var plan = try await client.get("/v1/maintenance/schedule", as: ScheduleObject.self)
            let named = Set(machines.map { $0.lowercased() })
            for index in plan.windows.indices {
                plan.windows[index].machines.removeAll { named.contains($0.lowercased()) }
            }
            plan.windows.removeAll(where: \.machines.isEmpty)
            add(&plan.windows)
            try await client.order(.put, "/v1/maintenance/schedule", plan)
        }
    }

    struct Plan: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Plan when machines will not be available: frameworks are told.")

        @OptionGroup
        var machines: Machines

        @Option(help: "From when, such as 2026-01-31T12:00:00Z; now unless set.")
        var start: String?

        @Option(help: "For how long, such as 2h; for good unless set.")
        var duration: String?

        func validate() throws {
            if let start, WallTime(text: start) == nil {
                throw ValidationError("--start '\(start)' is no time as 2026-01-31T12:00:00Z")
            }
            if let duration, Duration(text: duration) == nil {
                throw ValidationError(
                    "--duration '\(duration)' is no duration such as 30s, 5m, 2h")
            }
        }

        func run() async throws {
            let now = WallTime(
                nanosecondsSince1970: Int64(Date().timeIntervalSince1970) * 1_000_000_000)
            let window = WindowObject(
                machines: machines.machines, start: start ?? WallTimeText(now).text,
                duration: duration)
            try await machines.change { $0.append(window) }
            note("\(machines.machines.joined(separator: ", ")): planned from \(window.start)")
        }
    }

    struct Cancel: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Take machines off the plan.")

        @OptionGroup
        var machines: Machines

        func run() async throws {
            try await machines.change { _ in }
            note("\(machines.machines.joined(separator: ", ")): nothing is planned")
        }
    }

    struct Down: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Take machines of the plan down: their agents are removed.")

        @OptionGroup
        var machines: Machines

        func run() async throws {
            try await machines.order("down")
            note("\(machines.machines.joined(separator: ", ")): down")
        }
    }

    struct Up: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Let machines that are down be used again.")

        @OptionGroup
        var machines: Machines

        func run() async throws {
            try await machines.order("up")
            note("\(machines.machines.joined(separator: ", ")): up")
        }
    }
}
