//! Reads what a camera refers to: its source, its pool, its Secrets, its agency's quota, and where its hosts are.

use std::collections::HashMap;
use std::sync::Arc;

use ipnet::IpNet;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt};
use marsad_crds::{Camera, CameraSource, IngestPool, labels};
use marsad_mediamtx::Credentials;
use marsad_rtsp::Trust;
use url::Url;

use super::Context;
use crate::agency;
use crate::reach::{HOSTS_ANNOTATION, Hosts, Ranges, Resolved, parse_all};
use crate::secret_value;

/// What was found.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// Its CameraSource.
    pub source: Option<Arc<CameraSource>>,
    /// Its IngestPool.
    pub pool: Option<Arc<IngestPool>>,
    /// Its Secret.
    pub login: Login,
    /// Whose certificates are trusted.
    pub authorities: Authorities,
    /// Where its hosts are, by name.
    pub hosts: HashMap<String, Resolved>,
    /// Where no camera may be.
    pub refused: Arc<Ranges>,
    /// Where those of its agency are; empty: anywhere else.
    pub listed: Vec<IpNet>,
}

/// Who vouches for the camera's certificate.
#[derive(Debug, Clone)]
pub(crate) enum Authorities {
    /// As in `spec.stream.tls`, or the public ones.
    Trusted(Trust),
    /// No such Secret.
    Missing(String),
    /// It has no key `ca.crt`.
    Empty(String),
    /// The agency has not bound the role that lets us read it.
    Forbidden(String),
}

/// User and password at the camera.
#[derive(Debug, Clone)]
pub(crate) enum Login {
    /// The camera asks for none.
    None,
    /// As in the Secret of this name, for these hosts.
    Found(String, Credentials, Hosts),
    /// No such Secret.
    Missing(String),
    /// A Secret of another type: never sent anywhere.
    WrongType(String, String),
    /// A key is missing or empty; MediaMTX refuses a user without a password (R1.1-14).
    Incomplete(String),
    /// The agency has not bound the role that lets us read it.
    Forbidden(String),
}

/// The API server could not be asked.
#[derive(Debug, thiserror::Error)]
#[error("can't read Secret {name}: {source}")]
pub(crate) struct ReadError {
    name: String,
    #[source]
    source: Box<kube::Error>,
}

/// Reads all that `camera` refers to. What is missing is no error.
///
/// # Errors
/// When the API server is away.
pub(crate) async fn dereference(context: &Context, camera: &Camera) -> Result<Found, ReadError> {
    let namespace = camera.namespace().unwrap_or_default();
    let source = context
        .sources
        .get(Some(&namespace), &camera.spec.source_ref.name);
    let pool_name = camera
        .spec
        .pool_ref
        .as_ref()
        .map_or(crate::bootstrap::DEFAULT_POOL, |pool| pool.name.as_str());
    let pool = context.pools.get(Some(&context.namespace), pool_name);
    let reference = camera.spec.stream.credentials_secret_ref.as_ref().or_else(|| {
        source
            .as_ref()
            .and_then(|source| source.spec.rtsp.as_ref()?.credentials_secret_ref.as_ref())
    });
    let login = match reference {
        None => Login::None,
        Some(reference) => match read(context, &namespace, &reference.name).await? {
            Read::Found(secret) => judge(&reference.name, &secret),
            Read::Missing => Login::Missing(reference.name.clone()),
            Read::Forbidden => Login::Forbidden(reference.name.clone()),
        },
    };
    let stream = &camera.spec.stream;
    let authorities = stream.tls.as_ref().map(|tls| &tls.ca_secret_ref);
    let authorities = match authorities {
        None => Authorities::Trusted(Trust::Public),
        Some(reference) => match read(context, &namespace, &reference.name).await? {
            Read::Found(secret) => trust(&reference.name, &secret),
            Read::Missing => Authorities::Missing(reference.name.clone()),
            Read::Forbidden => Authorities::Forbidden(reference.name.clone()),
        },
    };
    let mut hosts = HashMap::new();
    for url in [&stream.url, &stream.substream_url].into_iter().flatten() {
        if let Some(host) = host_of(url)
            && !hosts.contains_key(&host)
        {
            let resolved = context.reach.names.resolve(&host).await;
            hosts.insert(host, resolved);
        }
    }
    let quota = agency::quota(&context.quotas);
    let listed = source
        .as_ref()
        .and_then(|source| agency::part(quota.as_deref(), &source.spec.agency))
        .map(|part| parse_all(&part.source_cidrs))
        .unwrap_or_default();
    Ok(Found {
        source,
        pool,
        login,
        authorities,
        hosts,
        refused: context.reach.ranges(),
        listed,
    })
}

/// The host of a camera's URL: a name, or an address without brackets.
pub(crate) fn host_of(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    let host = url.host_str()?.trim_start_matches('[').trim_end_matches(']');
    (!host.is_empty()).then(|| host.to_owned())
}

