//! What a MediaMTX said at the last poll, and what of it is news. Pure; the clock is given.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use marsad_mediamtx::{PathConfig, PathState, Track};

/// Bytes that stand still for this long are a picture that stands still, even while the connection is open;
/// MediaMTX itself gives up after `readTimeout`, 10 s (research/whip-lab.md §2a).
const STALLED_AFTER: Duration = Duration::from_secs(4);

/// One shard's paths.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// When its MediaMTX started, as it says; changes with every restart. Empty: never answered.
    pub started: String,
    /// Its configured paths; the same table as before when nothing of it was read anew.
    pub configs: Arc<ByName<PathConfig>>,
    /// Their state.
    pub paths: ByName<PathSeen>,
}

/// Paths in the order of their names: of some hundreds one is found as soon as in a hash table, which would have each name a second
/// time, and room to spare.
#[derive(Debug, Clone)]
pub struct ByName<T>(Box<[T]>);

/// What is kept by its name.
pub trait Named {
    /// The path's name.
    fn name(&self) -> &str;
}

impl Named for PathConfig {
    fn name(&self) -> &str {
        &self.name
    }
}

impl Named for PathSeen {
    fn name(&self) -> &str {
        &self.name
    }
}

impl<T: Named> ByName<T> {
    /// The one of this name.
    pub fn get(&self, name: &str) -> Option<&T> {
        let at = self.0.binary_search_by(|path| path.name().cmp(name)).ok()?;
        self.0.get(at)
    }

    /// Whether there is one.
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// All of them.
    pub fn iter(&self) -> std::slice::Iter<'_, T> {
        self.0.iter()
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.iter().map(T::name)
    }
}

impl<T> Default for ByName<T> {
    fn default() -> Self {
        Self(Box::default())
    }
}

/// Of two with one name, as a list in pages may have them, one stays.
impl<T: Named> FromIterator<T> for ByName<T> {
    fn from_iter<I: IntoIterator<Item = T>>(paths: I) -> Self {
        let mut paths: Vec<T> = paths.into_iter().collect();
        paths.sort_by(|one, other| one.name().cmp(other.name()));
        paths.dedup_by(|one, other| one.name() == other.name());
        Self(paths.into())
    }
}

/// One path.
#[derive(Debug, Clone, PartialEq)]
pub struct PathSeen {
    /// Its name.
    pub name: Box<str>,
    /// The source is connected and has told its tracks.
    pub available: bool,
    /// Since when, as MediaMTX says: changes each time the source comes back.
    pub available_time: Option<Box<str>>,
    /// Its tracks; one list for all paths of the shard that have the same.
    pub tracks: Arc<[Track]>,
    /// Bytes keep coming.
    pub flowing: bool,
    /// Bytes a second, over about [`RATE_OVER`].
    pub rate: f64,
    bytes: u64,
    moved: Instant,
    polled: Instant,
}

/// A rate is a mean over this time, so that key frames do not show in it.
const RATE_OVER: Duration = Duration::from_secs(10);

impl PathSeen {
    /// The rate with what has come since the last poll: an exponentially weighted mean.
    fn rate_at(&self, bytes: u64, now: Instant) -> f64 {
        let seconds = now.duration_since(self.polled).as_secs_f64();
        if seconds <= 0.0 {
            return self.rate;
        }
        let fresh = bytes.saturating_sub(self.bytes) as f64 / seconds;
        let keep = if self.rate > 0.0 {
            (-seconds / RATE_OVER.as_secs_f64()).exp()
        } else {
            0.0
        };
        self.rate * keep + fresh * (1.0 - keep)
    }
}

impl Seen {
    /// The next picture, from a poll at `now`.
    pub fn next(
        &self,
        started: String,
        configs: Arc<ByName<PathConfig>>,
        states: Vec<PathState>,
        now: Instant,
    ) -> Self {
        let restarted = started != self.started;
        let mut lists = Vec::new();
        let paths = states
            .into_iter()
            .map(|state| {
                let before = self.paths.get(&state.name).filter(|before| {
                    !restarted
                        && before.available_time.as_deref() == state.available_time.as_deref()
                        && before.bytes <= state.inbound_bytes
                });
                let moved = before
                    .filter(|before| before.bytes == state.inbound_bytes)
                    .map_or(now, |before| before.moved);
                let rate = before.map_or(0.0, |before| before.rate_at(state.inbound_bytes, now));
                PathSeen {
                    name: state.name.into(),
                    available: state.available,
                    available_time: state.available_time.map(Box::from),
                    tracks: once(&mut lists, state.tracks),
                    flowing: state.available && now.duration_since(moved) < STALLED_AFTER,
                    rate,
                    bytes: state.inbound_bytes,
                    moved,
                    polled: now,
                }
            })
            .collect();
        Self {
            started,
            configs,
            paths,
        }
    }

    /// Names of paths that mean something else in `next`: come, gone, stalled, other tracks, configured anew. Bytes alone are no news.
    pub fn news(&self, next: &Self) -> BTreeSet<String> {
        let mut names: BTreeSet<String> = differing(&self.paths, &next.paths, path_meaning).collect();
        if !Arc::ptr_eq(&self.configs, &next.configs) {
            names.extend(differing(&self.configs, &next.configs, config_meaning));
        }
        names
    }
}

