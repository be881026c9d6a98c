//! Reads what a camera refers to: its source, its pool, its Secret.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt};
use marsad_crds::{Camera, CameraSource, IngestPool};
use marsad_mediamtx::Credentials;

use super::Context;

/// The only type of Secret that is ever sent to a camera (contracts.md 9).
const SECRET_TYPE: &str = "marsad.dev/camera-credentials";

/// What was found.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// Its CameraSource.
    pub source: Option<Arc<CameraSource>>,
    /// Its IngestPool.
    pub pool: Option<Arc<IngestPool>>,
    /// Its Secret.
    pub login: Login,
}

/// User and password at the camera.
#[derive(Debug, Clone)]
pub(crate) enum Login {
    /// The camera asks for none.
    None,
    /// As in the Secret.
    Found(Credentials),
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
        Some(reference) => login(context, &namespace, &reference.name).await?,
    };
    Ok(Found { source, pool, login })
}

async fn login(context: &Context, namespace: &str, name: &str) -> Result<Login, ReadError> {
    let api: Api<Secret> = Api::namespaced(context.client.clone(), namespace);
    match api.get_opt(name).await {
        Ok(None) => Ok(Login::Missing(name.to_owned())),
        Ok(Some(secret)) => Ok(judge(name, &secret)),
        Err(kube::Error::Api(status)) if status.code == 403 => Ok(Login::Forbidden(name.to_owned())),
        Err(source) => Err(ReadError {
            name: name.to_owned(),
            source: Box::new(source),
        }),
    }
}

fn judge(name: &str, secret: &Secret) -> Login {
    let type_ = secret.type_.clone().unwrap_or_else(|| "Opaque".to_owned());
    if type_ != SECRET_TYPE {
        return Login::WrongType(name.to_owned(), type_);
    }
    let text = |key: &str| {
        let bytes = &secret.data.as_ref()?.get(key)?.0;
        String::from_utf8(bytes.clone())
            .ok()
            .filter(|text| !text.is_empty())
    };
    match (text("username"), text("password")) {
        (Some(username), Some(password)) => Login::Found(Credentials::new(username, password)),
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
            judge("s", &secret(SECRET_TYPE, &whole)),
            Login::Found(_)
        ));
        assert!(matches!(
            judge("s", &secret("Opaque", &whole)),
            Login::WrongType(_, _)
        ));
        assert!(matches!(
            judge("s", &secret(SECRET_TYPE, &[("username", "u")])),
            Login::Incomplete(_)
        ));
        assert!(matches!(
            judge("s", &secret(SECRET_TYPE, &[("username", "u"), ("password", "")])),
            Login::Incomplete(_)
        ));
    }
}
