internal import Glibc
public import ProfferModel

/// A further program in a running container, with what its first one may do and no more.
public struct ContainerEntry: Hashable, Sendable {
    /// What runs the container.
    public var runtime: ContainerRuntime
    /// The name of its plan.
    public var name: String
    /// Its first process, by its number on the node.
    public var process: Int32
    /// Where the number of the further process is written, a file of this entry's own.
    public var numberFile: String
    /// What the environment has beyond that of the first program.
    public var environment: [EnvironmentVariable]
    /// Whether the standard streams are a terminal.
    public var hasTerminal: Bool

    /// Sets every field; what is left out has the default shown.
    public init(
        runtime: ContainerRuntime, name: String, process: Int32, numberFile: String,
        environment: [EnvironmentVariable] = [], hasTerminal: Bool = false
    ) {
        self.runtime = runtime
        self.name = name
        self.process = process
        self.numberFile = numberFile
        self.environment = environment
        self.hasTerminal = hasTerminal
    }

    /// What starts the program, with the exit code of it.
    public func arguments(_ command: CommandInfo) -> [String] {
        var words = [
            runtime.program, "--root", runtime.stateDirectory, "exec", "--pid-file", numberFile,
        ]
        if hasTerminal { words.append("--tty") }
        for variable in environment + command.environment {
            words += ["--env", "\(variable.name)=\(variable.value)"]
        }
        words.append(name)
        guard !command.shell else { return words + ["/bin/sh", "-c", command.value ?? ""] }
        let given = command.arguments.isEmpty ? [command.value ?? ""] : command.arguments
        return words + [command.value ?? given[0]] + given.dropFirst()
    }

    /// What starts the program, for the launcher; its output goes nowhere.
    func plan(_ command: CommandInfo) -> ProcessPlan {
        ProcessPlan(
            command: CommandInfo(
                value: runtime.program, shell: false, arguments: arguments(command)),
            environment: ContainerRuntime.environment, directory: "/", output: .discarded)
    }

    /// Kills the program if it is still there: the end of the one that started it is not its end.
    ///
    /// Numbers are given again, so that the process is known by where it is too.
    public func leave() {
        defer { unlink(numberFile) }
        guard let text = ProcFile.text(numberFile, limit: 32), let pid = Int32(text), pid > 1,
            let own = ProcFile.link("/proc/\(pid)/ns/pid"),
            own == ProcFile.link("/proc/\(process)/ns/pid")
        else { return }
        kill(pid, SIGKILL)
    }
}
