internal import CZeroMQ

/// What the installed libzmq is and can do.
public enum LibraryFacts {
    /// Its version: `4.3.5`.
    public static var version: String {
        var (major, minor, patch): (Int32, Int32, Int32) = (0, 0, 0)
        zmq_version(&major, &minor, &patch)
        return "\(major).\(minor).\(patch)"
    }

    /// Whether it encrypts and checks peers, without which no daemon starts.
    public static var hasCurve: Bool { zmq_has("curve") == 1 }
}
