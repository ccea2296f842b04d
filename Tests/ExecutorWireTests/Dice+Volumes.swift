import ProfferModel

extension Dice {
    /// A volume; a source is of one kind.
    mutating func volume() -> Volume {
        let (isExternal, isSecret) = (bool(), number(0...3) == 0)
        return Volume(
            containerPath: text(), hostPath: maybe { $0.text() }, isReadOnly: bool(),
            sandboxPath: isExternal || isSecret
                ? nil : maybe { .init($0.text(), isShared: $0.bool()) },
            temporaryBytes: maybe { $0.int64() },
            secret: isSecret && !isExternal ? secret() : nil,
            external: isExternal
                ? maybe { dice in
                    .init(
                        driver: dice.text(), name: dice.text(),
                        options: dice.list { Label($0.text(), $0.text()) })
                } : nil)
    }
}
