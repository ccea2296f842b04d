/// Every checker there is.
enum CheckerList {
    static func make(_ plan: Plan) -> [any Checker] {
        [
            LedgerChecker(), UpdateChecker(), TruthChecker(), LeaderChecker(plan), BoundsChecker(),
            RestChecker(), DrainChecker(),
        ]
    }
}
