//! When one stream of a camera is tried, and when it is left alone (R1.1-03, R1.1-07, R1.1-08, C-17; docs/adr/0009). Pure: the clock and the
//! dice are given.
//!
//! MediaMTX tries every five seconds for ever, so a try is made by giving its path the source, and ended by taking it away again.

use std::time::{Duration, Instant};

/// Pause after the first failure (R1.1-03).
const FIRST: Duration = Duration::from_secs(1);
/// Failures in a row that open the circuit (R1.1-08).
const OPENS_AT: u32 = 3;
/// From the opening to the try that may close it (R1.1-08); the longest pause of R1.1-03 too.
pub(crate) const HALF_OPEN_AFTER: Duration = Duration::from_secs(30);
/// Tries after the first failure, those of the half-open circuit counted (R1.1-07, C-17). After them the camera has failed.
const RETRIES: u32 = 5;
/// Pause between the tries of a camera that has failed.
const SELDOM: Duration = Duration::from_secs(60);
/// How long a camera must send before its failures are forgotten: one that comes and goes is not tried without end.
const STEADY: Duration = Duration::from_secs(30);
/// A try takes this long at most: a camera's connect timeout (R1.1-06), and a poll.
const TRY: Duration = Duration::from_secs(11);
/// A try of a camera that says no at once: MediaMTX's second one, 5 s after its first, must not come.
const SHORT_TRY: Duration = Duration::from_secs(3);

/// What is seen of the stream's path on its shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sight {
    /// The shard has not the path, or not with this source: new, moved, restarted, or taken away from it by us.
    Unset,
    /// It has it, and nothing comes.
    Silent,
    /// The camera is connected.
    Up,
}

/// What to do with the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    /// Whether it should pull the camera now.
    pub pull: bool,
    /// When to look again at the latest.
    pub again: Option<Duration>,
    /// A try begins that was waited for.
    pub begins: bool,
    /// A try, or a connection, has failed.
    pub failed: bool,
}

/// The tries of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tries {
    failures: u32,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It is being tried, since its path stands.
    Trying { since: Instant },
    /// It sends.
    Up { since: Instant },
    /// It is left alone.
    Resting { from: Instant, until: Instant },
}

impl Tries {
    /// A stream that may be tried from `at` on.
    pub(crate) fn new(now: Instant, at: Instant) -> Self {
        let phase = if at > now {
            Phase::Resting { from: now, until: at }
        } else {
            Phase::Trying { since: now }
        };
        Self { failures: 0, phase }
    }

    /// A stream whose circuit another leader left open: nobody knows since when, so its try comes at any moment of the pause.
    pub(crate) fn left_open(now: Instant, chance: f64) -> Self {
        Self {
            failures: OPENS_AT,
            phase: Phase::Resting {
                from: now,
                until: now + HALF_OPEN_AFTER.mul_f64(chance),
            },
        }
    }

    /// Failures opened it, and no try has succeeded since.
    pub(crate) fn open(&self) -> bool {
        self.failures >= OPENS_AT && !self.up()
    }

    /// The retries are used up (C-17).
    pub(crate) fn gave_up(&self) -> bool {
        self.failures > RETRIES && !self.up()
    }

    /// It is being tried at this moment.
    pub(crate) fn trying(&self) -> bool {
        matches!(self.phase, Phase::Trying { .. })
    }

    /// It sends.
    pub(crate) fn up(&self) -> bool {
        matches!(self.phase, Phase::Up { .. })
    }

    /// It has failed, and has not been steady since.
    pub(crate) fn failed_before(&self) -> bool {
        self.failures > 0
    }

    /// How long the try has taken that is under way.
    pub(crate) fn trying_for(&self, now: Instant) -> Option<Duration> {
        match self.phase {
            Phase::Trying { since } => Some(now.duration_since(since)),
            Phase::Up { .. } | Phase::Resting { .. } => None,
        }
    }

    /// Its next try is not before `at`.
    pub(crate) fn put_off(&mut self, now: Instant, at: Instant) {
        self.phase = Phase::Resting { from: now, until: at };
    }

    /// What it waits for has come, at `came`: it is tried at `at` instead, unless it was left alone after that.
    pub(crate) fn hurry(&mut self, came: Instant, at: Instant) {
        if let Phase::Resting { from, until } = self.phase
            && from <= came
            && at < until
        {
            self.phase = Phase::Resting { from, until: at };
        }
    }

