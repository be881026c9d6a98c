//! What of a pool can be built. Pure.

use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Resource, ResourceExt};
use marsad_crds::{IngestPool, Reason, RecordingsVolume, labels};

/// What the operator's own settings give to every pool.
#[derive(Debug, Clone)]
pub struct PoolSettings {
    /// Namespace of the release; pools elsewhere do not count (contracts.md 9).
    pub namespace: String,
    /// MediaMTX image of the chart.
    pub image: String,
    /// When images are pulled.
    pub image_pull_policy: String,
}

/// A pool that can be built; nothing else can be given to `build`.
#[derive(Debug, Clone)]
pub(crate) struct ValidPool {
    /// Name of the pool.
    pub name: String,
    /// Namespace of the release.
    pub namespace: String,
    /// Shards wanted.
    pub replicas: i32,
    /// Shards that are not wanted any more go at once, with whatever cameras they have.
    pub force: bool,
    /// Image of the engine.
    pub image: String,
    /// When it is pulled.
    pub image_pull_policy: String,
    /// Requests and limits of a shard.
    pub resources: ResourceRequirements,
    /// The volume of each shard's recordings; none: they go with the pod.
    pub recordings: Option<RecordingsVolume>,
    /// The pool, as an owner.
    pub owner: OwnerReference,
}

/// Why a pool is not built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Invalid {
    /// Pools count in the release's namespace only.
    #[error(
        "IngestPools count only in namespace {expected}: delete this one and make it there (metadata.namespace is {found})"
    )]
    WrongNamespace {
        /// The release's.
        expected: String,
        /// The pool's.
        found: String,
    },
    /// The shards that are there have other volumes, and keep them.
    #[error(
        "StatefulSet {set} keeps the recordings' volumes that it was made with ({has}), and spec.mediamtx.recordings asks for others: make another IngestPool with them and move the cameras to it by spec.poolRef"
    )]
    OtherVolumes {
        /// The StatefulSet.
        set: String,
        /// What it has.
        has: String,
    },
    /// An object from a watch without a uid: not one that the API server made.
    #[error("the pool has no uid yet")]
    Unborn,
}

impl Invalid {
    /// The reason of the condition that says so.
    pub(crate) fn reason(&self) -> Reason {
        match self {
            Self::WrongNamespace { .. } | Self::Unborn => Reason::WrongNamespace,
            Self::OtherVolumes { .. } => Reason::OtherVolumes,
        }
    }
}

/// Checks `pool` against the settings.
///
/// # Errors
/// When it can't be built, with the field and the way out.
pub(crate) fn validate(pool: &IngestPool, settings: &PoolSettings) -> Result<ValidPool, Invalid> {
    let found = pool.namespace().unwrap_or_default();
    if found != settings.namespace {
        return Err(Invalid::WrongNamespace {
            expected: settings.namespace.clone(),
            found,
        });
    }
    let engine = &pool.spec.mediamtx;
    Ok(ValidPool {
        name: pool.name_any(),
        namespace: found,
        replicas: pool.spec.replicas,
        force: crate::labels::is_set(pool, labels::FORCE_SCALE_DOWN),
        image: engine.image.clone().unwrap_or_else(|| settings.image.clone()),
        image_pull_policy: settings.image_pull_policy.clone(),
        resources: engine
            .resources
            .clone()
            .unwrap_or_else(super::build::default_resources),
        recordings: engine.recordings.clone(),
        owner: pool.controller_owner_ref(&()).ok_or(Invalid::Unborn)?,
    })
}
