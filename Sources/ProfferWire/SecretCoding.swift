internal import ProfferModel
internal import ProfferSchema

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

// A secret in a description is named. One that is told itself is forgotten here, as early as can
// be: only that there was one is known further on.

extension PBSecret {
    init(_ secret: ProfferModel.Secret) {
        self.init()
        switch secret {
        case .reference(let named):
            type = .reference
            reference = Reference(named)
        case .value:
            type = .value
            value.data = Data()
        }
    }

    var model: ProfferModel.Secret {
        switch type {
        case .value: .value
        case .reference: .reference(reference.model)
        case .unknown: .reference(SecretReference(name: ""))
        }
    }
}

extension PBSecret.Reference {
    init(_ named: SecretReference) {
        self.init()
        name = named.name
        if let key = named.key { self.key = key }
    }

    var model: SecretReference { SecretReference(name: name, key: hasKey ? key : nil) }
}

extension PBEnvironment.Variable {
    init(_ variable: EnvironmentVariable) {
        self.init()
        name = variable.name
        if let secret = variable.secret {
            type = .secret
            self.secret = PBSecret(secret)
        } else {
            value = variable.value
        }
    }

    var model: EnvironmentVariable {
        guard type == .secret else { return EnvironmentVariable(name: name, value: value) }
        return EnvironmentVariable(name: name, value: "", secret: secret.model)
    }
}

extension PBExecutorSecretValue {
    init(_ secret: ProfferModel.SecretValue) {
        self.init()
        reference = PBSecret.Reference(secret.reference)
        data = Data(secret.bytes)
    }

    var model: ProfferModel.SecretValue {
        ProfferModel.SecretValue(reference: reference.model, bytes: [UInt8](data))
    }
}
