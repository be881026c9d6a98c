//! What the operator makes once at its start, if it is absent: the Secrets that roles share, and the default
//! IngestPool (contracts.md 9b). Everything is owned by the operator's Deployment, so the uninstall takes it along,
//! and nothing is ever changed here: who brings a Secret of their own keeps it.

mod secrets;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{Api, PostParams};
use kube::{Client, Resource, ResourceExt};
use marsad_crds::{IngestPool, IngestPoolSpec};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The operator's Deployment; the owner of what is made here.
const OPERATOR_DEPLOYMENT: &str = "marsad-operator";
/// Name of the pool that cameras use when they name none.
pub const DEFAULT_POOL: &str = "default";

/// The start could not be completed.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// The API server refused or is away.
    #[error("can't make {what}: {source}")]
    Api {
        /// The object.
        what: String,
        /// What the client said.
        #[source]
        source: Box<kube::Error>,
    },
    /// A key could not be generated.
    #[error("can't generate the key of {what}: {why}")]
    Key {
        /// The Secret.
        what: &'static str,
        /// What the generator said.
        why: String,
    },
}

/// Makes what is absent in `namespace`; `pool` is what the default pool is to be.
///
/// # Errors
/// When the API server refuses or is away; the caller tries again.
pub async fn ensure(client: &Client, namespace: &str, pool: &IngestPoolSpec) -> Result<(), BootstrapError> {
    let owner = owner(client, namespace).await?;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    if absent(&secrets, secrets::LIVEKIT).await? {
        create(&secrets, &secrets::livekit(owner.clone())).await?;
    }
    if absent(&secrets, secrets::JWT).await? {
        // A second of arithmetic: not on the thread that answers probes.
        let generated = tokio::task::spawn_blocking(secrets::rsa_key)
            .await
            .map_err(|error| BootstrapError::Key {
                what: secrets::JWT,
                why: error.to_string(),
            })??;
        create(&secrets, &secrets::jwt(generated, owner.clone())).await?;
    }
    let pools: Api<IngestPool> = Api::namespaced(client.clone(), namespace);
    if absent(&pools, DEFAULT_POOL).await? {
        create(&pools, &default_pool(pool.clone(), owner)).await?;
    }
    Ok(())
}

fn default_pool(spec: IngestPoolSpec, owner: Option<OwnerReference>) -> IngestPool {
    let mut pool = IngestPool::new(DEFAULT_POOL, spec);
    pool.metadata.labels = Some(crate::labels::of("mediamtx"));
    pool.metadata.owner_references = owner.map(|owner| vec![owner]);
    pool
}

/// The Deployment as an owner; none when the operator runs outside the cluster.
async fn owner(client: &Client, namespace: &str) -> Result<Option<OwnerReference>, BootstrapError> {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    let found = deployments
        .get_opt(OPERATOR_DEPLOYMENT)
        .await
        .map_err(failed(OPERATOR_DEPLOYMENT))?;
    Ok(found.and_then(|deployment| deployment.owner_ref(&())))
}

async fn absent<K>(api: &Api<K>, name: &str) -> Result<bool, BootstrapError>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned,
{
    Ok(api.get_metadata_opt(name).await.map_err(failed(name))?.is_none())
}

async fn create<K>(api: &Api<K>, object: &K) -> Result<(), BootstrapError>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + Serialize + DeserializeOwned,
{
    let name = object.name_any();
    match api.create(&PostParams::default(), object).await {
        Ok(_) => {
            tracing::info!(kind = %K::kind(&()), name, "bootstrap_created");
            Ok(())
        }
        // Another replica was quicker.
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        Err(error) => Err(failed(&name)(error)),
    }
}

fn failed(what: &str) -> impl FnOnce(kube::Error) -> BootstrapError {
    let what = what.to_owned();
    move |source| BootstrapError::Api {
        what,
        source: Box::new(source),
    }
}
