//! Where cameras have been put, and how much each shard has been given. Counted as it changes: a count at each decision would
//! make a cold start of ten thousand cameras quadratic.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

/// Where one camera is.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) shard: Arc<str>,
    /// It takes so many there.
    pub(super) paths: usize,
    /// The pod that it was on is gone. Another may bear the name already, with nothing on it.
    pub(super) bereft: bool,
    /// It is on its way to another shard, and is on both until its picture is there.
    pub(super) way: Option<Box<Way>>,
    /// When it was last tried to be moved in vain.
    pub(super) stayed: Option<Instant>,
}

/// A move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) to: String,
    pub(super) since: Instant,
}

impl Place {
    /// On `shard`, and not on its way.
    pub(super) fn on(shard: &str, paths: usize) -> Self {
        Self {
            shard: shard.into(),
            paths,
            bereft: false,
            way: None,
            stayed: None,
        }
    }

    /// The shards that have it.
    fn shards(&self) -> impl Iterator<Item = &str> {
        let to = self.way.as_ref().map(|way| way.to.as_str());
        let shard = self.shard.as_ref();
        std::iter::once(shard).chain(to.filter(move |to| *to != shard))
    }

    /// Whether `shard` has it, or is about to.
    pub(super) fn is_at(&self, shard: &str) -> bool {
        self.shards().any(|at| at == shard)
    }
}

/// Camera (namespace/name) → its place.
#[derive(Debug, Default)]
pub(super) struct Places {
    by_camera: HashMap<String, Place>,
    /// Shard → paths; its name is shared by all who are there.
    paths_of: HashMap<Arc<str>, usize>,
}

impl Places {
    pub(super) fn get(&self, camera: &str) -> Option<&Place> {
        self.by_camera.get(camera)
    }

    pub(super) fn insert(&mut self, camera: String, mut place: Place) {
        for shard in place.shards() {
            match self.paths_of.get_mut(shard) {
                Some(paths) => *paths += place.paths,
                None => {
                    self.paths_of.insert(shard.into(), place.paths);
                }
            }
        }
        if let Some((name, _)) = self.paths_of.get_key_value(&place.shard) {
            place.shard = name.clone();
        }
        let before = self.by_camera.insert(camera, place);
        self.give_back(before.as_ref());
    }

    /// Changes where `camera` is; false when it is nowhere.
    pub(super) fn change(&mut self, camera: &str, change: impl FnOnce(&mut Place)) -> bool {
        let Some(mut place) = self.get(camera).cloned() else {
            return false;
        };
        change(&mut place);
        self.insert(camera.to_owned(), place);
        true
    }

    /// Whether it was anywhere.
    pub(super) fn remove(&mut self, camera: &str) -> bool {
        let before = self.by_camera.remove(camera);
        self.give_back(before.as_ref());
        before.is_some()
    }

    /// Forgets the cameras that `stays` does not name.
    pub(super) fn retain(&mut self, stays: impl Fn(&str) -> bool) {
        let paths_of = &mut self.paths_of;
        self.by_camera.retain(|camera, place| {
            let stays = stays(camera);
            if !stays {
                subtract(paths_of, place);
            }
            stays
        });
    }

    /// The pod of `shard` is gone.
    pub(super) fn bereave(&mut self, shard: &str) {
        let places = self.by_camera.values_mut().filter(|place| *place.shard == *shard);
        places.for_each(|place| place.bereft = true);
    }

    /// Paths that `shard` has been given for other cameras than `camera`.
    pub(super) fn load(&self, shard: &str, camera: &str) -> usize {
        let own = self.get(camera).filter(|place| place.is_at(shard));
        self.of(shard).saturating_sub(own.map_or(0, |place| place.paths))
    }

    /// Paths that `shard` has been given.
    pub(super) fn of(&self, shard: &str) -> usize {
        self.paths_of.get(shard).copied().unwrap_or_default()
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Place)> {
        self.by_camera
            .iter()
            .map(|(camera, place)| (camera.as_str(), place))
    }

    /// How many cameras are anywhere.
    pub(super) fn len(&self) -> usize {
        self.by_camera.len()
    }

    fn give_back(&mut self, place: Option<&Place>) {
        if let Some(place) = place {
            subtract(&mut self.paths_of, place);
        }
    }
}

impl FromIterator<(String, Place)> for Places {
    fn from_iter<T: IntoIterator<Item = (String, Place)>>(all: T) -> Self {
        let mut places = Self::default();
        for (camera, place) in all {
            places.insert(camera, place);
        }
        places
    }
}

fn subtract(paths_of: &mut HashMap<Arc<str>, usize>, place: &Place) {
    for shard in place.shards() {
        if let Some(paths) = paths_of.get_mut(shard) {
            *paths = paths.saturating_sub(place.paths);
            if *paths == 0 {
                paths_of.remove(shard);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever is put, moved and taken away: the counts are those of the table.
        #[test]
        fn counts_are_those_of_the_table(steps in prop::collection::vec((0..6_usize, 0..4_usize, 0..4_usize), 0..60)) {
            let mut places = Places::default();
            for (step, (camera, shard, what)) in steps.into_iter().enumerate() {
                let camera = format!("a/{camera}");
                match what {
                    0 => { places.remove(&camera); }
                    1 => places.retain(|other| other != camera),
                    paths => {
                        let to = format!("s-{}", step % 4);
                        let way = (step % 3 == 0).then(|| Box::new(Way { to, since: Instant::now() }));
                        places.insert(camera, Place { way, ..Place::on(&format!("s-{shard}"), paths) });
                    }
                }
                for shard in 0..4 {
                    let shard = format!("s-{shard}");
                    for but in 0..6 {
                        let but = format!("a/{but}");
                        let others = places.by_camera.iter().filter(|(other, place)| **other != but && place.is_at(&shard));
                        prop_assert_eq!(places.load(&shard, &but), others.map(|(_, place)| place.paths).sum::<usize>());
                    }
                }
                prop_assert!(places.paths_of.values().all(|paths| *paths > 0), "a shard that has nothing is not remembered");
            }
        }
    }
}
