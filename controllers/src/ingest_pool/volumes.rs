//! Where a pool's recordings lie: with the pod, or on a volume for each shard that outlives pod, shard and pool. Pure.
//!
//! A StatefulSet keeps the claims that it was made with, so that the schema refuses any other `spec.mediamtx.recordings` on a pool that
//! is there. [`agrees`] finds what came by without it.

use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetPersistentVolumeClaimRetentionPolicy};
use k8s_openapi::api::core::v1::{
    EmptyDirVolumeSource, PersistentVolumeClaim, PersistentVolumeClaimSpec, PodSpec, Volume,
    VolumeResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use marsad_crds::RecordingsVolume;
use marsad_crds::grammar::parse_size;

use super::build;
use super::validate::{Invalid, ValidPool};

/// Name of the volume in a pod, and the first part of each claim's: `recordings-ingest-default-0`.
pub(super) const RECORDINGS: &str = "recordings";

/// `pod` with a volume for recordings that goes with it, unless a claim brings one.
pub(super) fn with_recordings(mut pod: PodSpec, pool: &ValidPool) -> PodSpec {
    if pool.recordings.is_none() {
        pod.volumes.get_or_insert_default().push(Volume {
            name: RECORDINGS.to_owned(),
            empty_dir: Some(EmptyDirVolumeSource::default()),
            ..Volume::default()
        });
    }
    pod
}

/// What each shard claims; none when its recordings go with the pod.
pub(super) fn claims(pool: &ValidPool) -> Option<Vec<PersistentVolumeClaim>> {
    let volume = pool.recordings.as_ref()?;
    let mut labels = crate::labels::of("mediamtx");
    labels.extend(build::selector(&pool.name));
    Some(vec![PersistentVolumeClaim {
        metadata: ObjectMeta {
            name: Some(RECORDINGS.to_owned()),
            labels: Some(labels),
            ..ObjectMeta::default()
        },
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
            storage_class_name: volume.storage_class_name.clone(),
            resources: Some(VolumeResourceRequirements {
                requests: Some([("storage".to_owned(), volume.size.clone())].into()),
                ..VolumeResourceRequirements::default()
            }),
            ..PersistentVolumeClaimSpec::default()
        }),
        ..PersistentVolumeClaim::default()
    }])
}

/// Recordings are people's: neither a smaller pool nor one that is deleted takes them along. Said, since the default is another
/// version's to choose.
pub(super) fn retention(pool: &ValidPool) -> Option<StatefulSetPersistentVolumeClaimRetentionPolicy> {
    let retain = || Some("Retain".to_owned());
    pool.recordings
        .as_ref()
        .map(|_| StatefulSetPersistentVolumeClaimRetentionPolicy {
            when_deleted: retain(),
            when_scaled: retain(),
        })
}

/// Checks that the StatefulSet that is there claims what `pool` wants: it can't be made to claim something else, and is not deleted
/// for it.
///
/// # Errors
/// When it does not, with what it has and the way out.
pub(super) fn agrees(pool: &ValidPool, standing: Option<&StatefulSet>) -> Result<(), Invalid> {
    let Some(spec) = standing.and_then(|set| set.spec.as_ref()) else {
        return Ok(());
    };
    let claims = spec.volume_claim_templates.iter().flatten();
    let has = claims
        .into_iter()
        .find(|claim| claim.metadata.name.as_deref() == Some(RECORDINGS))
        .and_then(|claim| claim.spec.as_ref())
        .map(|spec| RecordingsVolume {
            size: spec
                .resources
                .as_ref()
                .and_then(|resources| resources.requests.as_ref()?.get("storage").cloned())
                .unwrap_or_default(),
            storage_class_name: spec.storage_class_name.clone(),
        });
    let same = match (&has, &pool.recordings) {
        (None, None) => true,
        (Some(has), Some(wanted)) => {
            // The API server writes 1024Mi as 1Gi.
            let equal = has.size == wanted.size || parse_size(&has.size.0) == parse_size(&wanted.size.0);
            equal && has.storage_class_name == wanted.storage_class_name
        }
        _ => false,
    };
    if same {
        return Ok(());
    }
    Err(Invalid::OtherVolumes {
        set: build::child_name(&pool.name),
        has: has.map_or_else(
            || "none".to_owned(),
            |volume| {
                let class = volume.storage_class_name.as_deref();
                format!(
                    "{} of {}",
                    volume.size.0,
                    class.unwrap_or("the default StorageClass")
                )
            },
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest_pool::fixtures::{pool, settings};
    use crate::ingest_pool::plan::{Facts, plan};
    use crate::ingest_pool::validate::validate;
    use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

    fn with(volume: Option<(&str, Option<&str>)>) -> ValidPool {
        let mut pool = pool(2);
        pool.spec.mediamtx.recordings = volume.map(|(size, class)| RecordingsVolume {
            size: Quantity(size.into()),
            storage_class_name: class.map(str::to_owned),
        });
        validate(&pool, &settings()).unwrap()
    }

    fn set(pool: &ValidPool) -> StatefulSet {
        build::build(pool, &plan(&Facts::default()), "hash").shards
    }

    #[test]
    fn a_shard_s_claim_outlives_shard_and_pool() {
        let spec = set(&with(Some(("100Gi", Some("fast"))))).spec.unwrap();
        insta::assert_yaml_snapshot!((
            &spec.persistent_volume_claim_retention_policy,
            &spec.volume_claim_templates
        ));
        let volumes = spec.template.spec.unwrap().volumes.unwrap();
        assert!(
            volumes.iter().all(|volume| volume.name != RECORDINGS),
            "{volumes:?}"
        );
    }

    #[test]
    fn without_a_size_recordings_go_with_the_pod() {
        let spec = set(&with(None)).spec.unwrap();
        assert!(
            spec.volume_claim_templates.is_none() && spec.persistent_volume_claim_retention_policy.is_none()
        );
        let volumes = spec.template.spec.unwrap().volumes.unwrap();
        assert!(
            volumes
                .iter()
                .any(|volume| volume.name == RECORDINGS && volume.empty_dir.is_some())
        );
    }

    #[test]
    fn a_set_with_other_volumes_is_left_alone_and_said() {
        let wanted = [
            with(None),
            with(Some(("1Gi", None))),
            with(Some(("2Gi", None))),
            with(Some(("1Gi", Some("fast")))),
        ];
        for (n, pool) in wanted.iter().enumerate() {
            assert_eq!(agrees(pool, None), Ok(()), "nothing is there yet");
            for (m, other) in wanted.iter().enumerate() {
                let found = agrees(pool, Some(&set(other)));
                assert_eq!(found.is_ok(), n == m, "{n} {m}: {found:?}");
            }
        }
        assert_eq!(
            agrees(
                &with(Some(("1024Mi", None))),
                Some(&set(&with(Some(("1Gi", None)))))
            ),
            Ok(())
        );
        let said = agrees(&with(None), Some(&set(&with(Some(("1Gi", None))))))
            .unwrap_err()
            .to_string();
        assert!(
            said.contains("ingest-default") && said.contains("1Gi") && said.contains("spec.poolRef"),
            "{said}"
        );
    }
}
