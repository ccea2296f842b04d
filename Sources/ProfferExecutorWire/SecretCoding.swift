internal import ProfferModel
internal import ProfferSession

extension Secret: FieldReadable, FieldWritable {
    init(_ fields: Fields) throws(WireError) {
        let kind: SecretKind? = try fields.kind(1)
        let reference: SecretReference? = try fields.one(2)
        // The value itself is looked for only because it has to be there.
        try fields.fields(3).map { value throws(WireError) in _ = try value.required(value.data(1))
        }
        switch kind {
        case .value: self = .value
        case .reference: self = .reference(reference ?? SecretReference(name: ""))
        case .unknown, nil: self = .reference(SecretReference(name: ""))
        }
    }

    func write(to fields: inout FieldWriter) {
        switch self {
        case .reference(let reference):
            fields.kind(1, SecretKind.reference)
            fields.one(2, reference)
        case .value:
            fields.kind(1, SecretKind.value)
            fields.message(3) { $0.data(1, [UInt8]()) }
        }
    }
}

extension SecretReference: FieldReadable, FieldWritable {
    init(_ fields: Fields) throws(WireError) {
        self.init(name: try fields.required(fields.text(1)), key: try fields.text(2))
    }

    func write(to fields: inout FieldWriter) {
        fields.text(1, name)
        fields.text(2, key)
    }
}

extension SecretValue: FieldReadable {
    init(_ fields: Fields) throws(WireError) {
        self.init(
            reference: try fields.required(fields.one(1)),
            bytes: try fields.required(fields.data(2)))
    }
}

extension EnvironmentVariable: FieldReadable, FieldWritable {
    init(_ fields: Fields) throws(WireError) {
        let name = try fields.required(fields.text(1))
        let kind: VariableKind = try fields.kind(3) ?? .value
        let value = try fields.text(2) ?? ""
        let secret: Secret? = try fields.one(4)
        if kind == .secret {
            self.init(
                name: name, value: "", secret: secret ?? .reference(SecretReference(name: "")))
        } else {
            self.init(name: name, value: value)
        }
    }

    func write(to fields: inout FieldWriter) {
        fields.text(1, name)
        guard let secret else {
            fields.text(2, value)
            return
        }
        fields.kind(3, VariableKind.secret)
        fields.one(4, secret)
    }
}
