//! Which cameras are moved while their shards still serve: from a shard that is to go, and, slowly, to one that has come back empty.
//! Made before they are broken (contracts.md 10). Pure.

use super::choose::{Candidate, Choice, choose};

/// Moves at a time: each is a second connection to its camera for some seconds, and work for both shards.
const AT_ONCE: usize = 8;
/// A shard must have so many paths more than another before cameras are moved for balance: a move costs more than a small difference.
const UNEVEN: usize = 4;

/// A shard and what is on it.
#[derive(Debug, Clone)]
pub(super) struct Loaded {
    /// As a place for others.
    pub place: Candidate,
    /// Who is on it.
    pub cameras: Vec<Movable>,
}

/// A camera on a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Movable {
    /// Namespace/name.
    pub camera: String,
    /// Paths that it takes.
    pub paths: usize,
    /// It is on its way already.
    pub moving: bool,
    /// Somebody watches it, or it is recorded: not moved without need.
    pub in_use: bool,
    /// It was tried to be moved a short while ago, in vain.
    pub stayed: bool,
}

/// What is to be done with one pool.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Moves {
    /// Camera, and the shard that it goes to.
    pub begin: Vec<(String, String)>,
    /// Shards that are to go and whose cameras find no room elsewhere.
    pub stuck: Vec<String>,
}

/// Plans the next moves of one pool. `balance`: it is time for one for balance's sake.
pub(super) fn plan(mut shards: Vec<Loaded>, balance: bool) -> Moves {
    let mut moves = Moves::default();
    let all = shards.iter().flat_map(|shard| &shard.cameras);
    let mut left = AT_ONCE.saturating_sub(all.filter(|camera| camera.moving).count());
    shards.sort_by(|a, b| a.place.name.cmp(&b.place.name));
    let mut places: Vec<Candidate> = shards.iter().map(|shard| shard.place.clone()).collect();
    for shard in shards.iter().filter(|shard| shard.place.leaving) {
        let waiting = shard.cameras.iter().filter(|camera| !camera.moving);
        let mut found = waiting.clone().next().is_none();
        for camera in waiting {
            // Somebody who was here may not come back here: the shard is no candidate, being one that leaves.
            let Choice::On(to) = choose(&camera.camera, None, camera.paths, &places) else {
                continue;
            };
            found = true;
            if left == 0 {
                break;
            }
            left -= 1;
            give(&mut places, &to, camera.paths);
            moves.begin.push((camera.camera.clone(), to));
        }
        let moving = shard.cameras.iter().any(|camera| camera.moving);
        if !found && !moving {
            moves.stuck.push(shard.place.name.clone());
        }
    }
    if balance && left == AT_ONCE && moves.begin.is_empty() {
        moves.begin.extend(one_for_balance(&shards));
    }
    moves
}

fn give(places: &mut [Candidate], shard: &str, paths: usize) {
    if let Some(place) = places.iter_mut().find(|place| place.name == shard) {
        place.load = place.load.saturating_add(paths);
    }
}

