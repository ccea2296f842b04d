public import ProfferKernel

/// Names one request of an election.
public struct RequestID: Hashable, Comparable, Sendable {
    /// The number, from 1.
    public var value: UInt64

    /// Names a request.
    public init(_ value: UInt64) { self.value = value }

    /// Whether `left` was made earlier.
    public static func < (left: RequestID, right: RequestID) -> Bool { left.value < right.value }
}

/// What an election asks the coordinator; each becomes one call or transaction.
public enum ElectionRequest: Hashable, Sendable {
    /// Who leads? The answer may be old.
    case readLeader
    /// A lease for so long.
    case grantLease(Duration)
    /// If nobody has the leader key: write it, with the lease. Else: read it. Read the head too.
    case campaign(LeaderRecord, LeaseID)
    /// If the leader key is of this term and the head was last written at `expecting` (zero: not
    /// there): replace the head. Else: read both.
    case takeOver(Fence, expecting: Revision, RegistryHead)
    /// Read the whole registry as it was at this revision.
    case load(at: Revision)
    /// Prolong a lease.
    case keepAlive(LeaseID)
    /// Is the leader key of this term? As a transaction that takes its place among the writes, so
    /// that the answer cannot be old; but it writes nothing, and goes on when there is no space.
    case prove(Fence)
    /// If the leader key is of this term: delete it.
    case resign(Fence)
}

/// What the coordinator answers.
public enum ElectionAnswer: Hashable, Sendable {
    /// To `readLeader`: who leads, as of a revision.
    case leader(LeaderKey?, at: Revision)
    /// To `grantLease`: the lease and how long it lasts.
    case lease(LeaseID, Duration)
    /// To `campaign` and `takeOver`: whether the condition held, what was found, and the revision
    /// of the transaction. What was found may be left out where it was written.
    case transaction(held: Bool, leader: LeaderKey?, head: HeadKey?, at: Revision)
    /// To `load`: of which revision the registry is that was read.
    case loaded(at: Revision)
    /// To `keepAlive`: how long the lease still lasts; zero when there is none.
    case alive(Duration)
    /// To `prove` and `resign`: whether the condition held.
    case proof(Bool)
}

/// Why a request has no answer; it may have been carried out all the same.
public enum ElectionFailure: Error, Hashable, Sendable {
    /// Nobody answered in time.
    case unreachable(String)
    /// The coordinator has no space left for writes.
    case noSpace
    /// The coordinator refused it.
    case refused(String)
}

/// Everything that can happen to an election.
public enum ElectionInput: Sendable {
    /// A request was answered.
    case answer(RequestID, ElectionAnswer)
    /// A request failed.
    case failed(RequestID, ElectionFailure)
    /// The watched leader key may have changed, or the watch broke. Never believed, only looked
    /// into.
    case hint
    /// A commit of this term went through that was sent then.
    case committed(Fence, sent: Instant)
    /// A commit was refused because the leader key is not of this term.
    case commitRefused(Fence)
    /// A commit was given up; whether it was carried out is unknown.
    case commitFailed(Fence, String)
    /// The process stops: resign.
    case stop
}

/// Why a leader is none any more.
public enum StepDownReason: Hashable, Sendable, CustomStringConvertible {
    /// Its lease may have ended, by its own clock.
    case deadline
    /// The lease has ended, by the word of the coordinator.
    case leaseLost
    /// The leader key is not its own any more.
    case keyLost
    /// A commit was given up.
    case commitFailed(String)
    /// It stops.
    case stopping

    /// Half a sentence, for logs.
    public var description: String {
        switch self {
        case .deadline: "the coordinator has not confirmed the leadership in time"
        case .leaseLost: "the lease has ended"
        case .keyLost: "the leader key is not this master's any more"
        case .commitFailed(let because): "the registry could not be written: \(because)"
        case .stopping: "this master stops"
        }
    }
}

/// What keeps an election from its work.
public enum ElectionProblem: Hashable, Sendable {
    /// The coordinator does not answer, or refuses.
    case failing(ElectionFailure)
    /// The registry has less than it had: an old copy was restored, or the answer is old.
    case wentBack(seenEpoch: UInt64, foundEpoch: UInt64)
    /// A newer version wrote the registry.
    case newer(schema: Int)
    /// The registry is another cluster's.
    case foreign(clusterID: String)
    /// The registry was read as it was before the taking over.
    case staleRead(wanted: Revision, found: Revision)
    /// The last term of this master failed soon after its beginning: what it read could not be
    /// understood, or its first commits were refused. It tries again, less and less often.
    case termFailed(String)
}

/// What an election asks the world to do.
public enum ElectionEffect: Sendable {
    /// Send a request; answer or failure come back with its number. What comes after another
    /// request for the same purpose was made is ignored.
    case request(RequestID, ElectionRequest)
    /// Watch the leader key from the revision after this one; a watch that goes on may be kept.
    case watch(after: Revision)
    /// From now on this master leads.
    case lead(Leadership)
    /// From now on it does not: nothing that it decided may leave any more.
    case stepDown(StepDownReason)
    /// Somebody else leads, or nobody is known to.
    case follow(LeaderRecord?)
    /// What is wrong has changed; `nil` is nothing.
    case report(ElectionProblem?)
    /// Stopped: nothing more will come.
    case ended
}

/// How an election behaves.
public struct ElectionConfiguration: Hashable, Sendable {
    /// How long leadership outlasts its last confirmation.
    ///
    /// After the death of a leader nobody leads for about this long.
    public var leaseTime = Duration.seconds(3)
    /// How much earlier than the lease a leader steps down that was not confirmed.
    ///
    /// Makes up for clocks that do not run alike.
    public var margin = Duration.milliseconds(300)
    /// From one confirmation to the next.
    public var confirmInterval = Duration.milliseconds(900)
    /// How long a request may take.
    public var requestTimeout = Duration.seconds(1)
    /// How long the reading of the registry may take.
    public var loadTimeout = Duration.seconds(60)
    /// How often a follower looks for itself, in case its watch has missed something.
    public var lookInterval = Duration.seconds(2)
    /// The first pause after a failure; later ones double.
    public var retryFirst = Duration.milliseconds(100)
    /// The longest pause after a failure.
    public var retryLast = Duration.seconds(2)
    /// The longest pause after a term that failed soon after its beginning.
    public var takeOverRetryLast = Duration.seconds(30)
    /// The version of the layout that this program writes; it refuses later ones.
    public var schema = 1

    /// The defaults.
    public init() {}

    /// The defaults for another lease, to which confirmations and time limits are scaled.
    public init(leaseTime: Duration) {
        let scale = leaseTime / 10
        self.leaseTime = leaseTime
        margin = scale
        confirmInterval = scale * 3
        requestTimeout = scale * 10 / 3
        lookInterval = scale * 7
    }

    /// Everything that is wrong with these values, in words for the operator.
    public var problems: [String] {
        var found: [String] = []
        let spans = [
            leaseTime, confirmInterval, requestTimeout, loadTimeout, lookInterval, retryFirst,
            retryLast, takeOverRetryLast,
        ]
        if spans.contains(where: { $0 <= .zero }) {
            found.append("every time of an election must be longer than nothing")
        }
        if margin < .zero { found.append("the margin may not be negative") }
        if confirmInterval + requestTimeout + margin > leaseTime {
            found.append(
                "the lease must last longer than a confirmation interval, a request and the margin"
                    + " together")
        }
        return found
    }
}