/// `tracks`, or the same ones of `lists`, which hold what a shard's paths have: few different ones.
fn once(lists: &mut Vec<Arc<[Track]>>, tracks: Vec<Track>) -> Arc<[Track]> {
    if let Some(known) = lists.iter().find(|known| ***known == *tracks) {
        return known.clone();
    }
    let tracks: Arc<[Track]> = tracks.into();
    lists.push(tracks.clone());
    tracks
}

/// Names that are there before or now only, or mean something else now.
fn differing<'a, T: Named, M: PartialEq>(
    before: &'a ByName<T>,
    now: &'a ByName<T>,
    meaning: fn(&'a T) -> M,
) -> impl Iterator<Item = String> {
    let changed = now
        .iter()
        .filter(move |path| before.get(path.name()).map(meaning) != Some(meaning(path)));
    let gone = before.iter().filter(|path| !now.contains(path.name()));
    changed.chain(gone).map(|path| path.name().to_owned())
}

/// What matters of a path's configuration. Its `forward` is another writer's business.
fn config_meaning(config: &PathConfig) -> (&str, &str, bool, &str) {
    (
        &config.source,
        &config.rtsp_transport,
        config.record,
        &config.source_fingerprint,
    )
}

/// What matters of a path's state: its bytes are nobody's business.
fn path_meaning(path: &PathSeen) -> (bool, bool, Option<&str>, &[Track]) {
    (
        path.available,
        path.flowing,
        path.available_time.as_deref(),
        &path.tracks,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(bytes: u64, since: Option<&str>) -> PathState {
        PathState {
            name: "police/a/main".into(),
            available: since.is_some(),
            available_time: since.map(str::to_owned),
            inbound_bytes: bytes,
            ..PathState::default()
        }
    }

    fn poll(before: &Seen, state: PathState, now: Instant) -> Seen {
        before.next("t0".into(), Arc::default(), vec![state], now)
    }

    #[test]
    fn bytes_that_stand_still_are_a_stall_and_news_once() {
        let start = Instant::now();
        let one = poll(&Seen::default(), state(10, Some("t")), start);
        assert!(one.paths.get("police/a/main").unwrap().flowing);
        let still = poll(&one, state(10, Some("t")), start + Duration::from_secs(3));
        assert!(still.paths.get("police/a/main").unwrap().flowing && one.news(&still).is_empty());
        let stalled = poll(&still, state(10, Some("t")), start + Duration::from_secs(4));
        assert!(!stalled.paths.get("police/a/main").unwrap().flowing);
        assert_eq!(still.news(&stalled).len(), 1);
        let again = poll(&stalled, state(11, Some("t")), start + Duration::from_secs(5));
        assert!(again.paths.get("police/a/main").unwrap().flowing);
    }

    #[test]
    fn more_bytes_are_no_news_but_a_return_is() {
        let start = Instant::now();
        let one = poll(&Seen::default(), state(10, Some("t")), start);
        let two = poll(&one, state(99, Some("t")), start + Duration::from_secs(1));
        assert!(one.news(&two).is_empty());
        let back = poll(&two, state(1, Some("t2")), start + Duration::from_secs(9));
        assert!(back.paths.get("police/a/main").unwrap().flowing);
        assert_eq!(two.news(&back).into_iter().collect::<Vec<_>>(), ["police/a/main"]);
    }

    #[test]
    fn r1_1_28_a_rate_is_a_mean_that_key_frames_do_not_show_in() {
        let start = Instant::now();
        let mut seen = poll(&Seen::default(), state(0, Some("t")), start);
        let mut bytes = 0;
        for second in 1..=60 {
            // A key frame of 200 kB every fourth second.
            bytes += if second % 4 == 0 { 250_000 } else { 50_000 };
            seen = poll(
                &seen,
                state(bytes, Some("t")),
                start + Duration::from_secs(second),
            );
            let rate = seen.paths.get("police/a/main").unwrap().rate;
            assert!(
                second < 20 || (85_000.0..115_000.0).contains(&rate),
                "{second}: {rate}"
            );
        }
        let back = poll(&seen, state(10, Some("t2")), start + Duration::from_secs(61));
        assert!(
            back.paths.get("police/a/main").unwrap().rate < 1.0,
            "another connection counts anew"
        );
    }

    #[test]
    fn only_what_a_path_is_configured_to_be_is_news_of_its_configuration() {
        let table = |config: PathConfig| {
            let name = "police/a/main".to_owned();
            Arc::new(ByName::from_iter([PathConfig { name, ..config }]))
        };
        let seen = |config| Seen {
            configs: table(config),
            ..Seen::default()
        };
        let plain = PathConfig::default();
        let recorded = PathConfig {
            record: true,
            ..plain.clone()
        };
        let kept_longer = PathConfig {
            record_delete_after: "3d".into(),
            ..plain.clone()
        };
        assert_eq!(seen(plain.clone()).news(&seen(recorded)).len(), 1);
        assert!(seen(plain.clone()).news(&seen(kept_longer)).is_empty());
        assert_eq!(seen(plain.clone()).news(&Seen::default()).len(), 1);
        assert_eq!(Seen::default().news(&seen(plain)).len(), 1);
    }

    #[test]
    fn a_path_that_vanishes_with_a_restart_is_news() {
        let start = Instant::now();
        let one = poll(&Seen::default(), state(10, Some("t")), start);
        let restarted = one.next("t1".into(), Arc::default(), vec![], start);
        assert_eq!(one.news(&restarted).len(), 1);
    }
}
