//! What may be done to a pool's pods now, so that no picture is broken for a plan: a shard is emptied before it goes, is restarted, or
//! its node is drained (contracts.md 10). Pure.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::fleet::{Held, PoolSurvey, ShardSurvey};

/// A pod of the pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PodSeen {
    /// Its number in the set.
    pub ordinal: i32,
    /// Its name, which is the shard's.
    pub name: String,
    /// It runs what the set said before.
    pub outdated: bool,
    /// Its node takes no new pods: it is to be drained.
    pub cordoned: bool,
    /// It has run: one that never has, for want of a node or of an image, has recorded nothing.
    pub ran: bool,
}

/// What is known.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    /// `spec.replicas`.
    pub wanted: i32,
    /// Shards go at once, with whatever they have.
    pub force: bool,
    /// What the set was told last; none before it is there.
    pub told: Option<i32>,
    /// The pods.
    pub pods: Vec<PodSeen>,
    /// The shards; none before the first look.
    pub survey: Option<PoolSurvey>,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Plan {
    /// Replicas that the set is told.
    pub replicas: i32,
    /// Pods from this number on may be brought to the set's present template.
    pub partition: i32,
    /// Pods that may be evicted at a time.
    pub evictable: i32,
    /// Shards that take nobody new and whose cameras are moved.
    pub leaving: HashSet<String>,
    /// Shards that are to go and still have cameras, in the order of their names.
    pub draining: BTreeSet<String>,
    /// Shards that are to go, have no cameras any more, and hold recordings or have not said that they hold none.
    pub keeping: BTreeMap<String, Held>,
    /// Every shard that is wanted answers.
    pub serving: bool,
    /// One that is wanted has not answered for long.
    pub lost: bool,
    /// Those of them for whose cameras there is no room elsewhere.
    pub stuck: BTreeSet<String>,
}

