//! The pool's status from its StatefulSet. Pure; the clock is given.

use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::StatefulSet;
use marsad_crds::{ConditionType as Type, IngestPool, IngestPoolStatus, Reason, labels};
use marsad_runtime::conditions::{Wanted, is_true, settle};

use super::build;
use super::plan::Plan;
use super::validate::{Invalid, ValidPool};
use crate::fleet::Held;

/// What a pass came to.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The objects stand: this is the StatefulSet, what was planned, and whether one lost shard would fit into the others (none:
    /// not known yet).
    Applied(Box<ValidPool>, Box<StatefulSet>, Plan, Option<bool>),
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
            let (reason, message) = (invalid.reason().as_str(), invalid.to_string());
            let wanted = vec![
                Wanted::new(Type::Ready.as_str(), false, reason, message.clone()),
                Wanted::new(Type::Stalled.as_str(), true, reason, message),
            ];
            (IngestPoolStatus::default(), wanted)
        }
        Outcome::Applied(valid, shards, plan, headroom) => {
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
            // A shard is judged by its MediaMTX (contracts.md 10). One that misses a poll is not worth a write: only the loss of one.
            let was = is_true(before, Type::Ready.as_str());
            let answers = plan.serving || (was && !plan.lost);
            let mut wanted = serving(valid, shards, plan, answers);
            wanted.extend(headroom.map(|headroom| self::headroom(&valid.name, headroom)));
            (status, wanted)
        }
    };
    status.observed_generation = generation;
    status.conditions = settle(before, wanted, generation, now);
    status
}

/// contracts.md 10: too little headroom is a condition.
fn headroom(pool: &str, enough: bool) -> Wanted {
    let message = if enough {
        "should one shard be lost, its cameras fit into the others".to_owned()
    } else {
        format!(
            "should one shard be lost, its cameras do not fit into the others: kubectl scale ipool {pool} --replicas=N"
        )
    };
    let reason = if enough { Reason::Enough } else { Reason::TooLittle };
    Wanted::new(Type::Headroom.as_str(), enough, reason.as_str(), message)
}

/// Shards that are to go and have cameras or recordings still; none when there are none.
fn draining(valid: &ValidPool, plan: &Plan) -> Option<Vec<Wanted>> {
    let names = |shards: &BTreeSet<String>| shards.iter().cloned().collect::<Vec<_>>().join(", ");
    let force = format!(
        "kubectl annotate ipool {} {}=true",
        valid.name,
        labels::FORCE_SCALE_DOWN
    );
    let mut said = Vec::new();
    if !plan.stuck.is_empty() {
        said.push(format!(
            "{}: there is no room for its cameras on the other shards, so it stays: raise spec.replicas or spec.camerasPerReplica, or let it go with its cameras: {force}",
            names(&plan.stuck),
        ));
    } else if !plan.draining.is_empty() {
        said.push(format!(
            "{}: cameras are moved to the other shards first, then it goes",
            names(&plan.draining)
        ));
    }
    if !plan.keeping.is_empty() {
        let each: Vec<String> = plan
            .keeping
            .iter()
            .map(|(shard, held)| why(shard, *held))
            .collect();
        let what_then = if valid.recordings.is_some() {
            "its volume stays, and they are out of reach until the pool grows again"
        } else {
            "they are lost"
        };
        said.push(format!(
            "{}; let it go now ({what_then}): {force}",
            each.join("; ")
        ));
    }
    if said.is_empty() {
        return None;
    }
    let (reason, message) = (Reason::Draining.as_str(), said.join(". "));
    Some(vec![
        Wanted::new(Type::Ready.as_str(), false, reason, message.clone()),
        Wanted::new(Type::Reconciling.as_str(), true, reason, message),
    ])
}

/// Why a shard without cameras stays.
fn why(shard: &str, held: Held) -> String {
    match held {
        Held::Until(end) => format!("{shard}: stays for its recordings until {end}"),
        Held::Unknown | Held::Nothing => {
            format!("{shard}: stays until it has said whether it has recordings")
        }
    }
}

