import BatchPolicy
import ProfferFramework
import ProfferKernel
import ProfferModel
import ProfferSimulation
import ServicePolicy
import Testing

@Suite("The example schedulers in clusters where things go wrong")
struct ExamplePolicyTests {
    /// Without those who end the framework, or a task of it, on purpose.
    private static var configuration: SimulationConfiguration {
        var configuration = Support.small
        configuration.faults = Set(FaultKind.allCases).subtracting([
            .operatorTearsDown, .operatorKills, .taskKilled, .agentDiskWiped, .wallClockJump,
            .taskFails, .taskOutOfMemory, .taskDoesNotStart, .executorLaunchFails,
        ])
        return configuration
    }

    private func run(_ framework: SimulatedFramework, seeds: ClosedRange<UInt64>) {
        var configuration = Self.configuration
        configuration.workloads = [framework]
        for seed in seeds {
            let report = Simulation(configuration).run(seed: seed)
            #expect(
                report.violation == nil, "seed \(seed): \(report.violation?.description ?? "")")
        }
    }

    @Test("a job of the batch scheduler is done once, whatever happens")
    func batch() {
        let job = JobSpecification(
            name: "job",
            tasks: [
                TaskSpecification(name: "first", command: "true", count: 8),
                TaskSpecification(name: "second", command: "true", count: 3, depends: ["first"]),
            ])
        let framework = SimulatedFramework(
            name: "batch", commands: [.init(at: .seconds(1), .submit(job, Ticket(1)))],
            behavior: { _, generator in
                var task = SimulatedTask()
                task.duration = .milliseconds(Int64(500 + generator.next() % 4000))
                return task
            },
            complaint: { (policy: BatchScheduler) in Self.complaint(policy) },
            start: { kept, circumstances in
                var records = Kept()
                for case .persist(let list) in kept {
                    for change in list { records.take(change) }
                }
                let policy = BatchScheduler(
                    restoring: records.records, frameworkID: circumstances.id,
                    options: BatchOptions(clock: circumstances.wallClock),
                    at: circumstances.now)
                var options = FrameworkOptions(
                    info: FrameworkInfo(name: "batch", failoverTimeout: .seconds(600)))
                options.knownTasks = policy.liveTasks
                options.demands = []
                options.reconcileFirstPause = .seconds(2)
                return SimulatedFramework.Start(policy: policy, options: options)
            })
        run(framework, seeds: 1...(10 * Support.factor))
    }

    private static func complaint(_ policy: BatchScheduler) -> String? {
        var policy = policy
        let actions = policy.actions(
            on: .command(.list(state: nil, before: nil, limit: 10, Ticket(2))), at: .zero)
        for case .output(.answer(_, .jobs(let jobs, _))) in actions {
            guard jobs.count == 1, let job = jobs.first else { return "\(jobs.count) jobs" }
            if job.state == .finished, job.counts.finished == 11 { return nil }
            return "the job is \(job.state.rawValue), \(job.counts)"
        }
        return "no answer"
    }

    /// What was kept must be readable; otherwise the run goes on from nothing, and has failed.
    private static func restored(
        _ configuration: ServiceConfiguration, _ kept: [StoreChange]
    ) -> ServicePolicy {
        do {
            return try ServicePolicy(configuration, stored: kept)
        } catch {
            Issue.record("the service scheduler cannot read what it has kept: \(error)")
            return restored(configuration, [])
        }
    }

    @Test("a service has its instances, whatever happens")
    func service() {
        let app: JSON = [
            "id": "/web", "cmd": "service", "instances": 3, "cpus": 1, "mem": 32,
            "backoffSeconds": 1, "maxLaunchDelaySeconds": 2,
        ]
        let framework = SimulatedFramework(
            name: "services",
            commands: [
                .init(
                    at: .seconds(1),
                    ServicePolicy.Command(
                        RequestID(1),
                        ServiceRequest(.post, path: ["v2", "apps"], body: app)))
            ],
            behavior: { _, _ in SimulatedTask() },
            complaint: { (policy: ServicePolicy) in Self.complaint(policy) },
            start: { kept, circumstances in
                var stored: [String: StoreChange] = [:]
                for case .persist(let list) in kept {
                    for change in list {
                        stored[change.kind + " " + change.key] = change.value == nil ? nil : change
                    }
                }
                var configuration = ServiceConfiguration()
                configuration.frameworkID = circumstances.id
                configuration.instant = circumstances.now
                configuration.wallTime = circumstances.wallClock.time(at: circumstances.now)
                configuration.seed = circumstances.seed
                let list = stored.keys.sorted().compactMap { stored[$0] }
                let policy = Self.restored(configuration, list)
                var options = FrameworkOptions(
                    info: FrameworkInfo(name: "services", failoverTimeout: .seconds(600)))
                options.knownTasks = policy.knownTasks
                options.reconcileFirstPause = .seconds(2)
                return SimulatedFramework.Start(policy: policy, options: options)
            })
        run(framework, seeds: 1...(10 * Support.factor))
    }

    private static func complaint(_ policy: ServicePolicy) -> String? {
        var policy = policy
        let request = ServiceRequest(.get, path: ["v2", "apps", "web"])
        let actions = policy.actions(
            on: .command(ServicePolicy.Command(RequestID(9), request)), at: .zero)
        for case .output(.answer(_, let answer)) in actions {
            guard case .json(let json) = answer.body else { return "\(answer)" }
            let running = json["app"]?["tasksRunning"]
            return running == 3 ? nil : "\(String(describing: running)) instances run"
        }
        return "no answer"
    }
}

/// What a store of the batch scheduler would hold.
private struct Kept {
    private var jobs: [Int64: JobRecord] = [:]
    private var instances: [String: InstanceRecord] = [:]
    private var last: Int64 = 0

    mutating func take(_ change: BatchChange) {
        switch change {
        case .job(let job):
            jobs[job.sequence] = job
            last = max(last, job.sequence)
        case .instance(let instance):
            instances["\(instance.job) \(instance.task) \(instance.index)"] = instance
        case .forget(let sequence):
            jobs[sequence] = nil
            instances = instances.filter { $0.value.job != sequence }
        }
    }

    var records: BatchRecords {
        BatchRecords(
            jobs: jobs.values.sorted { $0.sequence < $1.sequence },
            instances: instances.values.sorted {
                ($0.job, $0.task, $0.index) < ($1.job, $1.task, $1.index)
            }, lastSequence: last)
    }
}
