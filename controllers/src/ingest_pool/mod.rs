//! IngestPool: a StatefulSet of MediaMTX shards and what they need.

mod apply;
mod build;
#[cfg(test)]
mod fixtures;
mod secret;
mod status;
mod validate;

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::StatefulSet;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Client, ResourceExt};
use marsad_crds::{IngestPool, labels};
use marsad_runtime::controller::{self, Manager, Next, Reconcile};
use marsad_runtime::status::StatusError;
use marsad_runtime::watch::Watch;

pub(crate) use build::child_name;
pub(crate) use secret::PoolCredentials;
pub use validate::PoolSettings;

use self::status::Outcome;

/// A pass failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A child could not be written.
    #[error(transparent)]
    Apply(#[from] apply::ApplyError),
    /// The status could not be written.
    #[error(transparent)]
    Status(#[from] StatusError),
}

struct Controller {
    client: Client,
    settings: PoolSettings,
}

/// Runs the controller until the manager's stop; `sets` are the StatefulSets of pools.
///
/// # Errors
/// Never; the type fits [`marsad_runtime::role::Role::supervise`].
pub async fn run(
    client: Client,
    settings: PoolSettings,
    pools: Watch<IngestPool>,
    sets: Watch<StatefulSet>,
    manager: Manager,
) -> Result<(), std::convert::Infallible> {
    let owner = |set: Arc<StatefulSet>| {
        let pool = set.labels().get(crate::fleet::POOL_LABEL)?;
        Some(ObjectRef::new(pool).within(&set.namespace()?))
    };
    controller::run(
        Arc::new(Controller { client, settings }),
        pools,
        move |controller| controller.watches_shared_stream(sets.touched(), owner),
        manager,
    )
    .await
}

impl Reconcile for Controller {
    type Kind = IngestPool;
    type Error = Error;
    const NAME: &'static str = "ingestpool";

    async fn reconcile(&self, pool: Arc<IngestPool>) -> Result<Next, Error> {
        let paused = pool
            .annotations()
            .get(labels::PAUSED)
            .is_some_and(|value| value == "true");
        if pool.metadata.deletion_timestamp.is_some() || paused {
            return Ok(Next::Change);
        }
        let outcome = match validate::validate(&pool, &self.settings) {
            Ok(valid) => {
                let shards = apply::apply(&self.client, &valid).await?;
                Outcome::Applied(Box::new(valid), Box::new(shards))
            }
            Err(invalid) => Outcome::Refused(invalid),
        };
        let wanted = status::status(&pool, &outcome, Timestamp::now());
        let api: Api<IngestPool> =
            Api::namespaced(self.client.clone(), &pool.namespace().unwrap_or_default());
        marsad_runtime::status::apply(
            &api,
            pool.as_ref(),
            labels::MANAGER_INGEST_POOL,
            pool.status.as_ref(),
            &wanted,
        )
        .await?;
        Ok(Next::Change)
    }

    fn reason(error: &Error) -> &'static str {
        match error {
            Error::Apply(_) => "apply",
            Error::Status(_) => "status",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r0_11_generated_credentials_survive_in_the_secret_and_the_config_hash_is_stable() {
        let valid = validate::validate(&fixtures::pool(1), &fixtures::settings()).unwrap();
        let credentials = PoolCredentials::generate();
        let (secret, hash) = secret::build(&valid, &credentials);
        assert_eq!(PoolCredentials::read(&secret), Some(credentials.clone()));
        assert_eq!(secret::build(&valid, &credentials).1, hash);
        assert!(!format!("{credentials:?}").contains(credentials.api.password()));
    }

    #[test]
    fn every_child_is_owned_and_the_shards_are_restricted() {
        let valid = validate::validate(&fixtures::pool(3), &fixtures::settings()).unwrap();
        let children = build::build(&valid, "hash");
        for meta in [
            &children.service.metadata,
            &children.budget.metadata,
            &children.policy.metadata,
            &children.shards.metadata,
        ] {
            assert_eq!(meta.owner_references.as_ref().unwrap()[0].kind, "IngestPool");
            assert_eq!(meta.name.as_deref(), Some("ingest-default"));
        }
        insta::assert_yaml_snapshot!(children.shards);
        insta::assert_yaml_snapshot!(children.policy);
    }

    #[test]
    fn a_pool_elsewhere_is_refused_with_the_way_out() {
        let mut stray = fixtures::pool(1);
        stray.metadata.namespace = Some("police".into());
        let error = validate::validate(&stray, &fixtures::settings())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("marsad-system") && error.contains("police"),
            "{error}"
        );
    }
}