    /// The next step. `refuses`: the camera is known to say no at once. `chance` in 0..1 spreads cameras that failed together.
    pub(crate) fn step(&mut self, sight: Sight, refuses: bool, now: Instant, chance: f64) -> Step {
        let mut step = Step {
            pull: true,
            again: None,
            begins: false,
            failed: false,
        };
        if let Phase::Resting { until, .. } = self.phase
            && until <= now
        {
            self.phase = Phase::Trying { since: now };
            step.begins = true;
        }
        match (self.phase, sight) {
            // What is left alone may look connected for a poll more.
            (Phase::Resting { .. }, _) => {}
            // The shard's doing, not the camera's: its try begins when its path stands.
            (Phase::Trying { .. } | Phase::Up { .. }, Sight::Unset) => {
                self.phase = Phase::Trying { since: now };
            }
            (Phase::Trying { .. }, Sight::Up) => self.phase = Phase::Up { since: now },
            (Phase::Trying { since }, Sight::Silent) => {
                if now.duration_since(since) >= length(refuses) {
                    step.failed = true;
                }
            }
            (Phase::Up { since }, Sight::Up) => {
                if now.duration_since(since) >= STEADY {
                    self.failures = 0;
                }
            }
            (Phase::Up { since }, Sight::Silent) => {
                if now.duration_since(since) >= STEADY {
                    self.failures = 0;
                }
                step.failed = true;
            }
        }
        if step.failed {
            self.failures = self.failures.saturating_add(1);
            self.put_off(now, now + pause(self.failures, chance));
        }
        match self.phase {
            Phase::Resting { until, .. } => {
                step.pull = false;
                step.again = Some(until.saturating_duration_since(now));
            }
            Phase::Trying { since } => {
                step.again = Some((since + length(refuses)).saturating_duration_since(now));
            }
            Phase::Up { .. } => {}
        }
        step
    }
}

fn length(refuses: bool) -> Duration {
    if refuses { SHORT_TRY } else { TRY }
}

