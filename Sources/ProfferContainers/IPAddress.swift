internal import Glibc

/// The bytes of addresses.
public enum IPAddress {
    /// The 4 or 16 bytes of an address; `nil` when the text is none.
    public static func bytes(_ text: String) -> [UInt8]? {
        var four = [UInt8](repeating: 0, count: 4)
        if inet_pton(AF_INET, text, &four) == 1 { return four }
        var sixteen = [UInt8](repeating: 0, count: 16)
        return inet_pton(AF_INET6, text, &sixteen) == 1 ? sixteen : nil
    }
}
