internal import Foundation

/// The demo's second half: a job over real files, checked against a count of our own.
struct BatchPart: Sendable {
    let screen: DemoScreen
    let batches: Batches
    /// The directory with the texts.
    let corpus: String
    let files: [String]
    /// A new directory that every task can reach.
    let work: String

    private static let patience = Duration.seconds(60)
    private static let burst = 100

    /// Splits a text into words and counts them; the first attempt at the first file fails.
    private static let map = #"""
        set -eu
        if [ "$PROFFER_ARRAY_INDEX" = 0 ] && [ "$PROFFER_ATTEMPT" -le 1 ]; then
            echo "this first attempt fails on purpose" >&2
            exit 75
        fi
        export LC_ALL=C
        out="$WORK/map/$PROFFER_ARRAY_INDEX"
        tr A-Z a-z < "$WORK/in/$PROFFER_ARRAY_INDEX" | tr -cs a-z '\n' | sed '/^$/d' \
            | sort | uniq -c | awk '{ print $2 "\t" $1 }' > "$out.part"
        mv "$out.part" "$out"
        """#

    private static let reduce = #"""
        set -eu
        export LC_ALL=C
        cat "$WORK"/map/* | awk '{ n[$1] += $2 } END { for (w in n) print w "\t" n[w] }' \
            | sort > "$WORK/result.part"
        mv "$WORK/result.part" "$WORK/result"
        """#

    /// Runs it all.
    ///
    /// - Returns: How many trivial tasks a second went through.
    func run() async throws -> Double {
        try prepare()
        try await screen.step("counting words") { progress in
            let job = try await batches.submit(wordCount)
            let end = try await follow(job, "map", files.count, progress)
            guard (end.retries ?? 1) > 0 else {
                throw failure("the task that fails once was not tried again", "no retry is told")
            }
            return "\(files.count) map tasks, one per file, and a reduce task after them; the "
                + "first map task failed its first attempt, as planned, and was tried again"
        }
        var top: [(word: String, count: Int)] = []
        try await screen.step("counting directly") { _ in
            let result = try compare()
            top = result.top(10)
            return "\(grouped(result.counts.count)) words, \(grouped(result.total)) occurrences: "
                + "the same when counted here directly"
        }
        show(top)
        var rate = 0.0
        try await screen.step("\(Self.burst) small tasks") { progress in
            let begin = ContinuousClock.now
            let job = try await batches.submit(
                Batches.Job(
                    name: "burst",
                    tasks: [
                        .init(
                            name: "true", command: "true", array: .init(count: Self.burst),
                            cpus: 0.05, mem: 8)
                    ]))
            _ = try await follow(job, "true", Self.burst, progress)
            rate = Double(Self.burst) / seconds(ContinuousClock.now - begin)
            return "\(Self.burst) tasks that do nothing: "
                + String(format: "%.0f a second from submission to end", rate)
        }
        return rate
    }

    private var wordCount: Batches.Job {
        Batches.Job(
            name: "word-count",
            tasks: [
                .init(
                    name: "map", command: Self.map, array: .init(count: files.count),
                    env: ["WORK": work],
                    retry: .init(limit: 2, backoff: "200ms", exitCodes: [75])),
                .init(
                    name: "reduce", command: Self.reduce, depends: ["map"],
                    env: ["WORK": work]),
            ])
    }

    /// Makes the directories that the tasks share, with a link to each file under its index.
    private func prepare() throws {
        let manager = FileManager.default
        for name in ["in", "map"] {
            try manager.createDirectory(
                atPath: work + "/" + name, withIntermediateDirectories: true)
        }
        for (index, file) in files.enumerated() {
            try manager.createSymbolicLink(
                atPath: work + "/in/\(index)", withDestinationPath: file)
        }
    }

    private func follow(
        _ job: String, _ task: String, _ count: Int, _ progress: ProgressLine
    ) async throws -> Batches.State {
        let begin = ContinuousClock.now
        while true {
            let state = try await batches.state(job)
            let done = state.finished(task)
            let duration = ContinuousClock.now - begin
            // In a pipe a line for each quarter says enough.
            let quarters = count > 0 ? done * 4 / count : 0
            progress.update(
                screen.terminal.isInteractive
                    ? "\(task) " + DemoScreen.bar(done, of: count, after: duration)
                    : "\(task): \(quarters * 25) % of \(count) tasks have finished")
            if state.isFinished { return state }
            if state.hasFailed {
                throw failure("job \(job) has failed", state.message ?? "no reason is told")
            }
            guard duration < Self.patience else {
                throw failure(
                    "job \(job) did not end within \(brief(Self.patience))",
                    "it is \(state.state), \(done) of \(count) tasks have finished"
                        + (state.message.map { "; \($0)" } ?? ""))
            }
            try await Task.sleep(for: .milliseconds(25))
        }
    }

    /// The job's result, which must be what a count of our own finds.
    private func compare() throws -> WordCount {
        guard let data = FileManager.default.contents(atPath: work + "/result"),
            let result = WordCount(table: String(decoding: data, as: UTF8.self))
        else { throw failure("the job left no result", "\(work)/result cannot be understood") }
        var direct = WordCount()
        for file in files { direct.add(FileManager.default.contents(atPath: file) ?? Data()) }
        if let difference = result.difference(from: direct) {
            throw failure("the job counted wrong", difference)
        }
        return result
    }

    private func show(_ top: [(word: String, count: Int)]) {
        let largest = max(1, top.first?.count ?? 1)
        for (word, count) in top {
            let bar = String(repeating: "#", count: max(1, 40 * count / largest))
            let number = grouped(count)
            screen.detail(
                "  " + padded(word, 16) + String(repeating: " ", count: max(0, 9 - number.count))
                    + number + "  " + bar)
        }
    }

    private func failure(_ what: String, _ why: String) -> CommandProblem {
        CommandProblem(
            .failed, "demo: " + what, because: why,
            try: "run it again with --data-dir DIRECTORY, and look at DIRECTORY/logs")
    }
}
