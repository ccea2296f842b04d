import ArgumentParser
import BenchSupport
import Foundation

@main
struct AllocatorBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "allocator-bench",
        abstract: "Measure the allocator by itself, beside what Mesos' took for the same.",
        subcommands: [Run.self, Chart.self, CellCommand.self], defaultSubcommand: Run.self)
}

/// Runs every cell in a process of its own and reports.
struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Run the benchmarks (default).",
        discussion: """
            Every cell runs in a fresh process. Times are CPU time of the thread. The ratio says \
            how many times less than Mesos, scaled by two calibrations; the smaller one counts.

            """
                + Workload.all.map { "\($0.name): \($0.about)" }.joined(separator: "\n"))

    @Flag(help: "Few and small cells.")
    var quick = false

    @Option(help: "Only benchmarks whose name begins so; may be repeated.")
    var only: [String] = []

    @Option(help: "Where the JSON document goes.")
    var json: String?

    @Option(help: "Seconds of CPU time after which a cell is given up.")
    var limit = 60

    func run() throws {
        let begin = Usage.wallSeconds()
        let workloads = Workload.all.filter { workload in
            only.isEmpty
                || only.contains { workload.name.lowercased().hasPrefix($0.lowercased()) }
        }
        guard !workloads.isEmpty else {
            throw ValidationError(
                "no benchmark's name begins with '\(only.joined(separator: "', '"))'; "
                    + "there are " + Workload.all.map(\.name).joined(separator: ", "))
        }
        let start = Calibration.measured()
        var measurements: [Measurement] = []
        for workload in workloads {
            for parameters in quick ? workload.quick : workload.cells {
                measurements += try measure(workload, parameters)
            }
        }
        measurements += Derived.measurements(measurements)
        let end = Calibration.measured()
        let report = Report(
            subject: String(describing: Subject.self), machine: machine(start, end),
            seconds: Usage.wallSeconds() - begin, rows: rows(measurements, start, end))
        print(
            "\(report.subject), xorshift \(short(report.machine.calibration.xorshiftSeconds)) s, "
                + "chase \(short(report.machine.calibration.chaseNanoseconds)) ns, "
                + "\(short(report.seconds)) s in all\n\n" + Report.header + report.table)
        if let json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
            try encoder.encode(report).write(to: URL(fileURLWithPath: json))
        }
    }

    /// Both calibrations are elapsed times: whatever else ran makes them longer, and a longer one
    /// would flatter us, so the smaller ones count.
    private func fastest(_ start: Calibration, _ end: Calibration) -> Calibration {
        Calibration(
            xorshiftSeconds: min(start.xorshiftSeconds, end.xorshiftSeconds),
            chaseNanoseconds: min(start.chaseNanoseconds, end.chaseNanoseconds))
    }

    private func machine(_ start: Calibration, _ end: Calibration) -> Report.Machine {
        let process = ProcessInfo.processInfo
        return Report.Machine(
            processor: Usage.processorName(), cores: process.processorCount,
            memoryMegabytes: Int(process.physicalMemory / 1_000_000),
            system: process.operatingSystemVersionString, calibration: fastest(start, end),
            calibrationAtStart: start, calibrationAtEnd: end)
    }

    /// In the order of the benchmarks, and what belongs together together.
    private func rows(
        _ measurements: [Measurement], _ start: Calibration, _ end: Calibration
    ) -> [Row] {
        var names: [String] = []
        for row in measurements where !names.contains(row.name) { names.append(row.name) }
        let calibration = fastest(start, end)
        return names.flatMap { name in
            measurements.filter { $0.name == name }.map { Row($0, calibration) }
        }
    }

    /// Runs this program again for one cell.
    private func measure(
        _ workload: Workload, _ parameters: [String: Int]
    ) throws -> [Measurement] {
        let text = Cell.text(parameters)
        let begin = Usage.wallSeconds()
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        process.arguments =
            ["cell", "--name", workload.name, "--parameters", text, "--limit", String(limit)]
            + (quick ? ["--quick"] : [])
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        let seconds = short(Usage.wallSeconds() - begin)
        FileHandle.standardError.write(Data("\(workload.name) \(text): \(seconds) s\n".utf8))
        if process.terminationReason == .exit, process.terminationStatus == 0 {
            return try JSONDecoder().decode([Measurement].self, from: output)
        }
        let reason =
            process.terminationReason == .uncaughtSignal && process.terminationStatus == SIGXCPU
            ? "no result within \(limit) s of CPU time" : "the process has ended by itself"
        return [
            .figure(workload.name, "", parameters, [], unit: "", problem: reason)
        ]
    }
}

/// One cell, for `Run`.
struct CellCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cell", abstract: "Run one cell.", shouldDisplay: false)

    @Option
    var name: String
    @Option
    var parameters: String
    @Option
    var limit: Int
    @Flag
    var quick = false

    func run() throws {
        guard let workload = Workload.all.first(where: { $0.name == name }) else {
            throw ValidationError("there is no benchmark '\(name)'")
        }
        Usage.limitCPU(seconds: limit)
        let cell = Cell(parameters: Cell.parameters(parameters), isQuick: quick)
        let measurements = workload.run(cell)
        FileHandle.standardOutput.write(
            try JSONEncoder().encode(measurements.filter { $0.samples.allSatisfy(\.isFinite) }))
    }
}
