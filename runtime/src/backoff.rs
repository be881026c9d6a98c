//! Per-object backoff: grows with each failure, is jittered so that objects that failed together do not
//! come back together, and is forgotten on success (kube-rs has none: its error policy hears no successes).

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// First pause, growth and cap.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    /// Pause after the first failure.
    pub initial: Duration,
    /// Longest pause.
    pub max: Duration,
}

impl Schedule {
    /// For reconciles: 0.5 s to 2 min, doubling.
    pub const RECONCILE: Self = Self {
        initial: Duration::from_millis(500),
        max: Duration::from_secs(120),
    };

    /// The pause after `failures` failures in a row (1 or more); `chance` in 0..1 takes away up to half of it.
    pub fn pause(self, failures: u32, chance: f64) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let full = self.initial.saturating_mul(1_u32 << doublings).min(self.max);
        full.mul_f64(1.0 - chance.clamp(0.0, 1.0) / 2.0)
    }
}

/// Failures in a row, by object.
#[derive(Debug)]
pub struct Backoff<K> {
    schedule: Schedule,
    failures: Mutex<HashMap<K, u32>>,
}

impl<K: Eq + Hash> Backoff<K> {
    /// No object has failed yet.
    pub fn new(schedule: Schedule) -> Self {
        Self {
            schedule,
            failures: Mutex::new(HashMap::new()),
        }
    }

    /// Counts a failure of `key` and says how long to wait.
    pub fn failed(&self, key: K) -> Duration {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let count = failures.entry(key).or_insert(0);
        *count = count.saturating_add(1);
        self.schedule.pause(*count, rand::random::<f64>())
    }

    /// Forgets `key`: it succeeded or is gone.
    pub fn settled(&self, key: &K) {
        self.failures
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(key);
    }

    /// How many objects are failing now.
    pub fn failing(&self) -> usize {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn r1_1_03_pauses_double_to_the_cap() {
        let schedule = Schedule {
            initial: Duration::from_secs(1),
            max: Duration::from_secs(30),
        };
        let pauses: Vec<_> = (1..=7).map(|n| schedule.pause(n, 0.0).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
    }

    #[test]
    fn success_starts_over() {
        let backoff = Backoff::new(Schedule::RECONCILE);
        for _ in 0..10 {
            backoff.failed("a");
        }
        assert_eq!(backoff.failing(), 1);
        backoff.settled(&"a");
        assert_eq!(backoff.failing(), 0);
        assert!(backoff.failed("a") <= Schedule::RECONCILE.initial);
    }

    proptest! {
        #[test]
        fn a_pause_is_never_over_the_cap_nor_under_half(failures in 1_u32.., chance in 0.0_f64..1.0) {
            let pause = Schedule::RECONCILE.pause(failures, chance);
            prop_assert!(pause <= Schedule::RECONCILE.max);
            prop_assert!(pause >= Schedule::RECONCILE.initial / 2);
        }
    }
}
