import ProfferModel
import Testing

@Suite("TaskState")
struct TaskStateTests {
    private static let columns = [
        "TASK_STAGING", "TASK_STARTING", "TASK_RUNNING", "TASK_KILLING", "TASK_FINISHED",
        "TASK_FAILED", "TASK_KILLED", "TASK_LOST", "TASK_ERROR", "TASK_DROPPED",
        "TASK_UNREACHABLE", "TASK_GONE", "TASK_GONE_BY_OPERATOR", "TASK_UNKNOWN",
    ]

    /// An `x` in row and column says that an agent may report the column's state after the row's.
    private static let table = """
        TASK_STAGING          . x x x x x x x x x x x x .
        TASK_STARTING         . x x x x x x x x . x x x .
        TASK_RUNNING          . . x x x x x x x . x x x .
        TASK_KILLING          . . . x x x x x . . x x x .
        TASK_FINISHED         . . . . . . . . . . . . . .
        TASK_FAILED           . . . . . . . . . . . . . .
        TASK_KILLED           . . . . . . . . . . . . . .
        TASK_LOST             . . . . . . . . . . . . . .
        TASK_ERROR            . . . . . . . . . . . . . .
        TASK_DROPPED          . . . . . . . . . . . . . .
        TASK_UNREACHABLE      x x x x x x x x x . . x x .
        TASK_GONE             . . . . . . . . . . . . . .
        TASK_GONE_BY_OPERATOR . . . . . . . . . . . . . .
        TASK_UNKNOWN          . . . . . . . . . . . . . .
        """

    @Test("every pair of states is allowed or forbidden as the table says")
    func transitions() throws {
        var checked = 0
        for line in Self.table.split(separator: "\n") {
            let cells = line.split(separator: " ").map(String.init)
            try #require(cells.count == Self.columns.count + 1)
            let from = try #require(TaskState.allCases.first { $0.name == cells[0] })
            for (column, cell) in zip(Self.columns, cells.dropFirst()) {
                let to = try #require(TaskState.allCases.first { $0.name == column })
                #expect(from.mayBecome(to) == (cell == "x"), "\(from) to \(to)")
                checked += 1
            }
        }
        #expect(checked == TaskState.allCases.count * TaskState.allCases.count)
    }

    @Test("names, numbers and terminal states are those of the wire")
    func wire() {
        let literal: [(String, Int, isTerminal: Bool)] = [
            ("TASK_STAGING", 6, false), ("TASK_STARTING", 0, false), ("TASK_RUNNING", 1, false),
            ("TASK_KILLING", 8, false), ("TASK_FINISHED", 2, true), ("TASK_FAILED", 3, true),
            ("TASK_KILLED", 4, true), ("TASK_ERROR", 7, true), ("TASK_LOST", 5, true),
            ("TASK_DROPPED", 9, true), ("TASK_UNREACHABLE", 10, false), ("TASK_GONE", 11, true),
            ("TASK_GONE_BY_OPERATOR", 12, true), ("TASK_UNKNOWN", 13, false),
        ]
        #expect(literal.count == TaskState.allCases.count)
        for (name, number, isTerminal) in literal {
            let state = TaskState(rawValue: number)
            #expect(state?.name == name)
            #expect(state?.isTerminal == isTerminal)
        }
    }

    @Test("a terminal state cannot be left")
    func terminal() {
        for state in TaskState.allCases where state.isTerminal {
            #expect(state.successors.isEmpty)
        }
    }

    @Test("a framework that is not partition aware sees lost where others see more")
    func visibility() {
        let hidden: Set<TaskState> = [.dropped, .unreachable, .gone, .goneByOperator, .unknown]
        for state in TaskState.allCases {
            #expect(state.visible(toPartitionAware: true) == state)
            #expect(
                state.visible(toPartitionAware: false) == (hidden.contains(state) ? .lost : state))
        }
    }
}

