internal import Glibc
internal import ProfferFetcher
internal import ProfferFetching
internal import ProfferIsolation

// Fetches the files of one task into its sandbox. An executor starts it for each task that has
// URIs, and waits for its end on a thread of its own.
//
//   standard input    the order, see FetchOrder
//   PROFFER_FETCH     what the operator has decided, see FetchSettings
//   standard error    after a failure, the reason as one JSON object
//   exit code         0 all is there, 1 a file could not be fetched, 78 it was started wrongly

func fail(_ code: Int32, _ uri: String, _ because: String, _ advice: String) -> Never {
    let problem: JSON = [
        "uri": .string(uri), "because": .string(because), "try": .string(advice),
    ]
    let bytes = Array((problem.description + "\n").utf8)
    _ = write(STDERR_FILENO, bytes, bytes.count)
    exit(code)
}

func readInput() -> String {
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while true {
        let count = read(STDIN_FILENO, &buffer, buffer.count)
        if count <= 0 { return String(decoding: bytes, as: UTF8.self) }
        bytes += buffer.prefix(count)
    }
}

// A pipe to a program that has ended is an error, not the end.
signal(SIGPIPE, SIG_IGN)
guard let text = getenv("PROFFER_FETCH").map({ String(cString: $0) }),
    let settings = try? JSON(text: text),
    let input = try? JSON(text: readInput()), let order = FetchOrder(json: input)
else {
    fail(78, "", "proffer-fetcher has no order", "it is started by proffer-executor, not by hand")
}
do {
    try await Fetcher(FetchSettings(json: settings)).carryOut(order)
} catch let failure as FetchFailure {
    fail(1, failure.uri, failure.because, failure.advice)
} catch {
    fail(78, "", "\(error)", "correct the settings of the agent")
}
