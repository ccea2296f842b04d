internal import Foundation

/// A 64-bit number as JSON of protocol buffers has it: in quotes.
struct QuotedNumber: Codable, Hashable, Sendable {
    var value: Int64

    init(_ value: Int64) { self.value = value }

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let text = try? container.decode(String.self) {
            guard let number = Int64(text) else {
                throw DecodingError.dataCorruptedError(
                    in: container, debugDescription: "no number")
            }
            value = number
        } else {
            value = try container.decode(Int64.self)
        }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode("\(value)")
    }
}

/// The messages of etcd's v3 API in the JSON of its gateway, as far as they are used here.
///
/// What is zero or empty is left out of answers.
enum Etcd {
    struct Empty: Codable, Sendable {}

    struct Header: Decodable, Sendable {
        var revision: QuotedNumber?
    }

    struct KeyValue: Decodable, Sendable {
        enum CodingKeys: String, CodingKey {
            case key
            case value
            case createRevision = "create_revision"
            case modRevision = "mod_revision"
            case lease
        }

        var key: Data
        var value: Data?
        var createRevision: QuotedNumber?
        var modRevision: QuotedNumber?
        var lease: QuotedNumber?
    }

    struct Range: Encodable, Sendable {
        enum CodingKeys: String, CodingKey {
            case key
            case rangeEnd = "range_end"
            case limit
            case revision
        }

        var key: Data
        var rangeEnd: Data?
        var limit: QuotedNumber?
        var revision: QuotedNumber?
    }

    struct RangeAnswer: Decodable, Sendable {
        var header: Header?
        var kvs: [KeyValue]?
        var more: Bool?
    }

    struct Put: Encodable, Sendable {
        var key: Data
        var value: Data
        var lease: QuotedNumber?
    }

    struct DeleteRange: Encodable, Sendable {
        enum CodingKeys: String, CodingKey {
            case key
            case rangeEnd = "range_end"
        }

        var key: Data
        var rangeEnd: Data?
    }

    struct Compare: Encodable, Sendable {
        enum CodingKeys: String, CodingKey {
            case key
            case target
            case result
            case createRevision = "create_revision"
            case modRevision = "mod_revision"
        }

        var key: Data
        var target: String
        var result = "EQUAL"
        var createRevision: QuotedNumber?
        var modRevision: QuotedNumber?

        /// Whether a key was made at this revision; 0: there is none.
        static func created(_ key: Data, at revision: Int64) -> Compare {
            Compare(key: key, target: "CREATE", createRevision: QuotedNumber(revision))
        }

        /// Whether a key was last written at this revision; 0: there is none.
        static func modified(_ key: Data, at revision: Int64) -> Compare {
            Compare(key: key, target: "MOD", modRevision: QuotedNumber(revision))
        }
    }

    struct Operation: Encodable, Sendable {
        enum CodingKeys: String, CodingKey {
            case put = "request_put"
            case range = "request_range"
            case deleteRange = "request_delete_range"
        }

        var put: Put?
        var range: Range?
        var deleteRange: DeleteRange?

        static func put(_ key: Data, _ value: Data, lease: Int64? = nil) -> Operation {
            Operation(
                put: Put(key: key, value: value, lease: lease.map(QuotedNumber.init)))
        }

        static func get(_ key: Data) -> Operation {
            Operation(range: Range(key: key))
        }

        static func delete(_ key: Data, upTo end: Data? = nil) -> Operation {
            Operation(deleteRange: DeleteRange(key: key, rangeEnd: end))
        }

        /// About how many bytes it takes in the request.
        var size: Int {
            64 + (put.map { $0.key.count + $0.value.count } ?? 0)
                + (deleteRange.map { $0.key.count * 2 } ?? 0)
        }
    }

    struct Transaction: Encodable, Sendable {
        var compare: [Compare]
        var success: [Operation]
        var failure: [Operation]
    }

    struct OperationAnswer: Decodable, Sendable {
        enum CodingKeys: String, CodingKey {
            case range = "response_range"
        }

        var range: RangeAnswer?
    }

    struct TransactionAnswer: Decodable, Sendable {
        var header: Header?
        var succeeded: Bool?
        var responses: [OperationAnswer]?

        var revision: Int64 { header?.revision?.value ?? 0 }

        /// The only key of a range among the answers.
        func found(_ key: Data) -> KeyValue? {
            for answer in responses ?? [] {
                for kv in answer.range?.kvs ?? [] where kv.key == key { return kv }
            }
            return nil
        }
    }

    struct Grant: Encodable, Sendable {
        enum CodingKeys: String, CodingKey {
            case time = "TTL"
        }

        var time: QuotedNumber
    }

    struct Lease: Codable, Sendable {
        enum CodingKeys: String, CodingKey {
            case id = "ID"
            case time = "TTL"
        }

        var id: QuotedNumber
        var time: QuotedNumber?
    }

    /// The gateway answers a keep-alive as a stream of one.
    struct Streamed<Value: Decodable & Sendable>: Decodable, Sendable {
        var result: Value?
        var error: Problem?
    }

    struct WatchRequest: Encodable, Sendable {
        enum CodingKeys: String, CodingKey {
            case create = "create_request"
        }

        struct Create: Encodable, Sendable {
            enum CodingKeys: String, CodingKey {
                case key
                case startRevision = "start_revision"
            }

            var key: Data
            var startRevision: QuotedNumber
        }

        var create: Create
    }

    struct WatchAnswer: Decodable, Sendable {
        struct Event: Decodable, Sendable {
            var type: String?
        }

        var events: [Event]?
        var canceled: Bool?
    }

    struct Credentials: Encodable, Sendable {
        var name: String
        var password: String
    }

    struct Token: Decodable, Sendable {
        var token: String?
    }

    struct Compaction: Encodable, Sendable {
        var revision: QuotedNumber
    }

    struct AlarmRequest: Encodable, Sendable {
        var action = "GET"
    }

    struct Alarms: Decodable, Sendable {
        struct Alarm: Decodable, Sendable {
            var alarm: String?
        }

        var alarms: [Alarm]?
    }

    struct Version: Decodable, Sendable {
        var etcdserver: String
        var etcdcluster: String?
    }

    /// An error of the gateway.
    struct Problem: Decodable, Sendable {
        enum CodingKeys: String, CodingKey {
            case error
            case message
            case code
            case grpcCode = "grpc_code"
        }

        var error: String?
        var message: String?
        var code: Int?
        var grpcCode: Int?

        var text: String { error ?? message ?? "no reason" }
        var number: Int { code ?? grpcCode ?? 2 }
    }
}
