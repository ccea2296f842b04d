/// How a task or executor is told which GPUs of its node it has.
public enum GPUNames {
    /// The variable in its environment with their names, separated by commas.
    public static let variable = "PROFFER_GPUS"

    /// The names in an environment; none when it has no such variable.
    public static func names(in environment: [EnvironmentVariable]) -> [String] {
        names(in: environment.last { $0.name == variable }?.value ?? "")
    }

    /// The names in a list.
    public static func names(in list: String) -> [String] {
        list.split(separator: ",").map(String.init)
    }
}
