internal import ProfferElection
internal import ProfferRegistry

extension DaemonSettings {
    /// Where the registry is, and how to be let in.
    ///
    /// - Throws: ``DaemonProblem`` that names the first setting that is not valid.
    func registry() throws -> RegistryPlace {
        let access = EtcdAddress.Access(
            user: text("etcd-user"), passwordFile: text("etcd-password-file"),
            authorityFile: text("etcd-ca"), certificateFile: text("etcd-cert"),
            keyFile: text("etcd-key"))
        do throws(StoreProblem) {
            let place = try RegistryPlace(text("registry") ?? "sqlite:")
            guard case .etcd(var address) = place else {
                try refuse(accessTo: place)
                return place
            }
            try address.add(access)
            return .etcd(address)
        } catch {
            throw DaemonProblem(
                .configuration, "--registry is not valid",
                because: error.description,
                try: "write sqlite:, or for example"
                    + " etcd://10.0.0.1:2379,10.0.0.2:2379,10.0.0.3:2379")
        }
    }

    private func refuse(accessTo place: RegistryPlace) throws(StoreProblem) {
        let names = ["etcd-user", "etcd-password-file", "etcd-ca", "etcd-cert", "etcd-key"]
        for name in names where text(name) != nil {
            throw StoreProblem(
                .address, path: "--\(name)", because: "the registry is not in etcd")
        }
    }

    /// How several masters elect the one that leads.
    ///
    /// - Throws: ``DaemonProblem`` that names the first setting that is not valid.
    func election() throws -> ElectionConfiguration {
        let lease = try duration("lease-time", default: .seconds(3))
        guard lease >= .seconds(2), lease <= .seconds(60) else {
            throw invalid("lease-time", "\(lease)", "a duration from 2s to 60s")
        }
        return ElectionConfiguration(leaseTime: lease)
    }
}
