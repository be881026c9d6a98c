//! Which camera's picture is read next. Pure.
//!
//! Each online camera gets a turn a period, and the turns are spread evenly over it: with *n* cameras one begins every period/*n*.
//! A camera that has just come has no picture and is read as soon as the shortest gap allows, but never before one whose turn
//! is overdue: cameras that come and go can't hold up the others. When that read fails, as it does before a shard is known, the next
//! comes soon, then ever later; a camera that has a picture waits for its turn.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

use uuid::Uuid;

/// How reads are paced.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// From one read of a camera to its next.
    pub period: Duration,
    /// Between the beginnings of two reads, while there is something to catch up with. With so many cameras that the even gap is
    /// shorter, that one holds.
    pub shortest_gap: Duration,
    /// From the first failed read of a camera without a picture to the next; doubled with each, up to the period.
    pub retry: Duration,
    /// Reads that may run at one time.
    pub at_once: usize,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Read this camera now. The schedule counts it as running until [`Schedule::ended`].
    Start(Uuid),
    /// Ask again then.
    At(Instant),
    /// Ask again when a camera came or a read ended.
    Idle,
}

#[derive(Debug, Clone, Copy)]
struct Turn {
    came: Instant,
    began: Option<Instant>,
    /// How many reads have failed since it came; none once one was well.
    fresh: Option<u32>,
}

/// Where a camera waits that is not read just now.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// Without a picture; not before then.
    Fresh(Instant),
    /// Read before; when that began.
    Waiting(Instant),
}

/// The turns of the online cameras.
#[derive(Debug)]
pub struct Schedule {
    pace: Pace,
    turns: HashMap<Uuid, Turn>,
    running: HashSet<Uuid>,
    /// As [`Place::Fresh`].
    fresh: BTreeSet<(Instant, Uuid)>,
    /// As [`Place::Waiting`].
    waiting: BTreeSet<(Instant, Uuid)>,
    last: Option<Instant>,
}

impl Schedule {
    /// No camera is online.
    pub fn new(pace: Pace) -> Self {
        Self {
            pace,
            turns: HashMap::new(),
            running: HashSet::new(),
            fresh: BTreeSet::new(),
            waiting: BTreeSet::new(),
            last: None,
        }
    }

    /// The camera is online; one that is known to be stays where it is.
    pub fn online(&mut self, camera: Uuid, now: Instant) {
        if self.turns.contains_key(&camera) {
            return;
        }
        self.turns.insert(
            camera,
            Turn {
                came: now,
                began: None,
                fresh: Some(0),
            },
        );
        self.queue(camera);
    }

    /// The camera is not online any more. A read that runs counts until it ends.
    pub fn away(&mut self, camera: Uuid) {
        if let Some(turn) = self.turns.remove(&camera) {
            self.leave(camera, turn);
        }
    }

    /// The read of the camera has ended: with a picture, or not.
    pub fn ended(&mut self, camera: Uuid, well: bool) {
        if !self.running.remove(&camera) {
            return;
        }
        // A camera that has come back during a read of before starts anew.
        if let Some(turn) = self.turns.get_mut(&camera).filter(|turn| turn.began.is_some()) {
            turn.fresh = turn
                .fresh
                .filter(|_| !well)
                .map(|failed| failed.saturating_add(1));
        }
        self.queue(camera);
    }

    /// Whether the camera is online.
    pub fn has(&self, camera: Uuid) -> bool {
        self.turns.contains_key(&camera)
    }

    /// The online cameras and when each came.
    pub fn cameras(&self) -> impl Iterator<Item = (Uuid, Instant)> {
        self.turns.iter().map(|(camera, turn)| (*camera, turn.came))
    }

    /// What to do at `now`.
    pub fn next(&mut self, now: Instant) -> Next {
        if self.running.len() >= self.pace.at_once {
            return Next::Idle;
        }
        let Some((camera, due)) = self.first(now) else {
            return Next::Idle;
        };
        if due > now {
            return Next::At(due);
        }
        if let Some(turn) = self.turns.get(&camera).copied() {
            self.leave(camera, turn);
            self.turns.insert(
                camera,
                Turn {
                    began: Some(now),
                    ..turn
                },
            );
        }
        self.running.insert(camera);
        self.last = Some(now);
        Next::Start(camera)
    }