/// Decides.
pub(crate) fn plan(facts: &Facts) -> Plan {
    let of = |pod: &PodSeen| -> ShardSurvey {
        let survey = facts.survey.as_ref();
        // A shard that nobody has looked at may have anything.
        survey
            .and_then(|survey| survey.shards.get(&pod.name).copied())
            .unwrap_or_default()
    };
    let told = facts.told.unwrap_or(facts.wanted);
    let mut plan = Plan {
        replicas: facts.wanted.max(0),
        partition: told.max(facts.wanted).max(0),
        evictable: 0,
        ..Plan::default()
    };
    let surplus = facts.pods.iter().filter(|pod| pod.ordinal >= facts.wanted);
    if !facts.force {
        for pod in surplus {
            plan.leaving.insert(pod.name.clone());
            let shard = of(pod);
            let holds = pod.ran && shard.held != Held::Nothing;
            if !shard.empty {
                plan.draining.insert(pod.name.clone());
            } else if holds {
                plan.keeping.insert(pod.name.clone(), shard.held);
            }
            if !shard.empty || holds {
                plan.replicas = plan.replicas.max(pod.ordinal.saturating_add(1).min(told));
            }
            if shard.stuck {
                plan.stuck.insert(pod.name.clone());
            }
        }
    }
    let wanted = || facts.pods.iter().filter(|pod| pod.ordinal < facts.wanted);
    plan.serving = i32::try_from(wanted().count()).is_ok_and(|count| count >= facts.wanted)
        && wanted().all(|pod| of(pod).serves);
    plan.lost = wanted().any(|pod| of(pod).lost);
    let cordoned: Vec<&PodSeen> = facts.pods.iter().filter(|pod| pod.cordoned).collect();
    plan.leaving.extend(cordoned.iter().map(|pod| pod.name.clone()));
    let may_go = |pod: &PodSeen| of(pod).empty || of(pod).stuck;
    // With one shard there is nowhere to go, and a node must still be drained.
    if facts.wanted <= 1 || (!cordoned.is_empty() && cordoned.iter().all(|pod| may_go(pod))) {
        plan.evictable = 1;
    }
    let staying = || {
        facts
            .pods
            .iter()
            .filter(|pod| pod.ordinal < facts.wanted && !pod.cordoned)
    };
    if let Some(next) = staying().filter(|pod| pod.outdated).max_by_key(|pod| pod.ordinal) {
        let others_serve = facts.wanted <= 1
            || staying()
                .filter(|pod| pod.name != next.name)
                .all(|pod| of(pod).serves);
        // One that does not serve has nothing to lose: an edit that mends it must get through.
        let broken = !of(next).serves;
        if others_serve || broken {
            plan.leaving.insert(next.name.clone());
            if may_go(next) || broken || facts.wanted <= 1 {
                plan.partition = next.ordinal;
            }
        }
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pod(ordinal: i32) -> PodSeen {
        PodSeen {
            ordinal,
            name: format!("s-{ordinal}"),
            outdated: false,
            cordoned: false,
            ran: true,
        }
    }

    const BUSY: ShardSurvey = ShardSurvey {
        serves: true,
        lost: false,
        empty: false,
        stuck: false,
        held: Held::Nothing,
    };
    const EMPTY: ShardSurvey = ShardSurvey { empty: true, ..BUSY };
    const STUCK: ShardSurvey = ShardSurvey { stuck: true, ..BUSY };
    const SILENT: ShardSurvey = ShardSurvey {
        serves: false,
        ..BUSY
    };

    fn facts(wanted: i32, shards: &[ShardSurvey]) -> Facts {
        let count = i32::try_from(shards.len()).unwrap();
        Facts {
            wanted,
            force: false,
            told: Some(count),
            pods: (0..count).map(pod).collect(),
            survey: Some(PoolSurvey {
                headroom: true,
                shards: (0..count)
                    .map(|n| format!("s-{n}"))
                    .zip(shards.iter().copied())
                    .collect(),
            }),
        }
    }

    fn leaving(plan: &Plan) -> Vec<&str> {
        let mut all: Vec<&str> = plan.leaving.iter().map(String::as_str).collect();
        all.sort_unstable();
        all
    }

    #[test]
    fn a_new_pool_and_a_larger_one_are_made_at_once() {
        let new = Facts {
            wanted: 3,
            ..Facts::default()
        };
        assert_eq!(plan(&new).replicas, 3);
        let grown = plan(&facts(5, &[BUSY, BUSY]));
        assert_eq!((grown.replicas, grown.leaving.len(), grown.evictable), (5, 0, 0));
    }

    #[test]
    fn a_smaller_one_when_the_shards_that_go_are_empty() {
        let begun = plan(&facts(1, &[BUSY, BUSY, BUSY]));
        assert_eq!((begun.replicas, leaving(&begun)), (3, vec!["s-1", "s-2"]));
        assert_eq!(begun.draining.len(), 2);
        assert_eq!(
            plan(&facts(1, &[BUSY, BUSY, EMPTY])).replicas,
            2,
            "the last ones first"
        );
        assert_eq!(plan(&facts(1, &[BUSY, EMPTY, BUSY])).replicas, 3);
        let done = plan(&facts(1, &[BUSY, EMPTY, EMPTY]));
        assert_eq!((done.replicas, done.draining.len()), (1, 0));
        let full = plan(&facts(1, &[BUSY, STUCK]));
        assert_eq!((full.replicas, full.stuck.len()), (2, 1));
        let forced = plan(&Facts {
            force: true,
            ..facts(1, &[BUSY, STUCK])
        });
        assert_eq!((forced.replicas, forced.leaving.len()), (1, 0));
        // Before the first look nobody knows what a shard has.
        assert_eq!(
            plan(&Facts {
                survey: None,
                ..facts(1, &[BUSY, EMPTY])
            })
            .replicas,
            2
        );
    }

    #[test]
    fn a_shard_that_holds_recordings_stays_until_they_are_past_their_retention_or_it_is_forced() {
        let until = Held::Until(jiff::Timestamp::UNIX_EPOCH);
        for held in [until, Held::Unknown] {
            let shard = ShardSurvey { held, ..EMPTY };
            let waits = plan(&facts(1, &[BUSY, shard, EMPTY]));
            assert_eq!((waits.replicas, leaving(&waits)), (2, vec!["s-1", "s-2"]));
            assert_eq!(waits.keeping, BTreeMap::from([("s-1".to_owned(), held)]));
            assert!(waits.draining.is_empty());
            let forced = plan(&Facts {
                force: true,
                ..facts(1, &[BUSY, shard])
            });
            assert_eq!((forced.replicas, forced.keeping.len()), (1, 0));
            let mut never = facts(1, &[BUSY, shard]);
            never.pods[1].ran = false;
            assert_eq!(plan(&never).replicas, 1, "it has recorded nothing");
            assert!(plan(&facts(2, &[BUSY, shard])).keeping.is_empty(), "it is wanted");
        }
        let cameras_first = plan(&facts(1, &[BUSY, ShardSurvey { held: until, ..BUSY }]));
        assert_eq!(
            (cameras_first.draining.len(), cameras_first.keeping.len()),
            (1, 0)
        );
    }

    #[test]
    fn a_pool_serves_when_each_shard_that_is_wanted_answers() {
        assert!(plan(&facts(2, &[BUSY, EMPTY])).serving);
        assert!(!plan(&facts(2, &[BUSY, SILENT])).serving);
        assert!(
            !plan(&facts(3, &[BUSY, BUSY])).serving,
            "a pod that is not there yet"
        );
        assert!(plan(&facts(1, &[BUSY, SILENT])).serving, "one that goes");
        let lost = ShardSurvey { lost: true, ..SILENT };
        assert!(plan(&facts(2, &[BUSY, lost])).lost && !plan(&facts(1, &[BUSY, lost])).lost);
    }

    #[test]
    fn a_rollout_empties_and_restarts_one_shard_at_a_time_from_the_last() {
        let outdated = |shards: &[ShardSurvey], which: &[usize]| {
            let mut facts = facts(i32::try_from(shards.len()).unwrap(), shards);
            which.iter().for_each(|n| facts.pods[*n].outdated = true);
            plan(&facts)
        };
        let begun = outdated(&[BUSY, BUSY], &[0, 1]);
        assert_eq!((leaving(&begun), begun.partition), (vec!["s-1"], 2));
        assert_eq!(outdated(&[BUSY, EMPTY], &[0, 1]).partition, 1);
        let waits = outdated(&[BUSY, SILENT], &[0]);
        assert_eq!(
            (waits.partition, waits.leaving.len()),
            (2, 0),
            "the restarted one is waited for"
        );
        assert_eq!(outdated(&[EMPTY, BUSY], &[0]).partition, 0);
        assert_eq!(
            outdated(&[STUCK, BUSY], &[0]).partition,
            0,
            "no room elsewhere: it is broken, not hung up"
        );
        assert_eq!(outdated(&[BUSY], &[0]).partition, 0, "the only one");
        assert_eq!(
            outdated(&[BUSY, SILENT], &[0, 1]).partition,
            1,
            "an edit that mends a broken one gets through"
        );
        assert_eq!(outdated(&[BUSY, BUSY], &[]).partition, 2);
    }

    #[test]
    fn a_node_is_drained_when_its_shards_are_empty() {
        let cordoned = |shard: ShardSurvey| {
            let mut facts = facts(2, &[shard, BUSY]);
            facts.pods[0].cordoned = true;
            plan(&facts)
        };
        assert_eq!(
            (leaving(&cordoned(BUSY)), cordoned(BUSY).evictable),
            (vec!["s-0"], 0)
        );
        assert_eq!((cordoned(EMPTY).evictable, cordoned(STUCK).evictable), (1, 1));
        assert_eq!(
            plan(&facts(2, &[BUSY, BUSY])).evictable,
            0,
            "nobody is evicted without a word"
        );
        assert_eq!(plan(&facts(1, &[BUSY])).evictable, 1, "nowhere to go");
    }

    proptest! {
        /// Without force no shard goes that has cameras or recordings, whatever else is so; and never more shards than were told before
        /// or are wanted.
        #[test]
        fn no_shard_goes_with_its_cameras_or_recordings(wanted in 0..6_i32, shards in prop::collection::vec((any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), 0..3_usize, any::<bool>()), 0..6)) {
            let helds = [Held::Nothing, Held::Unknown, Held::Until(jiff::Timestamp::UNIX_EPOCH)];
            let surveys: Vec<ShardSurvey> = shards.iter().map(|&(serves, empty, _, _, held, _)| ShardSurvey { serves, lost: false, empty, stuck: !empty && !serves, held: helds[held] }).collect();
            let mut facts = facts(wanted, &surveys);
            for (pod, &(_, _, outdated, cordoned, _, ran)) in facts.pods.iter_mut().zip(&shards) {
                pod.outdated = outdated;
                pod.cordoned = cordoned;
                pod.ran = ran;
            }
            let plan = plan(&facts);
            let told = facts.told.unwrap();
            prop_assert!(plan.replicas >= wanted && plan.replicas <= told.max(wanted));
            for (pod, survey) in facts.pods.iter().zip(&surveys) {
                prop_assert!(pod.ordinal < plan.replicas || (survey.empty && (survey.held == Held::Nothing || !pod.ran)));
            }
            // At most one shard that serves and has cameras is restarted, and only when it is stuck or the only one.
            let restarted = facts.pods.iter().zip(&surveys).filter(|(pod, _)| pod.outdated && !pod.cordoned && pod.ordinal >= plan.partition && pod.ordinal < wanted);
            for (_, survey) in restarted {
                prop_assert!(survey.empty || survey.stuck || !survey.serves || wanted <= 1);
            }
        }
    }
}
