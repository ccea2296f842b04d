import ProfferExecutorSDK

struct Reverser: CustomExecutor {
    init() async throws {}

    func run(_ task: LaunchedTask, _ reporter: TaskReporter) async throws -> [UInt8] {
        reporter.report("reversing")
        return task.info.data.reversed()
    }
}