    /// Whose turn is next, and when.
    fn first(&self, now: Instant) -> Option<(Uuid, Instant)> {
        let cameras = u32::try_from(self.turns.len()).unwrap_or(u32::MAX).max(1);
        let even = self.pace.period / cameras;
        let after = |gap| self.last.map_or(now, |last| last + gap);
        let earliest = after(self.pace.shortest_gap.min(even));
        let oldest = self.waiting.first().copied();
        let overdue = |began: Instant| began + self.pace.period <= now;
        if let Some((_, camera)) = oldest.filter(|(began, _)| overdue(*began)) {
            return Some((camera, earliest));
        }
        let fresh = self
            .fresh
            .first()
            .map(|(not_before, camera)| (*camera, earliest.max(*not_before)));
        let waiting = oldest.map(|(began, camera)| {
            let due = after(even).min(began + self.pace.period);
            (camera, earliest.max(due))
        });
        // Of two that are due together, the first: the one without a picture.
        fresh.into_iter().chain(waiting).min_by_key(|(_, due)| *due)
    }

    fn place(&self, turn: Turn) -> Place {
        match (turn.began, turn.fresh) {
            (None, _) => Place::Fresh(turn.came),
            (Some(began), None) => Place::Waiting(began),
            (Some(began), Some(failed)) => {
                let times = 2_u32.saturating_pow(failed.saturating_sub(1));
                let pause = self.pace.retry.saturating_mul(times);
                Place::Fresh(began + pause.min(self.pace.period))
            }
        }
    }

    fn queue(&mut self, camera: Uuid) {
        let Some(turn) = self.turns.get(&camera).copied() else {
            return;
        };
        if self.running.contains(&camera) {
            return;
        }
        match self.place(turn) {
            Place::Fresh(not_before) => self.fresh.insert((not_before, camera)),
            Place::Waiting(began) => self.waiting.insert((began, camera)),
        };
    }