/// The pause after `failures` failures in a row. A pause between tries is made up to a fifth shorter by `chance`, one of an open
/// circuit up to a fifth longer: neither goes against the number that the customer gave.
fn pause(failures: u32, chance: f64) -> Duration {
    let fifth = chance.clamp(0.0, 1.0) / 5.0;
    if failures > RETRIES {
        SELDOM.mul_f64(1.0 + fifth)
    } else if failures >= OPENS_AT {
        HALF_OPEN_AFTER.mul_f64(1.0 + fifth)
    } else {
        (FIRST * (1 << failures.saturating_sub(1))).mul_f64(1.0 - fifth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    /// A camera by its script of (second, up), looked at ten times a second for `end` seconds: when it was tried, when it failed.
    fn play(up: impl Fn(f64) -> bool, refuses: bool, chance: f64, end: f64) -> (Vec<f64>, Vec<f64>, Tries) {
        let start = Instant::now();
        let mut tries = Tries::new(start, start);
        let (mut began, mut failed) = (vec![0.0], Vec::new());
        let mut pulled = false;
        let mut tenth = 0_u32;
        loop {
            let at = f64::from(tenth) / 10.0;
            if at > end {
                return (began, failed, tries);
            }
            let sight = match (pulled, up(at)) {
                (false, _) => Sight::Unset,
                (true, true) => Sight::Up,
                (true, false) => Sight::Silent,
            };
            let step = tries.step(sight, refuses, start + seconds(at), chance);
            pulled = step.pull;
            if step.begins {
                began.push(at);
            }
            if step.failed {
                failed.push(at);
            }
            tenth += 1;
        }
    }

    fn pauses(began: &[f64], failed: &[f64]) -> Vec<f64> {
        failed
            .iter()
            .zip(&began[1..])
            .map(|(failed, began)| ((began - failed) * 10.0).round() / 10.0)
            .collect()
    }

    #[test]
    fn r1_1_03_r1_1_08_c_17_a_dead_camera_is_tried_on_the_schedule() {
        let (began, failed, tries) = play(|_| false, true, 0.0, 300.0);
        assert_eq!(
            pauses(&began, &failed)[..7],
            [1.0, 2.0, 30.0, 30.0, 30.0, 60.0, 60.0]
        );
        assert!(tries.open() && tries.gave_up());
        let (began, failed, _) = play(|_| false, true, 1.0, 300.0);
        assert_eq!(
            pauses(&began, &failed)[..7],
            [0.8, 1.6, 36.0, 36.0, 36.0, 72.0, 72.0]
        );
    }

    #[test]
    fn r1_1_06_a_try_ends_after_the_connect_timeout_and_sooner_when_the_camera_refuses() {
        let (_, failed, _) = play(|_| false, false, 0.0, 20.0);
        assert!((failed[0] - 11.0).abs() < 0.2, "{failed:?}");
        let (_, failed, _) = play(|_| false, true, 0.0, 20.0);
        assert!(
            (failed[0] - 3.0).abs() < 0.2,
            "before MediaMTX's second: {failed:?}"
        );
    }

    #[test]
    fn r1_1_08_the_circuit_opens_at_the_third_failure_and_closes_with_a_picture() {
        let start = Instant::now();
        let mut tries = Tries::new(start, start);
        let mut now = start;
        for failure in 1..=3 {
            assert!(!tries.open());
            tries.step(Sight::Unset, true, now, 0.0);
            now += TRY;
            assert!(tries.step(Sight::Silent, true, now, 0.0).failed, "{failure}");
            now += HALF_OPEN_AFTER;
        }
        assert!(tries.open() && !tries.gave_up());
        assert!(tries.step(Sight::Unset, true, now, 0.0).pull, "half-open");
        assert!(tries.open());
        tries.step(Sight::Up, true, now, 0.0);
        assert!(!tries.open());
    }

    #[test]
    fn a_camera_that_drops_out_is_back_after_a_second() {
        let (began, failed, _) = play(|at| !(40.0..40.5).contains(&at), false, 0.0, 60.0);
        assert_eq!((failed.len(), began.len()), (1, 2));
        assert!(
            began[1] - failed[0] <= 1.1,
            "MediaMTX alone takes 5 s: {began:?} {failed:?}"
        );
    }

    #[test]
    fn a_camera_that_comes_and_goes_every_two_seconds_is_not_tried_without_end() {
        let flapping = |at: f64| ((at / 2.0) as u64).is_multiple_of(2);
        let (began, _, tries) = play(flapping, false, 0.5, 300.0);
        assert!(began.len() <= 12, "{began:?}");
        assert!(tries.failures >= OPENS_AT);
    }

    #[test]
    fn a_restart_of_the_shard_is_not_the_camera_s_failure() {
        let start = Instant::now();
        let mut tries = Tries::new(start, start);
        tries.step(Sight::Unset, false, start, 0.0);
        tries.step(Sight::Up, false, start + seconds(1.0), 0.0);
        let gone = tries.step(Sight::Unset, false, start + seconds(50.0), 0.0);
        assert!(gone.pull && !gone.failed && !gone.begins);
        let late = tries.step(Sight::Unset, false, start + seconds(90.0), 0.0);
        assert!(late.pull && !late.failed, "the try begins when the path stands");
    }

    #[test]
    fn what_failed_before_its_server_came_back_is_tried_at_once() {
        let start = Instant::now();
        let mut tries = Tries::left_open(start, 1.0);
        tries.hurry(start + seconds(5.0), start + seconds(6.0));
        assert!(!tries.step(Sight::Unset, false, start + seconds(5.9), 0.0).pull);
        assert!(tries.step(Sight::Unset, false, start + seconds(6.0), 0.0).pull);
        let mut later = Tries::left_open(start + seconds(9.0), 1.0);
        later.hurry(start + seconds(5.0), start + seconds(9.0));
        assert!(!later.step(Sight::Unset, false, start + seconds(10.0), 0.0).pull);
    }

    proptest! {
        /// Whatever a camera does: no pause is shorter than 0.8 s, it always says when to look again while it is not up, and it is never
        /// tried more than five times in any half minute.
        #[test]
        fn no_hot_loop(script in prop::collection::vec((0..3_u8, any::<bool>(), 0..5_000_u64), 1..200), chance in 0.0..1.0_f64) {
            let start = Instant::now();
            let mut tries = Tries::new(start, start);
            let mut now = start;
            let mut began = vec![];
            for (sight, refuses, pause) in script {
                now += Duration::from_millis(pause);
                let sight = [Sight::Unset, Sight::Silent, Sight::Up][usize::from(sight)];
                let step = tries.step(sight, refuses, now, chance);
                prop_assert!(step.again.is_some() || tries.up());
                prop_assert!(!step.failed || !step.pull);
                prop_assert!(!step.failed || step.again.is_some_and(|again| again >= seconds(0.8)));
                if step.begins {
                    began.push(now);
                }
            }
            for window in began.windows(6) {
                prop_assert!(window[5].duration_since(window[0]) >= Duration::from_secs(30));
            }
        }
    }
}
