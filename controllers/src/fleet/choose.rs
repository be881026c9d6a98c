//! Which shard a camera goes to: sticky; rendezvous hashing for new cameras and for those of a lost shard
//! (contracts.md 10), so that a shard that goes or comes moves only its own share. Pure.

use sha2::{Digest, Sha256};

/// A shard as a place for cameras.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The pod's name.
    pub name: String,
    /// How far it can be counted on.
    pub health: Health,
    /// It is to go, or to be restarted: nobody new is put there.
    pub leaving: bool,
    /// Paths it has been given.
    pub load: usize,
    /// Paths it may be given.
    pub capacity: usize,
}

impl Candidate {
    /// Whether somebody new with `paths` paths may be put there.
    pub(super) fn has_room(&self, paths: usize) -> bool {
        self.health == Health::Usable && !self.leaving && self.load.saturating_add(paths) <= self.capacity
    }
}

/// A shard's health, judged by its MediaMTX, not by the pod's readiness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// Its API answers.
    Usable,
    /// It does not answer, but not for long: its cameras wait for it.
    Wavering,
    /// It has not answered for so long that its cameras are given away, if there is room.
    Lost,
}

/// Where the camera belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// On this shard, which answers.
    On(String),
    /// On this shard, which does not answer: nobody else has room, or it may yet come back.
    Waits(String),
    /// Nowhere: no shard answers, or all are full.
    Nowhere,
}

/// Chooses for `camera` (its namespace/name), which is on `current` now and needs `paths` paths there.
pub fn choose(camera: &str, current: Option<&str>, paths: usize, shards: &[Candidate]) -> Choice {
    let held = current.and_then(|current| shards.iter().find(|shard| shard.name == current));
    match held.map(|shard| shard.health) {
        // Never moved for balance: a move interrupts the picture.
        Some(Health::Usable) => return held.map_or(Choice::Nowhere, |shard| Choice::On(shard.name.clone())),
        Some(Health::Wavering) => {
            return held.map_or(Choice::Nowhere, |shard| Choice::Waits(shard.name.clone()));
        }
        Some(Health::Lost) | None => {}
    }
    let best = shards
        .iter()
        .filter(|shard| shard.has_room(paths))
        .max_by_key(|shard| weight(camera, &shard.name));
    match (best, held) {
        (Some(shard), _) => Choice::On(shard.name.clone()),
        (None, Some(shard)) => Choice::Waits(shard.name.clone()),
        (None, None) => Choice::Nowhere,
    }
}

/// Highest random weight (Thaler and Ravishankar 1998): every process computes the same order from names alone.
fn weight(camera: &str, shard: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(shard.as_bytes());
    hash.update([0]);
    hash.update(camera.as_bytes());
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shards(healths: &[Health]) -> Vec<Candidate> {
        healths
            .iter()
            .enumerate()
            .map(|(n, &health)| Candidate {
                name: format!("ingest-default-{n}"),
                health,
                leaving: false,
                load: 0,
                capacity: 100,
            })
            .collect()
    }

    fn on(choice: Choice) -> String {
        match choice {
            Choice::On(name) => name,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_camera_stays_while_its_shard_answers_even_when_it_is_full() {
        let mut fleet = shards(&[Health::Usable, Health::Usable]);
        fleet[1].load = 500;
        assert_eq!(
            choose("police/a", Some("ingest-default-1"), 1, &fleet),
            Choice::On("ingest-default-1".into())
        );
    }

    #[test]
    fn a_wavering_shard_keeps_its_cameras_a_lost_one_gives_them_away() {
        let wavering = shards(&[Health::Usable, Health::Wavering]);
        assert_eq!(
            choose("police/a", Some("ingest-default-1"), 1, &wavering),
            Choice::Waits("ingest-default-1".into())
        );
        let lost = shards(&[Health::Usable, Health::Lost]);
        assert_eq!(
            choose("police/a", Some("ingest-default-1"), 1, &lost),
            Choice::On("ingest-default-0".into())
        );
    }

    #[test]
    fn the_only_shard_is_waited_for_and_no_shard_is_nowhere() {
        let only = shards(&[Health::Lost]);
        assert_eq!(
            choose("a/b", Some("ingest-default-0"), 1, &only),
            Choice::Waits("ingest-default-0".into())
        );
        assert_eq!(choose("a/b", None, 1, &only), Choice::Nowhere);
        assert_eq!(choose("a/b", None, 1, &[]), Choice::Nowhere);
    }

    #[test]
    fn a_shard_that_is_to_go_keeps_its_cameras_and_takes_nobody_new() {
        let mut fleet = shards(&[Health::Usable, Health::Usable]);
        fleet[1].leaving = true;
        for camera in 0..20 {
            assert_eq!(
                on(choose(&format!("a/{camera}"), None, 1, &fleet)),
                "ingest-default-0"
            );
        }
        assert_eq!(
            on(choose("a/b", Some("ingest-default-1"), 1, &fleet)),
            "ingest-default-1"
        );
    }

    #[test]
    fn a_full_shard_takes_nobody_new_and_a_substream_counts() {
        let mut fleet = shards(&[Health::Usable]);
        fleet[0].load = 99;
        assert_eq!(choose("a/b", None, 2, &fleet), Choice::Nowhere);
        assert_eq!(
            choose("a/b", None, 1, &fleet),
            Choice::On("ingest-default-0".into())
        );
    }

    proptest! {
        #[test]
        fn one_more_shard_takes_only_its_share(cameras in 200_usize..400, count in 2_usize..6) {
            let before = shards(&vec![Health::Usable; count]);
            let after = shards(&vec![Health::Usable; count + 1]);
            let newest = format!("ingest-default-{count}");
            let mut moved = 0;
            for camera in 0..cameras {
                let key = format!("police/cam-{camera}");
                let (old, new) = (on(choose(&key, None, 1, &before)), on(choose(&key, None, 1, &after)));
                if old != new {
                    prop_assert_eq!(&new, &newest);
                    moved += 1;
                }
            }
            // A fair share is cameras / (count + 1); twice that would be a broken hash.
            prop_assert!(moved <= 2 * cameras / (count + 1));
        }

        #[test]
        fn choosing_is_stable(camera in "[a-z]{1,8}/[a-z]{1,8}", healths in proptest::collection::vec(
            prop_oneof![Just(Health::Usable), Just(Health::Wavering), Just(Health::Lost)], 0..5)) {
            let fleet = shards(&healths);
            let first = choose(&camera, None, 1, &fleet);
            if let Choice::On(name) = &first {
                prop_assert_eq!(choose(&camera, Some(name), 1, &fleet), first);
            }
        }
    }
}