    fn leave(&mut self, camera: Uuid, turn: Turn) {
        match self.place(turn) {
            Place::Fresh(not_before) => self.fresh.remove(&(not_before, camera)),
            Place::Waiting(began) => self.waiting.remove(&(began, camera)),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PACE: Pace = Pace {
        period: Duration::from_secs(60),
        shortest_gap: Duration::from_millis(100),
        retry: Duration::from_secs(5),
        at_once: 24,
    };

    fn id(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// What happens in one run.
    #[derive(Debug, Clone)]
    enum Event {
        Comes(u128),
        Goes(u128),
        Ends(u128),
    }

    /// One start of a read.
    #[derive(Debug, Clone, Copy)]
    struct Start {
        at: Duration,
        camera: u128,
        running: usize,
    }

    /// Plays `events` (each at its time since the beginning) for `length`, reads taking `read(camera)`; answers every start.
    fn play(
        pace: Pace,
        events: &[(Duration, Event)],
        length: Duration,
        mut read: impl FnMut(u128) -> Duration,
    ) -> Vec<Start> {
        let zero = Instant::now();
        let mut schedule = Schedule::new(pace);
        let mut ahead: BTreeSet<(Duration, usize)> = events.iter().map(|(at, _)| *at).zip(0..).collect();
        let mut events: Vec<Event> = events.iter().map(|(_, event)| event.clone()).collect();
        let (mut now, mut running, mut starts) = (Duration::ZERO, 0_usize, Vec::new());
        while now <= length {
            while let Some((_, which)) = ahead.first().copied().filter(|(at, _)| *at <= now) {
                ahead.pop_first();
                match events[which] {
                    Event::Comes(camera) => schedule.online(id(camera), zero + now),
                    Event::Goes(camera) => schedule.away(id(camera)),
                    Event::Ends(camera) => {
                        running -= 1;
                        schedule.ended(id(camera), true);
                    }
                }
            }
            let wake = loop {
                match schedule.next(zero + now) {
                    Next::Start(camera) => {
                        let camera = camera.as_u128();
                        running += 1;
                        starts.push(Start {
                            at: now,
                            camera,
                            running,
                        });
                        events.push(Event::Ends(camera));
                        ahead.insert((now + read(camera), events.len() - 1));
                    }
                    Next::At(at) => {
                        assert!(at > zero + now, "a time that has come is no wait");
                        break Some(at - zero);
                    }
                    Next::Idle => break None,
                }
            };
            let event = ahead.first().map(|(at, _)| *at);
            let Some(then) = wake.into_iter().chain(event).min() else {
                break;
            };
            now = then;
        }
        starts
    }

    fn all_at_once(cameras: u128) -> Vec<(Duration, Event)> {
        (0..cameras)
            .map(|camera| (Duration::ZERO, Event::Comes(camera)))
            .collect()
    }

    #[test]
    fn r1_1_11_five_hundred_cameras_cost_a_steady_few_sessions_a_second() {
        let starts = play(PACE, &all_at_once(500), Duration::from_secs(600), |_| {
            millis(1_000)
        });
        let first: HashSet<u128> = starts
            .iter()
            .take_while(|start| start.at <= PACE.period)
            .map(|start| start.camera)
            .collect();
        assert_eq!(first.len(), 500, "each within the first minute");
        let settled: Vec<_> = starts.iter().filter(|start| start.at > 2 * PACE.period).collect();
        for pair in settled.windows(2) {
            let gap = pair[1].at - pair[0].at;
            assert!(gap >= millis(119) && gap <= millis(121), "{gap:?}");
        }
        assert!(
            starts.iter().all(|start| start.running <= 11),
            "nine a second, a second each"
        );
    }

    #[test]
    fn r1_1_11_a_few_cameras_are_read_soon_and_then_spread_over_the_minute() {
        let starts = play(PACE, &all_at_once(3), Duration::from_secs(300), |_| millis(500));
        let at: Vec<_> = starts.iter().take(6).map(|start| start.at.as_millis()).collect();
        assert_eq!(at, [0, 100, 200, 20_200, 40_200, 60_200]);
    }

    #[test]
    fn r1_1_11_no_more_than_so_many_run() {
        // Each read takes far longer than the pace wants.
        let starts = play(PACE, &all_at_once(200), Duration::from_secs(300), |_| {
            millis(20_000)
        });
        assert_eq!(starts.iter().map(|start| start.running).max(), Some(PACE.at_once));
    }

    #[test]
    fn r1_1_11_cameras_that_come_and_go_hold_up_nobody() {
        // Five that come back as soon as they were read would take every turn.
        let mut events = vec![(Duration::ZERO, Event::Comes(0))];
        for tick in 0..3_000_u64 {
            let camera = u128::from(1 + tick % 5);
            events.push((millis(100 * tick), Event::Goes(camera)));
            events.push((millis(100 * tick), Event::Comes(camera)));
        }
        let starts = play(PACE, &events, Duration::from_secs(300), |_| millis(50));
        let steady: Vec<_> = starts.iter().filter(|start| start.camera == 0).collect();
        assert!(steady.len() >= 5, "{steady:?}");
        for pair in steady.windows(2) {
            assert!(pair[1].at - pair[0].at <= PACE.period + millis(200), "{pair:?}");
        }
    }

    #[test]
    fn r1_1_11_a_camera_without_a_picture_is_read_again_soon_and_then_ever_later() {
        let zero = Instant::now();
        let mut schedule = Schedule::new(PACE);
        schedule.online(id(1), zero);
        let mut at = zero;
        for pause in [0, 5, 10, 20, 40, 60, 60] {
            let due = at + Duration::from_secs(pause);
            if pause > 0 {
                assert_eq!(schedule.next(at), Next::At(due));
            }
            assert_eq!(schedule.next(due), Next::Start(id(1)));
            schedule.ended(id(1), false);
            at = due;
        }
        at += PACE.period;
        assert_eq!(schedule.next(at), Next::Start(id(1)));
        schedule.ended(id(1), true);
        // It has a picture now: what fails later waits for its turn.
        for _ in 0..3 {
            assert_eq!(schedule.next(at), Next::At(at + PACE.period));
            at += PACE.period;
            assert_eq!(schedule.next(at), Next::Start(id(1)));
            schedule.ended(id(1), false);
        }
        // Anew when it comes back.
        schedule.away(id(1));
        assert_eq!(schedule.next(at + millis(200)), Next::Idle);
        schedule.online(id(1), at + millis(200));
        assert_eq!(schedule.next(at + millis(200)), Next::Start(id(1)));
    }

    #[test]
    fn a_read_of_a_camera_that_went_counts_until_it_ends() {
        let now = Instant::now();
        let mut schedule = Schedule::new(Pace { at_once: 1, ..PACE });
        schedule.online(id(1), now);
        schedule.online(id(2), now);
        assert_eq!(schedule.next(now), Next::Start(id(1)));
        schedule.away(id(1));
        assert_eq!(schedule.next(now + millis(200)), Next::Idle);
        // Back before its read has ended: it is read again then.
        schedule.online(id(1), now + millis(200));
        schedule.ended(id(1), true);
        assert_eq!(schedule.next(now + millis(300)), Next::Start(id(2)));
        schedule.ended(id(2), true);
        assert_eq!(schedule.next(now + millis(400)), Next::Start(id(1)));
        // An end that nobody waits for.
        schedule.ended(id(7), true);
        assert!(!schedule.has(id(7)));
    }

    /// Comings and goings of up to 40 cameras over five minutes, at any time and in bursts.
    fn comings() -> impl Strategy<Value = Vec<(u64, u128, bool)>> {
        let at = prop_oneof![0_u64..300_000, (0_u64..15).prop_map(|burst| burst * 20_000)];
        prop::collection::vec((at, 0_u128..40, prop::bool::weighted(0.7)), 1..400)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn r1_1_11_never_too_many_and_each_online_camera_within_a_minute(
            comings in comings(),
            reads in prop::collection::vec(50_u64..3_000, 40),
            at_once in 4_usize..24,
        ) {
            let length = Duration::from_secs(420);
            let pace = Pace { at_once, ..PACE };
            let mut comings = comings;
            comings.sort();
            let events: Vec<_> = comings
                .iter()
                .map(|(at, camera, comes)| {
                    let event = if *comes { Event::Comes(*camera) } else { Event::Goes(*camera) };
                    (millis(*at), event)
                })
                .collect();
            let starts = play(pace, &events, length, |camera| millis(reads[usize::try_from(camera).unwrap()]));
            prop_assert!(starts.iter().all(|start| start.running <= at_once));
            for pair in starts.windows(2) {
                prop_assert!(pair[1].at - pair[0].at >= PACE.shortest_gap, "{pair:?}");
            }
            // From when a camera came, and from each of its reads, the next is due within a period; a read that runs when it
            // comes, and those that take all the places, may hold it up.
            let late = Duration::from_secs(3 + 3 * 40 / at_once as u64);
            for camera in 0..40 {
                for (from, to) in online(&comings, camera, length) {
                    let mut due = from + PACE.period + late;
                    let own = starts.iter().filter(|start| start.camera == camera);
                    for start in own.filter(|start| start.at >= from && start.at <= to) {
                        prop_assert!(start.at <= due, "{camera} at {:?}, due {due:?}", start.at);
                        due = start.at + PACE.period + late;
                    }
                    prop_assert!(due >= to, "{camera} was not read by {due:?}, and stayed until {to:?}");
                }
            }
        }
    }

    /// From when to when a camera is online.
    fn online(comings: &[(u64, u128, bool)], camera: u128, end: Duration) -> Vec<(Duration, Duration)> {
        let (mut stays, mut since) = (Vec::new(), None);
        for (at, _, comes) in comings.iter().filter(|(_, which, _)| *which == camera) {
            match (comes, since) {
                (true, None) => since = Some(millis(*at)),
                (false, Some(from)) => {
                    stays.push((from, millis(*at)));
                    since = None;
                }
                _ => {}
            }
        }
        stays.extend(since.map(|from| (from, end)));
        stays
    }
}
