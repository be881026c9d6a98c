//! The pool's status from its StatefulSet. Pure; the clock is given.

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::StatefulSet;
use marsad_crds::{ConditionType as Type, IngestPool, IngestPoolStatus, Reason};
use marsad_runtime::conditions::{Wanted, settle};

use super::build;
use super::validate::{Invalid, ValidPool};

/// What a pass came to.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The objects stand; this is the StatefulSet.
    Applied(Box<ValidPool>, Box<StatefulSet>),
    /// The pool can't be built.
    Refused(Invalid),
}

/// The status to write. Ready when every shard serves and runs the present configuration (contracts.md 2).
pub(crate) fn status(pool: &IngestPool, outcome: &Outcome, now: Timestamp) -> IngestPoolStatus {
    let before = pool
        .status
        .as_ref()
        .map_or(&[][..], |status| status.conditions.as_slice());
    let generation = pool.metadata.generation;
    let (mut status, wanted) = match outcome {
        Outcome::Refused(invalid) => {
            let message = invalid.to_string();
            let wanted = vec![
                Wanted::new(
                    Type::Ready.as_str(),
                    false,
                    Reason::WrongNamespace.as_str(),
                    message.clone(),
                ),
                Wanted::new(
                    Type::Stalled.as_str(),
                    true,
                    Reason::WrongNamespace.as_str(),
                    message,
                ),
            ];
            (IngestPoolStatus::default(), wanted)
        }
        Outcome::Applied(valid, shards) => {
            let selector: Vec<String> = build::selector(&valid.name)
                .into_iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect();
            let status = IngestPoolStatus {
                replicas: shards.status.as_ref().map(|status| status.replicas),
                capacity: valid.replicas.checked_mul(pool.spec.cameras_per_replica),
                selector: Some(selector.join(",")),
                ..IngestPoolStatus::default()
            };
            (status, serving(valid, shards))
        }
    };
    status.observed_generation = generation;
    status.conditions = settle(before, wanted, generation, now);
    status
}

fn serving(valid: &ValidPool, shards: &StatefulSet) -> Vec<Wanted> {
    let now = shards.status.as_ref();
    let current = now.is_some_and(|status| status.observed_generation == shards.metadata.generation);
    let ready = now.and_then(|status| status.ready_replicas).unwrap_or(0);
    let updated = now.and_then(|status| status.updated_replicas).unwrap_or(0);
    let replicas = now.map_or(0, |status| status.replicas);
    if current && ready >= valid.replicas && updated >= valid.replicas && replicas == valid.replicas {
        return vec![Wanted::new(
            Type::Ready.as_str(),
            true,
            Reason::Serving.as_str(),
            "every shard serves",
        )];
    }
    let name = build::child_name(&valid.name);
    let message = format!(
        "not every shard serves yet: kubectl get pods -l marsad.dev/ingest-pool={} and kubectl describe statefulset {name}",
        valid.name
    );
    vec![
        Wanted::new(
            Type::Ready.as_str(),
            false,
            Reason::PodsNotReady.as_str(),
            message.clone(),
        ),
        Wanted::new(
            Type::Reconciling.as_str(),
            true,
            Reason::PodsNotReady.as_str(),
            message,
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::check_written;
    use crate::ingest_pool::fixtures::{pool, settings};
    use crate::ingest_pool::validate::validate;
    use k8s_openapi::api::apps::v1::StatefulSetStatus;
    use marsad_runtime::conditions::{find, is_true};

    fn applied(replicas: i32, ready: i32, observed: i64) -> Outcome {
        let mut shards = StatefulSet::default();
        shards.metadata.generation = Some(2);
        shards.status = Some(StatefulSetStatus {
            replicas,
            ready_replicas: Some(ready),
            updated_replicas: Some(replicas),
            observed_generation: Some(observed),
            ..StatefulSetStatus::default()
        });
        Outcome::Applied(
            Box::new(validate(&pool(2), &settings()).unwrap()),
            Box::new(shards),
        )
    }

    #[test]
    fn ready_is_when_every_shard_serves_what_was_asked_last() {
        let now = Timestamp::UNIX_EPOCH;
        for (outcome, ready) in [
            (applied(2, 2, 2), true),
            (applied(2, 1, 2), false),
            (applied(2, 2, 1), false),
            (applied(3, 3, 2), false),
        ] {
            let status = status(&pool(2), &outcome, now);
            assert_eq!(is_true(&status.conditions, "Ready"), ready, "{outcome:?}");
            assert_eq!(find(&status.conditions, "Reconciling").is_some(), !ready);
            // contracts.md 3: how many are ready is a metric, not a status.
            assert_eq!((status.ready, status.assigned), (None, None));
            assert_eq!(status.capacity, Some(200));
        }
    }

    /// contracts.md 2: what each state is to Flux, Helm and Argo CD is said in the table (`crds/tests/health`).
    #[test]
    fn the_table_of_states_is_what_is_written() {
        let mut elsewhere = pool(2);
        elsewhere.metadata.namespace = Some("police".into());
        let refused = validate(&elsewhere, &settings()).unwrap_err();
        let written = [
            ("serves", pool(2), applied(2, 2, 2)),
            ("not every pod serves", pool(2), applied(2, 1, 2)),
            ("the pods have not heard of the edit", pool(2), applied(2, 2, 1)),
            ("in another namespace", elsewhere, Outcome::Refused(refused)),
        ]
        .map(|(name, pool, outcome)| (name, 1, status(&pool, &outcome, Timestamp::UNIX_EPOCH)));
        check_written("IngestPool", &written);
    }

    #[test]
    fn the_selector_is_what_scale_needs() {
        let status = status(&pool(2), &applied(2, 2, 2), Timestamp::UNIX_EPOCH);
        assert_eq!(
            status.selector.as_deref(),
            Some(
                "app.kubernetes.io/component=mediamtx,app.kubernetes.io/name=marsad,marsad.dev/ingest-pool=default"
            )
        );
    }
}
