//! Certificates and kubeconfigs of one cluster. EC P-256: the whole set takes a fraction of the
//! two seconds that RSA takes (testbed.md §1).

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};
use serde_json::json;

use crate::checkout::write_atomically;

/// Who gets a certificate, and for which names.
struct Identity {
    file: &'static str,
    common_name: String,
    organisation: Option<&'static str>,
    names: Vec<String>,
    /// Whether a kubeconfig with this identity is written beside it.
    client: bool,
}

/// The folder with a cluster's keys.
#[derive(Clone, Debug)]
pub(crate) struct Pki {
    dir: PathBuf,
}

impl Pki {
    /// The keys in `dir`.
    pub(crate) fn in_dir(dir: &Path) -> Self {
        Self {
            dir: dir.to_path_buf(),
        }
    }

    /// A file of the set, by name.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Makes the set anew: a CA, the service-account key, a certificate for each component, and
    /// kubeconfigs that point at `server`.
    pub(crate) fn create(
        dir: &Path,
        server: &str,
        api: &[Ipv4Addr],
        node: &str,
        node_address: Ipv4Addr,
    ) -> Result<Self> {
        fs::create_dir_all(dir)?;
        let pki = Self::in_dir(dir);
        let authority = authority()?;
        let ca = authority.0.self_signed(&authority.1)?.pem();
        pki.write("ca.crt", &ca)?;
        pki.write("ca.key", &authority.1.serialize_pem())?;
        let accounts = KeyPair::generate()?;
        pki.write("sa.key", &accounts.serialize_pem())?;
        pki.write("sa.pub", &accounts.public_key_pem())?;
        let issuer = Issuer::from_params(&authority.0, &authority.1);
        for identity in identities(api, node, node_address) {
            let key = KeyPair::generate()?;
            let certificate = request(&identity)?.signed_by(&key, &issuer)?.pem();
            pki.write(&format!("{}.crt", identity.file), &certificate)?;
            pki.write(&format!("{}.key", identity.file), &key.serialize_pem())?;
            if identity.client {
                let text = kubeconfig(server, &ca, &certificate, &key.serialize_pem());
                pki.write(&format!("{}.kubeconfig", identity.file), &text)?;
            }
        }
        Ok(pki)
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        write_atomically(&self.file(name), text, 0o600).context("keys of the cluster")
    }
}

fn authority() -> Result<(CertificateParams, KeyPair)> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = name("marsad-local-ca", None);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    Ok((params, KeyPair::generate()?))
}

fn identities(api: &[Ipv4Addr], node: &str, node_address: Ipv4Addr) -> Vec<Identity> {
    let person = |file, common_name: &str, organisation| Identity {
        file,
        common_name: common_name.to_owned(),
        organisation,
        names: Vec::new(),
        client: true,
    };
    let mut api_names: Vec<String> = [
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "localhost",
        "127.0.0.1",
    ]
    .map(str::to_owned)
    .to_vec();
    api_names.extend(api.iter().map(Ipv4Addr::to_string));
    vec![
        Identity {
            file: "apiserver",
            common_name: "kube-apiserver".to_owned(),
            organisation: None,
            names: api_names,
            client: false,
        },
        Identity {
            client: false,
            ..person(
                "kubelet-client",
                "kube-apiserver-kubelet-client",
                Some("system:masters"),
            )
        },
        person("admin", "marsad-local-admin", Some("system:masters")),
        person("controller-manager", "system:kube-controller-manager", None),
        person("scheduler", "system:kube-scheduler", None),
        person("proxy", "system:kube-proxy", None),
        Identity {
            names: vec![node.to_owned(), node_address.to_string()],
            ..person("kubelet", &format!("system:node:{node}"), Some("system:nodes"))
        },
    ]
}

fn request(identity: &Identity) -> Result<CertificateParams> {
    // `new` tells addresses from names.
    let mut params = CertificateParams::new(identity.names.clone())?;
    params.distinguished_name = name(&identity.common_name, identity.organisation);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    Ok(params)
}

fn name(common_name: &str, organisation: Option<&str>) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    if let Some(organisation) = organisation {
        name.push(DnType::OrganizationName, organisation);
    }
    name.push(DnType::CommonName, common_name);
    name
}

/// A kubeconfig that needs no other file. JSON is YAML, and needs no quoting by hand.
fn kubeconfig(server: &str, ca: &str, certificate: &str, key: &str) -> String {
    let encode = |text: &str| STANDARD.encode(text);
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "marsad", "cluster": {"server": server, "certificate-authority-data": encode(ca)}}],
        "users": [{"name": "marsad", "user":
            {"client-certificate-data": encode(certificate), "client-key-data": encode(key)}}],
        "contexts": [{"name": "marsad", "context": {"cluster": "marsad", "user": "marsad"}}],
        "current-context": "marsad",
    });
    format!("{config:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(file: &str) -> Identity {
        let api = [Ipv4Addr::new(10, 64, 0, 2), Ipv4Addr::new(10, 64, 4, 1)];
        identities(&api, "marsad", api[0])
            .into_iter()
            .find(|i| i.file == file)
            .unwrap()
    }

    #[test]
    fn the_api_server_is_known_by_service_name_and_by_both_addresses() {
        let params = request(&identity("apiserver")).unwrap();
        let names: Vec<String> = params
            .subject_alt_names
            .iter()
            .map(|name| format!("{name:?}"))
            .collect();
        let all = names.join(" ");
        for wanted in [
            "kubernetes.default.svc",
            "localhost",
            "127.0.0.1",
            "10.64.0.2",
            "10.64.4.1",
        ] {
            assert!(all.contains(wanted), "{wanted} not in {all}");
        }
        let addresses = params
            .subject_alt_names
            .iter()
            .filter(|name| matches!(name, rcgen::SanType::IpAddress(_)))
            .count();
        assert_eq!(
            addresses, 3,
            "addresses must be IP entries, or Go's verifier refuses them: {all}"
        );
    }

    #[test]
    fn the_kubelet_is_a_node_to_rbac() {
        let kubelet = identity("kubelet");
        assert_eq!(kubelet.common_name, "system:node:marsad");
        assert_eq!(kubelet.organisation, Some("system:nodes"));
        assert_eq!(kubelet.names, ["marsad", "10.64.0.2"]);
    }

    #[test]
    fn the_set_is_whole_and_private() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let address = Ipv4Addr::new(10, 64, 0, 2);
        let pki = Pki::create(
            dir.path(),
            "https://10.64.0.2:6443",
            &[address],
            "marsad",
            address,
        )
        .unwrap();
        for file in [
            "ca.crt",
            "sa.pub",
            "apiserver.crt",
            "kubelet-client.key",
            "admin.kubeconfig",
        ] {
            let mode = fs::metadata(pki.file(file)).unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{file}");
        }
        let text = fs::read_to_string(pki.file("admin.kubeconfig")).unwrap();
        let config: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            config["clusters"][0]["cluster"]["server"],
            "https://10.64.0.2:6443"
        );
        assert!(!pki.file("apiserver.kubeconfig").exists());
    }
}
