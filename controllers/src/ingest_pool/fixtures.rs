//! A pool, for tests of the steps.

use marsad_crds::{IngestPool, IngestPoolSpec};

use super::validate::PoolSettings;

pub(crate) fn pool(replicas: i32) -> IngestPool {
    let mut pool = IngestPool::new(
        "default",
        IngestPoolSpec {
            replicas,
            ..IngestPoolSpec::default()
        },
    );
    pool.metadata.namespace = Some("marsad-system".into());
    pool.metadata.uid = Some("p-1".into());
    pool.metadata.generation = Some(1);
    pool
}

pub(crate) fn settings() -> PoolSettings {
    PoolSettings {
        namespace: "marsad-system".into(),
        image: "mediamtx:1".into(),
        image_pull_policy: "IfNotPresent".into(),
    }
}
