import BenchSupport
import Foundation
import ProfferModel

// How fast the arithmetic of resources is.

let usage = "usage: resource-bench [--json FILE] [--only TEXT-IN-NAME]\n"
var jsonPath: String?
var selection = ""
var arguments = CommandLine.arguments.dropFirst()
while let option = arguments.popFirst() {
    switch (option, arguments.popFirst()) {
    case ("--json", .some(let path)): jsonPath = path
    case ("--only", .some(let text)): selection = text
    default:
        FileHandle.standardError.write(Data(usage.utf8))
        exit(64)
    }
}
do {
    var watch = Stopwatch(runs: 5, calibration: .measured(), selection: selection)
    try Workloads.runAll(&watch)
    let report = Report(
        calibration: watch.calibration, runs: watch.runs,
        resourceStride: MemoryLayout<Resource>.stride, figures: watch.figures)
    if let jsonPath {
        try report.json().write(toFile: jsonPath, atomically: true, encoding: .utf8)
    }
    print(report.table, terminator: "")
} catch {
    FileHandle.standardError.write(Data("resource-bench: \(error)\n".utf8))
    exit(1)
}