fn serving(valid: &ValidPool, shards: &StatefulSet, plan: &Plan, answers: bool) -> Vec<Wanted> {
    if let Some(draining) = draining(valid, plan) {
        return draining;
    }
    let now = shards.status.as_ref();
    let current = now.is_some_and(|status| status.observed_generation == shards.metadata.generation);
    let ready = now.and_then(|status| status.ready_replicas).unwrap_or(0);
    let updated = now.and_then(|status| status.updated_replicas).unwrap_or(0);
    let replicas = now.map_or(0, |status| status.replicas);
    if answers
        && current
        && ready >= valid.replicas
        && updated >= valid.replicas
        && replicas == valid.replicas
    {
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
    use marsad_crds::RecordingsVolume;
    use marsad_runtime::conditions::find;

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
            answering(),
            Some(true),
        )
    }

    fn answering() -> Plan {
        Plan {
            serving: true,
            ..Plan::default()
        }
    }

    #[test]
    fn a_pod_that_is_ready_is_no_shard_that_answers() {
        let ready = |pool: &IngestPool, plan: Plan| {
            let status = status(
                pool,
                &with_plan(applied(2, 2, 2), plan, true),
                Timestamp::UNIX_EPOCH,
            );
            is_true(&status.conditions, "Ready")
        };
        assert!(!ready(&pool(2), Plan::default()), "not before it has answered");
        let mut served = pool(2);
        served.status = Some(status(&pool(2), &applied(2, 2, 2), Timestamp::UNIX_EPOCH));
        assert!(ready(&served, Plan::default()), "a missed poll is not written");
        let lost = Plan {
            lost: true,
            ..Plan::default()
        };
        assert!(!ready(&served, lost));
    }

    fn with_plan(outcome: Outcome, plan: Plan, headroom: bool) -> Outcome {
        match outcome {
            Outcome::Applied(valid, shards, ..) => Outcome::Applied(valid, shards, plan, Some(headroom)),
            other => other,
        }
    }

    fn draining(stuck: bool) -> Plan {
        let shard = BTreeSet::from(["ingest-default-2".to_owned()]);
        Plan {
            draining: shard.clone(),
            stuck: if stuck { shard } else { BTreeSet::new() },
            ..Plan::default()
        }
    }

    fn keeping() -> Plan {
        Plan {
            keeping: [("ingest-default-2".to_owned(), Held::Unknown)].into(),
            ..answering()
        }
    }

    #[test]
    fn a_shard_that_can_t_go_says_why_and_what_to_do() {
        let message = |stuck| {
            let outcome = with_plan(applied(3, 3, 2), draining(stuck), true);
            let status = status(&pool(2), &outcome, Timestamp::UNIX_EPOCH);
            find(&status.conditions, "Ready").unwrap().message.clone()
        };
        assert!(
            message(false).contains("ingest-default-2: cameras are moved"),
            "{}",
            message(false)
        );
        let stuck = message(true);
        assert!(
            stuck.contains("marsad.dev/force-scale-down=true") && stuck.contains("no room"),
            "{stuck}"
        );
    }

    #[test]
    fn a_shard_with_recordings_says_until_when_it_stays_and_what_force_costs() {
        let message = |held, recordings: Option<RecordingsVolume>| {
            let mut pool = pool(2);
            pool.spec.mediamtx.recordings = recordings;
            let valid = validate(&pool, &settings()).unwrap();
            let plan = Plan {
                keeping: [("ingest-default-2".to_owned(), held)].into(),
                ..answering()
            };
            let outcome = Outcome::Applied(Box::new(valid), Box::default(), plan, None);
            let status = status(&pool, &outcome, Timestamp::UNIX_EPOCH);
            let ready = find(&status.conditions, "Ready").unwrap();
            assert_eq!(
                (ready.status.as_str(), ready.reason.as_str()),
                ("False", "Draining")
            );
            assert!(ready.message.contains("marsad.dev/force-scale-down=true"));
            ready.message.clone()
        };
        let end = "2026-11-26T14:00:00Z";
        let until = Held::Until(end.parse().unwrap());
        let volume = Some(RecordingsVolume::default());
        let kept = message(until, volume);
        assert!(
            kept.contains(&format!("ingest-default-2: stays for its recordings until {end}")),
            "{kept}"
        );
        assert!(kept.contains("its volume stays"), "{kept}");
        assert!(message(until, None).contains("they are lost"));
        assert!(message(Held::Unknown, None).contains("until it has said"));
    }

    #[test]
    fn too_little_headroom_is_said_and_keeps_nobody_from_being_ready() {
        let outcome = with_plan(applied(2, 2, 2), answering(), false);
        let status = status(&pool(2), &outcome, Timestamp::UNIX_EPOCH);
        let headroom = find(&status.conditions, "Headroom").unwrap();
        assert_eq!(
            (headroom.status.as_str(), headroom.reason.as_str()),
            ("False", "TooLittle")
        );
        assert!(
            headroom.message.contains("kubectl scale ipool default"),
            "{}",
            headroom.message
        );
        assert!(is_true(&status.conditions, "Ready"));
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
        let other = Invalid::OtherVolumes {
            set: "ingest-default".into(),
            has: "none".into(),
        };
        let written = [
            ("serves", pool(2), applied(2, 2, 2)),
            ("not every pod serves", pool(2), applied(2, 1, 2)),
            ("the pods have not heard of the edit", pool(2), applied(2, 2, 1)),
            (
                "cameras leave a shard first",
                pool(2),
                with_plan(applied(3, 3, 2), draining(false), true),
            ),
            (
                "recordings keep a shard",
                pool(2),
                with_plan(applied(3, 3, 2), keeping(), true),
            ),
            (
                "too little headroom",
                pool(2),
                with_plan(applied(2, 2, 2), answering(), false),
            ),
            ("in another namespace", elsewhere, Outcome::Refused(refused)),
            ("the shards keep other volumes", pool(2), Outcome::Refused(other)),
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
