internal import ArgumentParser

/// The batch scheduler and its command line in one program.
@main
struct BatchSchedulerProgram: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "batch-scheduler",
        abstract: "Run jobs to their end on a Proffer cluster.",
        discussion: """
            A job file (YAML or JSON) names tasks: a command, what one instance takes
            (cpus in cores, default 0.1; mem and disk in MiB, default 32 and 0), an
            array with a concurrency limit, the tasks it depends on, retries with
            back-off, a time limit, its environment and the files to collect.
            Durations are whole numbers with a unit: 500ms, 30s, 5m, 2h.

            Exit codes: 0 done, 1 failed, 3 not found, 4 refused, 6 unreachable, 64
            wrong usage, 65 job file not valid; with --watch the job's own.
            """,
        version: "0.1.0",
        subcommands: [
            ServeCommand.self, SubmitCommand.self, ListCommand.self, ShowCommand.self,
            LogsCommand.self, CancelCommand.self,
        ])
}
