import BenchSupport

/// What Mesos' hierarchical allocator took for the same, in its unchanged sources of August 2024.
///
/// Our own measurement, built with gcc 12 at -O2, on one kind of machine; medians, good to about
/// ± 20 %. Times are milliseconds, of CPU for the cycles and elapsed for what has a name of its
/// own there; where two measurements differ, the smaller one stands here.
enum MesosFigures {
    struct Figure {
        var value: Double
        /// What is to be known about it, or nothing.
        var note = ""
    }

    /// Of that machine, the middle of what was seen: 2.0–2.1 s and 173–200 ns.
    static let calibration = Calibration(xorshiftSeconds: 2.05, chaseNanoseconds: 186.5)

    /// The figure for a measurement, or `nil` where there is none.
    static func figure(for row: Measurement) -> Figure? {
        let agents = row.parameters["agents"] ?? 0
        let frameworks = row.parameters["frameworks"] ?? 0
        func cell(_ table: [Int: [Double]], _ columns: [Int] = columns) -> Figure? {
            guard let line = table[agents], let column = columns.firstIndex(of: frameworks),
                column < line.count, line[column] > 0
            else { return nil }
            return Figure(value: line[column])
        }
        switch (row.name, row.variant) {
        case ("adding frameworks", _):
            return columns.firstIndex(of: frameworks).map { Figure(value: addFrameworks[$0]) }
        case ("adding agents", "quota on every role"): return cell(quotaAgents, [50, 100])
        case ("adding agents", _): return cell(addAgents)
        case ("full cycle", _): return cell(fullCycle)
        case ("handing back", "without filter"): return cell(handBack)
        case ("handing back", _): return cell(handBackFiltered)
        case ("early filter round", _): return cell(earlyRounds)
        case ("steady cycle", _): return cell(steady) ?? extrapolated(agents * frameworks)
        case ("steady memory", "peak"): return cell(steadyMegabytes)
        case ("memory", _): return memory(row)
        case ("AddAndUpdateSlave", let step):
            return cell(step == "add" ? addWithPorts : update, [50, 100])
        case ("ResourceLabels", _): return cell([1000: [66], 5000: [0, 321]], [50, 100])
        case ("MultiFrameworkAllocations", "stated demand"):
            return Figure(value: 30_000, note: "stalled at 4210 tasks until its limit of 30 s")
        case ("FullSort", _): return sorter(row)
        default: return quota(row)
        }
    }

