//! Writes a pool's objects: server-side apply, forced for the fields that are ours.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, Patch, PatchParams};
use kube::{Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::build::{self, Children};
use super::plan::Plan;
use super::secret::{self, PoolCredentials};
use super::validate::ValidPool;

const MANAGER: &str = "marsad/ingestpool";

/// A child could not be written.
#[derive(Debug, thiserror::Error)]
#[error("can't apply {kind} {name}: {source}")]
pub(crate) struct ApplyError {
    kind: String,
    name: String,
    #[source]
    source: Box<kube::Error>,
}

/// Applies everything and gives back the StatefulSet as the API server has it now.
///
/// # Errors
/// When the API server refuses or is away.
pub(crate) async fn apply(client: &Client, pool: &ValidPool, plan: &Plan) -> Result<StatefulSet, ApplyError> {
    let name = build::child_name(&pool.name);
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &pool.namespace);
    let existing = secrets.get_opt(&name).await.map_err(|source| ApplyError {
        kind: "Secret".to_owned(),
        name: name.clone(),
        source: Box::new(source),
    })?;
    // Kept for ever once made: new ones would restart every shard.
    let credentials = existing
        .as_ref()
        .and_then(PoolCredentials::read)
        .unwrap_or_else(PoolCredentials::generate);
    let (secret, config_hash) = secret::build(pool, &credentials);
    if existing.as_ref().and_then(|existing| existing.data.as_ref()) != secret.data.as_ref() {
        one(client, &pool.namespace, &secret).await?;
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
    one(client, &pool.namespace, &shards).await
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
        .map_err(|source| ApplyError {
            kind: K::kind(&()).into_owned(),
            name,
            source: Box::new(source),
        })
}
