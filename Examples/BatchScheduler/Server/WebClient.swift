internal import AsyncHTTPClient
internal import NIOCore

/// The client for every HTTP request of this program.
enum WebClient {
    /// Lives as long as the process.
    ///
    /// Unlike the shared one it does not go on knocking when nobody listens: who asks wants to
    /// know at once.
    static let http: HTTPClient = {
        var configuration = HTTPClient.Configuration()
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.timeout.connect = .seconds(5)
        return HTTPClient(
            eventLoopGroupProvider: .singleton, configuration: configuration)
    }()
}