    private static let columns = [1, 50, 100, 200, 500, 1000]
    private static let addFrameworks = [0.2, 1.0, 1.8, 3.5, 10, 21]
    private static let addAgents: [Int: [Double]] = [
        1000: [98, 84, 80, 106, 83, 95],
        5000: [415, 505, 393, 431, 427, 486],
        10_000: [768, 842, 873, 1088, 1229, 1162],
        30_000: [3560, 3396, 2841, 3228, 3582, 3782],
        50_000: [4801, 5741, 4916, 5564, 6076, 5131],
    ]
    static let fullCycle: [Int: [Double]] = [
        1000: [41, 41, 42, 53, 66, 55],
        5000: [205, 241, 218, 233, 258, 302],
        10_000: [425, 485, 491, 531, 615, 701],
        30_000: [1481, 1632, 1633, 1729, 1879, 2176],
        50_000: [2769, 2825, 2856, 2589, 2964, 3316],
    ]
    private static let handBack: [Int: [Double]] = [
        1000: [45, 45, 43, 43, 49, 48],
        5000: [238, 246, 230, 237, 242, 237],
        10_000: [467, 523, 510, 497, 556, 547],
        30_000: [1607, 1612, 1709, 1676, 1738, 1665],
        50_000: [2947, 2882, 2888, 2596, 2862, 2653],
    ]
    private static let handBackFiltered: [Int: [Double]] = [
        1000: [53, 54, 57, 54, 64, 75],
        5000: [276, 293, 342, 346, 314, 330],
        10_000: [627, 688, 802, 859, 658, 867],
        30_000: [1968, 2075, 2235, 2073, 2249, 2304],
        50_000: [4086, 4940, 3554, 3674, 4532, 3934],
    ]
    private static let earlyRounds: [Int: [Double]] = [
        1000: [15, 40, 45, 43, 47, 63],
        5000: [83, 229, 239, 257, 267, 325],
        10_000: [161, 493, 532, 530, 627, 922],
        30_000: [522, 1729, 1920, 2042, 2077, 2093],
        50_000: [1217, 3071, 3401, 3284, 3353, 3822],
    ]
    private static let steady: [Int: [Double]] = [
        1000: [7.8, 320, 544, 1138, 3228, 6538],
        5000: [82, 1415, 2892, 6175],
        10_000: [131, 3254, 5731],
        30_000: [444, 9861],
        50_000: [800, 15_287],
    ]
    private static let steadyMegabytes: [Int: [Double]] = [
        1000: [49, 251, 455, 862, 2084, 4121],
        5000: [194, 1205, 2231, 4265],
        10_000: [396, 2417, 4447],
        30_000: [1122, 7208],
        50_000: [1875, 11_980],
    ]
    private static let quotaAgents: [Int: [Double]] = [
        1000: [146], 10_000: [0, 4300], 50_000: [0, 21_500],
    ]
    private static let addWithPorts: [Int: [Double]] = [
        1000: [98], 10_000: [0, 1230], 50_000: [0, 6300],
    ]
    private static let update: [Int: [Double]] = [
        1000: [91], 10_000: [0, 720], 50_000: [0, 2980],
    ]

    /// It is linear in the pairs: 5.4 to 6.6 µs for each.
    private static func extrapolated(_ pairs: Int) -> Figure? {
        pairs == 0 ? nil : Figure(value: Double(pairs) * 0.0061, note: "extrapolated")
    }

    private static func memory(_ row: Measurement) -> Figure? {
        guard row.parameters["agents"] == 50_000 else { return nil }
        if row.parameters["filters"] == 50 {
            return row.variant == "peak"
                ? Figure(value: 11_980, note: "with 50 frameworks") : nil
        }
        return ["live heap": 1032, "resident": 1192, "peak": 3146][row.variant]
            .map { Figure(value: $0) }
    }

    private static func quota(_ row: Measurement) -> Figure? {
        let steps = ["add frameworks", "cycle 1", "cycle 2", "cycle 2, every agent marked"]
        guard let step = steps.firstIndex(of: row.variant) else { return nil }
        let table: [Int: [Double]]
        let size: Int
        if row.name == "LargeAndSmallQuota" {
            size = row.parameters["small"] ?? 0
            table = [25: [4.6, 4.3, 0.8], 250: [107, 109, 73], 2500: [31_800, 28_600, 21_600]]
        } else {
            size = row.parameters["roles"] ?? 0
            table =
                row.parameters["quota"] == 1
                ? [100: [37, 6.9, 1.1], 1000: [9100, 199, 84]]
                : [100: [32, 4.3, 1.9], 1000: [10_900, 451, 272]]
        }
        return table[size].map { Figure(value: $0[min(step, 2)]) }
    }

    /// Its sorter by itself, without an allocator around it.
    private static func sorter(_ row: Measurement) -> Figure? {
        let steps = [
            "add clients", "first cycle, one agent free", "cycle after the total changed",
            "nothing has changed",
        ]
        let table: [Int: [Double]] = [
            1000: [2.2, 0.29, 0.11, 0.014], 10_000: [185, 3.5, 1.4, 0.12],
            50_000: [5330, 28, 15, 2.3],
        ]
        guard row.parameters["agents"] == 50_000, let step = steps.firstIndex(of: row.variant),
            let line = table[row.parameters["clients"] ?? 0]
        else { return nil }
        return Figure(value: line[step], note: "sorter alone")
    }
}
