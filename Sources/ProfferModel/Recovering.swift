extension TaskStatus {
    /// Marks the answer to a RECONCILE that the task's agent is still expected back: neither good
    /// news nor bad, ask again.
    public static let recoveringLabel = Label("proffer.recovering", "true")

    /// Whether this says only that the task's agent is expected back.
    public var isRecovering: Bool {
        uuid == nil && reason == .reconciliation && labels.contains(Self.recoveringLabel)
    }
}