enum Read {
    Found(Box<Secret>),
    Missing,
    Forbidden,
}

async fn read(context: &Context, namespace: &str, name: &str) -> Result<Read, ReadError> {
    let api: Api<Secret> = Api::namespaced(context.client.clone(), namespace);
    match api.get_opt(name).await {
        Ok(None) => Ok(Read::Missing),
        Ok(Some(secret)) => Ok(Read::Found(Box::new(secret))),
        Err(kube::Error::Api(status)) if status.code == 403 => Ok(Read::Forbidden),
        Err(source) => Err(ReadError {
            name: name.to_owned(),
            source: Box::new(source),
        }),
    }
}

/// A certificate is no secret: any type of Secret will do, such as cert-manager's.
fn trust(name: &str, secret: &Secret) -> Authorities {
    let pem = secret
        .data
        .as_ref()
        .and_then(|data| data.get(labels::CA_KEY))
        .filter(|pem| !pem.0.is_empty());
    match pem {
        Some(pem) => Authorities::Trusted(Trust::Authorities(pem.0.clone())),
        None => Authorities::Empty(name.to_owned()),
    }
}

fn judge(name: &str, secret: &Secret) -> Login {
    let type_ = secret.type_.clone().unwrap_or_else(|| "Opaque".to_owned());
    if type_ != labels::CAMERA_CREDENTIALS_TYPE {
        return Login::WrongType(name.to_owned(), type_);
    }
    let text = |key: &str| secret_value::text(secret, key);
    let hosts = secret
        .annotations()
        .get(HOSTS_ANNOTATION)
        .map_or_else(Hosts::anywhere, |text| Hosts::parse(text));
    match (text(labels::USERNAME_KEY), text(labels::PASSWORD_KEY)) {
        (Some(username), Some(password)) => {
            Login::Found(name.to_owned(), Credentials::new(username, password), hosts)
        }
        _ => Login::Incomplete(name.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::ByteString;

    fn secret(type_: &str, pairs: &[(&str, &str)]) -> Secret {
        Secret {
            type_: Some(type_.into()),
            data: Some(
                pairs
                    .iter()
                    .map(|(k, v)| ((*k).to_owned(), ByteString(v.as_bytes().to_vec())))
                    .collect(),
            ),
            ..Secret::default()
        }
    }

    #[test]
    fn only_secrets_of_our_type_with_both_keys_are_used() {
        let whole = [("username", "u"), ("password", "p")];
        assert!(matches!(
            judge("s", &secret(labels::CAMERA_CREDENTIALS_TYPE, &whole)),
            Login::Found(..)
        ));
        assert!(matches!(
            judge("s", &secret("Opaque", &whole)),
            Login::WrongType(_, _)
        ));
        assert!(matches!(
            judge(
                "s",
                &secret(labels::CAMERA_CREDENTIALS_TYPE, &[("username", "u")])
            ),
            Login::Incomplete(_)
        ));
        assert!(matches!(
            judge(
                "s",
                &secret(
                    labels::CAMERA_CREDENTIALS_TYPE,
                    &[("username", "u"), ("password", "")]
                )
            ),
            Login::Incomplete(_)
        ));
    }

    #[test]
    fn a_secret_says_itself_where_it_may_go() {
        let mut whole = secret(
            labels::CAMERA_CREDENTIALS_TYPE,
            &[("username", "u"), ("password", "p")],
        );
        let hosts = |secret: &Secret| match judge("s", secret) {
            Login::Found(_, _, hosts) => hosts,
            other => panic!("{other:?}"),
        };
        assert_eq!(hosts(&whole), Hosts::anywhere());
        whole
            .annotations_mut()
            .insert(HOSTS_ANNOTATION.into(), "10.1.2.3".into());
        assert_eq!(hosts(&whole), Hosts::parse("10.1.2.3"));
    }

    #[test]
    fn authorities_are_in_ca_crt_of_any_secret() {
        let found = trust("ca", &secret("kubernetes.io/tls", &[("ca.crt", "PEM")]));
        assert!(matches!(found, Authorities::Trusted(Trust::Authorities(pem)) if pem == b"PEM"));
        for none in [
            secret("Opaque", &[("ca.crt", "")]),
            secret("Opaque", &[("tls.crt", "PEM")]),
        ] {
            assert!(matches!(trust("ca", &none), Authorities::Empty(name) if name == "ca"));
        }
    }

    #[test]
    fn hosts_are_without_brackets_and_credentials() {
        for (url, host) in [
            ("rtsp://10.1.2.3:554/main", Some("10.1.2.3")),
            ("rtsps://cam.police.example:322/a?b=1", Some("cam.police.example")),
            ("rtsp://[fd00::7]:554/a", Some("fd00::7")),
            ("camera", None),
        ] {
            assert_eq!(host_of(url).as_deref(), host, "{url}");
        }
    }
}
