public import ArgumentParser
internal import Foundation

/// The version of the programs.
let profferVersion = "0.1.0"

/// The command `proffer`.
public struct ProfferCommand: AsyncParsableCommand {
    /// What it is called and what it can do.
    public static let configuration = CommandConfiguration(
        commandName: "proffer",
        abstract: "Start, look at and use a proffer cluster.",
        discussion: """
            EXAMPLES:
              proffer dev                  a cluster on this machine, until Ctrl-C
              proffer demo                 what a cluster does, in a minute
              proffer run --name web --ports 1 -- python3 -m http.server '$PORT'
              proffer ps                   what runs
              proffer top                  what it uses
              proffer why task web         why it waits
              proffer logs -f web          what it writes
              proffer stop web             the end of it

            A command finds its cluster by --context FILE, $PROFFER_CONTEXT or \
            ~/.proffer/context.json, in this order.

            Exit codes: 0 done, 1 failed, 3 not found, 4 refused, 5 timed out, 6 unreachable, \
            7 conflict, 8 degraded, 64 usage, 65 bad file, 78 bad configuration.
            """,
        version: profferVersion,
        groupedSubcommands: [
            CommandGroup(
                name: "Local cluster", subcommands: [DevCommand.self, DemoCommand.self]),
            CommandGroup(
                name: "Work",
                subcommands: [
                    RunCommand.self, PsCommand.self, TaskCommand.self, LogsCommand.self,
                    FilesCommand.self, CopyCommand.self, ExecCommand.self, StopCommand.self,
                    KillCommand.self,
                ]),
            CommandGroup(
                name: "Cluster",
                subcommands: [
                    StatusCommand.self, TopCommand.self, WhyCommand.self, AgentsCommand.self,
                    FrameworksCommand.self, OffersCommand.self, RolesCommand.self,
                    QuotaCommand.self, WeightCommand.self, PriorityCommand.self,
                    WhitelistCommand.self, ReserveCommand.self, UnreserveCommand.self,
                    AgentCommand.self, MaintenanceCommand.self, RebindCommand.self,
                    KeygenCommand.self, RegistryCommand.self, DoctorCommand.self,
                ]),
            CommandGroup(name: "Proof", subcommands: [SimulateCommand.self]),
        ])

    /// Made by the argument parser.
    public init() {}

    /// Runs the command that the arguments name and ends the process with its code.
    public static func execute(_ arguments: [String]? = nil) async -> Never {
        do {
            var command = try parseAsRoot(arguments)
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
            if let problem = outputProblem { throw problem }
            Foundation.exit(0)
        } catch let problem as CommandProblem {
            note(problem.description)
            Foundation.exit(problem.code.rawValue)
        } catch {
            exit(withError: error)
        }
    }
}
