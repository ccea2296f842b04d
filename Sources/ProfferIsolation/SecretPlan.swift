/// What only one user may read; it does not show when it is printed.
public struct SecretContents: Hashable, Sendable {
    /// The bytes.
    public var bytes: [UInt8]

    /// Sets the bytes.
    public init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// Sets a text.
    public init(_ text: String) { bytes = Array(text.utf8) }
}

extension SecretContents: CustomStringConvertible, CustomReflectable {
    /// How much there is.
    public var description: String { "\(bytes.count) bytes" }

    /// How much there is.
    public var customMirror: Mirror { Mirror(self, children: ["count": bytes.count]) }
}

/// A file with a secret that a task asks for.
public struct SecretFile: Hashable, Sendable {
    /// Where the task is to find it: from the top of its root, or of its sandbox without a slash.
    public var path: String
    /// What is in it.
    public var contents: SecretContents

    /// Sets both.
    public init(path: String, contents: SecretContents) {
        self.path = path
        self.contents = contents
    }
}

/// Plans the files with secrets of tasks that have the node's own files.
///
/// The file is in memory, outside of the sandbox, whose files can be looked at through the agent; a
/// link in the sandbox leads there, which the agent does not follow.
public struct SecretPlanner: Hashable, Sendable {
    /// A directory in memory that others can walk but neither list nor write; empty when there is
    /// none.
    public var memory: String

    /// Sets where they are.
    public init(memory: String) { self.memory = memory }

    /// What makes the files of a task.
    ///
    /// - Parameters:
    ///   - name: The name of the task's plan.
    ///   - files: The files.
    ///   - sandbox: The sandbox of the task.
    ///   - owner: Who runs it.
    /// - Returns: The steps; none without files.
    /// - Throws: ``ContainerProblem`` for a path that only a container can have.
    public func steps(
        _ name: String, _ files: [SecretFile], sandbox: String, owner: ContainerUser
    ) throws(ContainerProblem) -> [IsolationStep] {
        if files.isEmpty { return [] }
        guard !memory.isEmpty else {
            throw ContainerProblem(
                description: "the agent has no directory in memory for files with secrets")
        }
        // Beside what containers have there, whose names begin otherwise.
        let directory = "\(memory)/secrets-\(name)"
        var steps: [IsolationStep] = [.makeDirectory(directory, mode: 0o711)]
        for (index, file) in files.enumerated() {
            guard !file.path.hasPrefix("/"), ContainerPlanner.isPlain(file.path) else {
                throw ContainerProblem(
                    description: "a secret cannot be a file at '\(file.path)': a task without an"
                        + " image can have it below its sandbox only")
            }
            let path = "\(directory)/\(index)"
            steps += [
                .makeSecret(path, file.contents, owner: owner),
                .makeLink("\(sandbox)/\(file.path)", below: sandbox, to: path, owner: owner),
            ]
        }
        return steps
    }
}

extension ContainerPlanner {
    /// Makes the files of secrets in a bundle and has the container see them.
    ///
    /// - Returns: The steps, and the mounts of the container.
    /// - Throws: ``ContainerProblem`` for a path that leads elsewhere.
    func secrets(
        _ subject: BundleSubject
    ) throws(ContainerProblem) -> (steps: [IsolationStep], mounts: [JSON]) {
        var steps: [IsolationStep] = []
        var mounts: [JSON] = []
        for (index, file) in subject.secrets.enumerated() {
            let path = "\(bundle(subject.name))/secret-\(index)"
            let target =
                file.path.hasPrefix("/") ? file.path : "\(Self.sandboxPath)/\(file.path)"
            guard Self.isPlain(target.dropFirst()) else {
                throw ContainerProblem(
                    description: "'\(file.path)' is no path for a file with a secret")
            }
            steps.append(.makeSecret(path, file.contents, owner: Self.owner(subject)))
            mounts.append([
                "destination": .string(target), "type": "bind", "source": .string(path),
                "options": ["bind", "ro", "nosuid", "nodev", "noexec"],
            ])
        }
        return (steps, mounts)
    }
}
