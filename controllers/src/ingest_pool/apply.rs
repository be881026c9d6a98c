//! Writes a pool's objects: server-side apply, forced for the fields that are ours.

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, Patch, PatchParams};
use kube::{Client, Resource, ResourceExt};
use marsad_runtime::certificates::CertificateError;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::build::{self, Children};
use super::plan::Plan;
use super::secret::{self, Secrets};
use super::validate::ValidPool;

const MANAGER: &str = "marsad/ingestpool";

/// A child could not be made or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApplyError {
    /// The API server refuses, or is away.
    #[error("can't apply {kind} {name}: {source}")]
    Api {
        /// Of the child.
        kind: String,
        /// Of the child.
        name: String,
        /// What the API server said.
        #[source]
        source: Box<kube::Error>,
    },
    /// The shards' certificate.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

/// What was applied.
#[derive(Debug)]
pub(crate) struct Applied {
    /// The StatefulSet as the API server has it now.
    pub shards: StatefulSet,
    /// When certificates are to be seen to next.
    pub due: Timestamp,
}

/// Applies everything.
///
/// # Errors
/// When the API server refuses or is away.
pub(crate) async fn apply(
    client: &Client,
    pool: &ValidPool,
    plan: &Plan,
    now: Timestamp,
) -> Result<Applied, ApplyError> {
    let api: Api<Secret> = Api::namespaced(client.clone(), &pool.namespace);
    let read = async |name: String| {
        api.get_opt(&name).await.map_err(|source| ApplyError::Api {
            kind: "Secret".to_owned(),
            name,
            source: Box::new(source),
        })
    };
    let of_users = read(build::child_name(&pool.name)).await?;
    let of_shards = read(secret::shards_name(&pool.name)).await?;
    let Secrets {
        users,
        shards,
        config_hash,
        due,
    } = secret::build(pool, plan, of_users.as_ref(), of_shards.as_ref(), now)?;
    // Who vouches for a certificate is known before it is shown.
    for (existing, wanted) in [(of_users, &users), (of_shards, &shards)] {
        if existing.and_then(|existing| existing.data) != wanted.data {
            one(client, &pool.namespace, wanted).await?;
        }
    }
    // Taken apart by name: a new child that is not applied here does not compile.
    let Children {
        service,
        budget,
        policy,
        shards,
    } = build::build(pool, plan, &config_hash);
    one(client, &pool.namespace, &service).await?;
    one(client, &pool.namespace, &budget).await?;
    one(client, &pool.namespace, &policy).await?;
    Ok(Applied {
        shards: one(client, &pool.namespace, &shards).await?,
        due,
    })
}

async fn one<K>(client: &Client, namespace: &str, object: &K) -> Result<K, ApplyError>
where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + Serialize
        + DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    let name = object.name_any();
    api.patch(&name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(object))
        .await
        .map_err(|source| ApplyError::Api {
            kind: K::kind(&()).into_owned(),
            name,
            source: Box::new(source),
        })
}
