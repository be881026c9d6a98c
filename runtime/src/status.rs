//! Status by server-side apply, written only when it differs: a no-op apply costs the API server as much as a
//! real one (testbed.md §8), so compare first.

use kube::api::{Patch, PatchParams};
use kube::{Api, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::watch::Watched;

/// A status could not be written.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// The API server refused or is away.
    #[error("can't write the status of {kind} {name}: {source}")]
    Api {
        /// Kind.
        kind: String,
        /// Name.
        name: String,
        /// What the client said.
        #[source]
        source: Box<kube::Error>,
    },
}

/// Applies `wanted` as the whole of what `manager` owns in the status of `object`, unless `current`, what it owns
/// there now, is the same. Gives back whether it wrote. An object deleted meanwhile, or made anew under the same name
/// (its uid is sent along), is left alone.
///
/// # Errors
/// When the API server refuses for another reason.
pub async fn apply<K, S>(
    api: &Api<K>,
    object: &K,
    manager: &str,
    current: Option<&S>,
    wanted: &S,
) -> Result<bool, StatusError>
where
    K: Watched + Resource<DynamicType = ()>,
    S: Serialize + DeserializeOwned + PartialEq,
{
    if current == Some(wanted) {
        return Ok(false);
    }
    let name = object.name_any();
    let patch = serde_json::json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": {"name": name, "uid": object.uid()},
        "status": wanted,
    });
    match api
        .patch_status(&name, &PatchParams::apply(manager).force(), &Patch::Apply(patch))
        .await
    {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status))
            if status.code == 404 || (status.code == 409 && object.uid().is_some()) =>
        {
            tracing::debug!(kind = %K::kind(&()), name, "status_of_a_gone_object");
            Ok(false)
        }
        Err(source) => Err(StatusError::Api {
            kind: K::kind(&()).into_owned(),
            name,
            source: Box::new(source),
        }),
    }
}