/// One camera from the fullest shard to the emptiest, when they differ by much; never one that is watched or recorded.
fn one_for_balance(shards: &[Loaded]) -> Option<(String, String)> {
    let staying = || shards.iter().filter(|shard| shard.place.has_room(0));
    let (full, empty) = (
        staying().max_by_key(|shard| shard.place.load)?,
        staying().min_by_key(|shard| shard.place.load)?,
    );
    // A quarter of what the fuller one has: hashing a hundred cameras to each of six shards leaves differences of up to a fifth, and to
    // even those out would break and make dozens of connections after every start.
    let enough = UNEVEN.max(full.place.load / 4);
    let idle = |camera: &&Movable| !camera.in_use && !camera.moving && !camera.stayed;
    let camera = full
        .cameras
        .iter()
        .filter(idle)
        .min_by(|a, b| a.camera.cmp(&b.camera))?;
    let uneven = full.place.load
        >= empty
            .place
            .load
            .saturating_add(camera.paths)
            .saturating_add(enough);
    (uneven && empty.place.has_room(camera.paths)).then(|| (camera.camera.clone(), empty.place.name.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::Health;
    use proptest::prelude::*;

    fn camera(name: &str) -> Movable {
        Movable {
            camera: format!("a/{name}"),
            paths: 1,
            moving: false,
            in_use: false,
            stayed: false,
        }
    }

    fn shard(number: usize, cameras: usize, capacity: usize) -> Loaded {
        Loaded {
            place: Candidate {
                name: format!("s-{number}"),
                health: Health::Usable,
                leaving: false,
                load: cameras,
                capacity,
            },
            cameras: (0..cameras).map(|n| camera(&format!("{number}-{n}"))).collect(),
        }
    }

    fn leaving(mut shard: Loaded) -> Loaded {
        shard.place.leaving = true;
        shard
    }

    #[test]
    fn a_shard_that_is_to_go_is_emptied_some_at_a_time() {
        let moves = plan(vec![shard(0, 5, 100), leaving(shard(1, 20, 100))], false);
        assert_eq!(moves.begin.len(), AT_ONCE);
        assert!(
            moves
                .begin
                .iter()
                .all(|(camera, to)| camera.starts_with("a/1-") && to == "s-0")
        );
        assert!(moves.stuck.is_empty());
        let mut busy = leaving(shard(1, 20, 100));
        busy.cameras
            .iter_mut()
            .take(AT_ONCE)
            .for_each(|camera| camera.moving = true);
        assert_eq!(plan(vec![shard(0, 5, 100), busy], false), Moves::default());
    }

    #[test]
    fn watched_and_recorded_cameras_leave_too_when_their_shard_goes() {
        let mut going = leaving(shard(1, 1, 100));
        going.cameras[0].in_use = true;
        assert_eq!(plan(vec![shard(0, 0, 100), going], false).begin.len(), 1);
    }

    #[test]
    fn without_room_a_shard_is_stuck_and_an_empty_one_is_not() {
        let full = plan(vec![shard(0, 5, 5), leaving(shard(1, 2, 5))], false);
        assert_eq!((full.begin.len(), full.stuck), (0, vec!["s-1".to_owned()]));
        assert_eq!(
            plan(vec![leaving(shard(0, 2, 5))], false).stuck,
            ["s-0"],
            "the only one"
        );
        assert!(plan(vec![leaving(shard(0, 0, 5))], false).stuck.is_empty());
        let mut gone = shard(0, 0, 5);
        gone.place.health = Health::Lost;
        assert_eq!(plan(vec![gone, leaving(shard(1, 2, 5))], false).stuck, ["s-1"]);
    }

    #[test]
    fn one_that_has_come_back_fills_slowly_and_from_the_fullest() {
        let pool = || vec![shard(0, 50, 100), shard(1, 60, 100), shard(2, 0, 100)];
        assert_eq!(plan(pool(), true).begin, [("a/1-0".to_owned(), "s-2".to_owned())]);
        assert!(plan(pool(), false).begin.is_empty(), "it is not time");
        let mut watched = pool();
        watched[1]
            .cameras
            .iter_mut()
            .for_each(|camera| camera.in_use = true);
        assert!(
            plan(watched, true).begin.is_empty(),
            "nobody who is watched or recorded is moved for balance"
        );
        let mut stubborn = pool();
        stubborn[1].cameras[0].stayed = true;
        assert_eq!(
            plan(stubborn, true).begin,
            [("a/1-1".to_owned(), "s-2".to_owned())]
        );
        let even = vec![shard(0, 50, 100), shard(1, 46, 100)];
        assert!(plan(even, true).begin.is_empty());
    }

    proptest! {
        /// Whatever the pool: nobody is sent where there is no room or to a shard that goes, and no more than some at a time.
        #[test]
        fn moves_are_bounded_and_fit(loads in prop::collection::vec((0..30_usize, any::<bool>(), 0..3_usize), 1..6), capacity in 1..40_usize, balance: bool) {
            let shards: Vec<Loaded> = loads.iter().enumerate().map(|(n, &(load, leaves, health))| {
                let mut shard = shard(n, load, capacity);
                shard.place.leaving = leaves;
                shard.place.health = [Health::Usable, Health::Wavering, Health::Lost][health];
                shard
            }).collect();
            let moves = plan(shards.clone(), balance);
            prop_assert!(moves.begin.len() <= AT_ONCE);
            for shard in &shards {
                let coming = moves.begin.iter().filter(|(_, to)| *to == shard.place.name).count();
                if coming > 0 {
                    prop_assert!(shard.place.health == Health::Usable && !shard.place.leaving);
                    prop_assert!(shard.place.load + coming <= capacity);
                }
            }
        }

        /// Balance comes to an end: with nobody in use a pool is even after as many moves as it has cameras, and then still.
        #[test]
        fn balance_ends(loads in prop::collection::vec(0..30_usize, 2..5)) {
            let mut shards: Vec<Loaded> = loads.iter().enumerate().map(|(n, &load)| shard(n, load, 100)).collect();
            let all: usize = loads.iter().sum();
            for _ in 0..=all {
                let Some((camera, to)) = plan(shards.clone(), true).begin.pop() else { break };
                for shard in &mut shards {
                    let before = shard.cameras.len();
                    shard.cameras.retain(|other| other.camera != camera);
                    shard.place.load -= before - shard.cameras.len();
                }
                let shard = shards.iter_mut().find(|shard| shard.place.name == to).unwrap();
                shard.place.load += 1;
                shard.cameras.push(Movable { camera, paths: 1, moving: false, in_use: false, stayed: false });
            }
            prop_assert!(plan(shards.clone(), true).begin.is_empty());
            let loads = || shards.iter().map(|shard| shard.place.load);
            let most = loads().max().unwrap();
            prop_assert!(most <= loads().min().unwrap() + UNEVEN.max(most / 4) + 1);
        }
    }
}