@Suite("StatusSource and StatusReason")
struct StatusReasonTests {
    @Test("sources have the names and numbers of the wire")
    func sources() {
        let literal = ["SOURCE_MASTER", "SOURCE_AGENT", "SOURCE_EXECUTOR"]
        #expect(StatusSource.allCases.count == literal.count)
        for (number, name) in literal.enumerated() {
            #expect(StatusSource(rawValue: number)?.name == name)
        }
    }

    @Test("reasons have the names and numbers of the wire")
    func reasons() {
        let literal: [(String, Int)] = [
            ("REASON_COMMAND_EXECUTOR_FAILED", 0), ("REASON_CONTAINER_LAUNCH_FAILED", 21),
            ("REASON_CONTAINER_LIMITATION", 19), ("REASON_CONTAINER_LIMITATION_DISK", 20),
            ("REASON_CONTAINER_LIMITATION_MEMORY", 8), ("REASON_CONTAINER_PREEMPTED", 17),
            ("REASON_CONTAINER_UPDATE_FAILED", 22), ("REASON_MAX_COMPLETION_TIME_REACHED", 33),
            ("REASON_EXECUTOR_REGISTRATION_TIMEOUT", 23),
            ("REASON_EXECUTOR_REREGISTRATION_TIMEOUT", 24), ("REASON_EXECUTOR_TERMINATED", 1),
            ("REASON_EXECUTOR_UNREGISTERED", 2), ("REASON_FRAMEWORK_REMOVED", 3),
            ("REASON_GC_ERROR", 4), ("REASON_INVALID_FRAMEWORKID", 5),
            ("REASON_INVALID_OFFERS", 6), ("REASON_IO_SWITCHBOARD_EXITED", 27),
            ("REASON_MASTER_DISCONNECTED", 7), ("REASON_RECONCILIATION", 9),
            ("REASON_RESOURCES_UNKNOWN", 18), ("REASON_AGENT_DISCONNECTED", 10),
            ("REASON_AGENT_DRAINING", 34), ("REASON_AGENT_REMOVED", 11),
            ("REASON_AGENT_REMOVED_BY_OPERATOR", 31), ("REASON_AGENT_REREGISTERED", 32),
            ("REASON_AGENT_RESTARTED", 12), ("REASON_AGENT_UNKNOWN", 13),
            ("REASON_TASK_KILLED_DURING_LAUNCH", 30), ("REASON_TASK_CHECK_STATUS_UPDATED", 28),
            ("REASON_TASK_HEALTH_CHECK_STATUS_UPDATED", 29), ("REASON_TASK_GROUP_INVALID", 25),
            ("REASON_TASK_GROUP_UNAUTHORIZED", 26), ("REASON_TASK_INVALID", 14),
            ("REASON_TASK_UNAUTHORIZED", 15), ("REASON_TASK_UNKNOWN", 16),
        ]
        #expect(literal.count == StatusReason.allCases.count)
        for (name, number) in literal { #expect(StatusReason(rawValue: number)?.name == name) }
    }

    @Test("operation states have the numbers of the wire")
    func operations() {
        let literal: [(OperationState, Int)] = [
            (.unsupported, 0), (.pending, 1), (.finished, 2), (.failed, 3), (.error, 4),
            (.dropped, 5), (.unreachable, 6), (.goneByOperator, 7), (.recovering, 8),
            (.unknown, 9),
        ]
        #expect(literal.count == OperationState.allCases.count)
        for (state, number) in literal { #expect(state.rawValue == number) }
    }

    @Test("framework capabilities have the numbers of the wire")
    func capabilities() {
        let literal: [(FrameworkCapabilities, UInt32)] = [
            (.revocableResources, 1), (.taskKillingState, 2), (.gpuResources, 3),
            (.sharedResources, 4), (.partitionAware, 5), (.multiRole, 6),
            (.reservationRefinement, 7), (.regionAware, 8),
        ]
        for (capability, number) in literal { #expect(capability.rawValue == 1 << number) }
    }
}
