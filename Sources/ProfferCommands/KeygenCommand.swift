internal import ArgumentParser
internal import Foundation
internal import ProfferZeroMQ

struct KeygenCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keygen",
        abstract: "Make a key pair for a framework.",
        discussion: """
            EXAMPLES:
              proffer keygen /etc/proffer/client.key

            Writes a new file that only its owner can read (mode 0600) and prints the public key, \
            which belongs on a line of frameworks.allow in the master's data directory. Masters \
            and agents make their own keys.
            """)

    @Argument(help: "The file to make; it must not be there yet.")
    var file: String

    func run() throws {
        do {
            let keys = try KeyPair.generate()
            try keys.save(file)
            say(keys.publicKey)
        } catch {
            throw CommandProblem(
                .failed, "the key file \(file) cannot be made", because: "\(error)",
                try: "name a file that is not there yet, in a directory that you can write to")
        }
    }
}
