internal import AsyncHTTPClient
internal import CLinux
internal import Glibc
internal import NIOCore
internal import NIOHTTP1
internal import ProfferContainers
internal import ProfferFetching

/// Fetches files from servers.
struct WebSource {
    private static let redirectLimit = 5

    let settings: FetchSettings
    let networks: FetchNetworks

    /// Writes the file at an address to an empty file.
    ///
    /// Where a name leads is looked up here, and the connection goes to the very address that was
    /// found to be allowed; so does each redirection.
    func fetch(_ address: FetchAddress, to file: Int32) async throws {
        var address = address
        for _ in 0...Self.redirectLimit {
            guard let location = try await attempt(address, file) else { return }
            address = try address.redirected(to: location)
        }
        throw FetchRefusal("the server redirects more than \(Self.redirectLimit) times")
    }

    /// - Returns: Where the server redirects to; `nil` when the file has come.
    private func attempt(_ address: FetchAddress, _ file: Int32) async throws -> String? {
        guard case .web(_, let host) = address.source else { return nil }
        var configuration = HTTPClient.Configuration()
        configuration.redirectConfiguration = .disallow
        configuration.dnsOverride = [host: try resolve(host)]
        configuration.timeout.connect = .seconds(10)
        configuration.timeout.read = .nanoseconds(settings.stall.components.seconds * 1_000_000_000)
        let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
        do {
            let location = try await load(address, client, file)
            try await client.shutdown()
            return location
        } catch let error as HTTPClientError where error == .readTimeout {
            try? await client.shutdown()
            throw FetchRefusal("the server has sent nothing for \(settings.stall)")
        } catch {
            try? await client.shutdown()
            throw error
        }
    }

    private func load(
        _ address: FetchAddress, _ client: HTTPClient, _ file: Int32
    ) async throws -> String? {
        let request = HTTPClientRequest(url: address.text)
        let response = try await client.execute(request, deadline: .distantFuture)
        let status = Int(response.status.code)
        if [301, 302, 303, 307, 308].contains(status) {
            guard let location = response.headers.first(name: "Location") else {
                throw FetchRefusal("the server redirects to nowhere")
            }
            return location
        }
        guard status == 200 else { throw FetchRefusal("the server answers \(status)") }
        let length = response.headers.first(name: "Content-Length").flatMap { Int64($0) }
        if let length, length > settings.fileBytes { throw tooLarge }
        var count: Int64 = 0
        for try await buffer in response.body {
            count += Int64(buffer.readableBytes)
            if count > settings.fileBytes { throw tooLarge }
            try FileCopy.write(Array(buffer.readableBytesView), to: file)
        }
        return nil
    }

    private var tooLarge: FetchRefusal {
        FetchRefusal("it is larger than \(settings.fileBytes) bytes")
    }

    /// The first address of a host that is allowed.
    private func resolve(_ host: String) throws -> String {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, nil, &hints, &list)
        guard code == 0 else {
            throw FetchRefusal(
                "the server '\(host)' is not known (\(String(cString: gai_strerror(code))))")
        }
        defer { freeaddrinfo(list) }
        var found: [String] = []
        var next = list
        while let entry = next {
            next = entry.pointee.ai_next
            guard let text = Self.text(of: entry.pointee), let bytes = IPAddress.bytes(text) else {
                continue
            }
            if networks.allows(bytes) { return text }
            found.append(text)
        }
        throw FetchRefusal(
            "the address of '\(host)', \(found.joined(separator: ", ")), is not in a network from"
                + " which this agent fetches")
    }

    private static func text(of entry: addrinfo) -> String? {
        var name = [CChar](repeating: 0, count: 1025)
        let code = getnameinfo(
            entry.ai_addr, entry.ai_addrlen, &name, socklen_t(name.count), nil, 0, NI_NUMERICHOST)
        guard code == 0 else { return nil }
        return String(
            decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
