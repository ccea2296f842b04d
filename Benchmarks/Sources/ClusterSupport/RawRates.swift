import Glibc
import ProfferZeroMQ
import Synchronization

/// What the machine can do without any scheduler, measured in the same run as everything else.
package enum RawRates {
    /// Starts and reaps `/bin/true` on `threads` threads for `seconds`; processes per second.
    package static func spawns(threads: Int, seconds: Double) -> Double {
        let begin = Clock.now()
        let job = SpawnJob(end: begin + seconds)
        var handles: [pthread_t] = []
        for _ in 0..<threads {
            var handle = pthread_t()
            pthread_create(
                &handle, nil,
                { argument in
                    guard let argument else { return nil }
                    let job = Unmanaged<SpawnJob>.fromOpaque(argument).takeRetainedValue()
                    var count = 0
                    while Clock.now() < job.end {
                        RawRates.spawnTrue()
                        count += 1
                    }
                    job.add(count)
                    return nil
                }, Unmanaged.passRetained(job).toOpaque())
            handles.append(handle)
        }
        for handle in handles { pthread_join(handle, nil) }
        return Double(job.count) / (Clock.now() - begin)
    }

    fileprivate static func spawnTrue() {
        var pid: pid_t = 0
        var arguments: [UnsafeMutablePointer<CChar>?] = [strdup("/bin/true"), nil]
        var environment: [UnsafeMutablePointer<CChar>?] = [nil]
        if posix_spawn(&pid, "/bin/true", nil, nil, &arguments, &environment) == 0 {
            var status: Int32 = 0
            waitpid(pid, &status, 0)
        }
        free(arguments[0])
    }

    /// Sends 200 bytes forth and back over TCP on loopback for `seconds`; round trips per second.
    package static func roundTrips(seconds: Double) throws -> Double {
        let context = try Context()
        let server = try Socket(.pair, in: context)
        let address = try server.bind("tcp://127.0.0.1:*")
        let echo = Echo(context: context, address: address)
        try echo.start()
        var poller = Poller()
        poller.add(server)
        var frame = Frame()
        let body = [UInt8](repeating: 7, count: 200)
        // The first message says that the other end is there.
        while try !server.receive(&frame) { _ = try poller.wait(milliseconds: 100) }
        var count = 0
        let begin = Clock.now()
        while Clock.now() < begin + seconds {
            try server.send(body)
            while try !server.receive(&frame) { _ = try poller.wait(milliseconds: 100) }
            count += 1
        }
        let rate = Double(count) / (Clock.now() - begin)
        try server.send([])
        return rate
    }
}

/// Answers everything with itself until an empty message comes.
private final class Echo: Sendable {
    let context: Context
    let address: String

    init(context: Context, address: String) {
        self.context = context
        self.address = address
    }

    func start() throws {
        var thread = pthread_t()
        let code = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                let echo = Unmanaged<Echo>.fromOpaque(argument).takeRetainedValue()
                try? echo.run()
                return nil
            }, Unmanaged.passRetained(self).toOpaque())
        guard code == 0 else { throw BenchProblem("no thread can be started") }
        pthread_detach(thread)
    }

    private func run() throws {
        let socket = try Socket(.pair, in: context)
        try socket.connect(address)
        try socket.send([1])
        var poller = Poller()
        poller.add(socket)
        var frame = Frame()
        while true {
            while try !socket.receive(&frame) { _ = try poller.wait(milliseconds: 1000) }
            let bytes = frame.bytes
            if bytes.isEmpty { return }
            try socket.send(bytes)
        }
    }
}

private final class SpawnJob: Sendable {
    let end: Double
    private let total = Mutex(0)

    init(end: Double) { self.end = end }

    var count: Int { total.withLock { $0 } }
    func add(_ count: Int) { total.withLock { $0 += count } }
}

/// The monotonic clock, in seconds.
package enum Clock {
    package static func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}

package struct BenchProblem: Error, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}
