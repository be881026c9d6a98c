//! Slows down who guesses passwords: five failures in sixty seconds for one user name, then wait.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Failures allowed in a window.
const ATTEMPTS: usize = 5;
const WINDOW: Duration = Duration::from_secs(60);
/// Names remembered at once; about 1 MB.
const MOST_NAMES: usize = 10_000;

/// Attempts by user name, known or not: an unknown name must look like a known one.
#[derive(Debug, Default)]
pub(crate) struct Throttle(Mutex<HashMap<String, VecDeque<Instant>>>);

impl Throttle {
    /// Counts an attempt as failed until [`Throttle::forgive`] says otherwise, so that attempts sent all at once
    /// are counted too. `Err`: the wait until the next one may be made.
    pub(crate) fn begin(&self, name: &str, now: Instant) -> Result<(), Duration> {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !names.contains_key(name) && names.len() >= MOST_NAMES {
            names.retain(|_, attempts| {
                attempts
                    .back()
                    .is_some_and(|last| now.duration_since(*last) < WINDOW)
            });
            if names.len() >= MOST_NAMES {
                // Somebody is trying thousands of names: new ones wait, those at work are not forgotten.
                return Err(WINDOW);
            }
        }
        let attempts = names.entry(name.to_owned()).or_default();
        while attempts
            .front()
            .is_some_and(|first| now.duration_since(*first) >= WINDOW)
        {
            attempts.pop_front();
        }
        match attempts.front() {
            Some(first) if attempts.len() >= ATTEMPTS => {
                Err(WINDOW.saturating_sub(now.duration_since(*first)))
            }
            _ => {
                attempts.push_back(now);
                Ok(())
            }
        }
    }

    /// The attempt succeeded: whoever knows the password starts afresh.
    pub(crate) fn forgive(&self, name: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_in_a_minute_then_wait_for_the_first_to_age() {
        let throttle = Throttle::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        for second in [0, 10, 20, 30, 40] {
            assert_eq!(throttle.begin("admin", at(second)), Ok(()), "{second}");
        }
        assert_eq!(throttle.begin("admin", at(50)), Err(Duration::from_secs(10)));
        assert_eq!(throttle.begin("noura", at(50)), Ok(()), "others are not held up");
        // A refused attempt does not prolong the wait.
        assert_eq!(throttle.begin("admin", at(60)), Ok(()));
        assert_eq!(throttle.begin("admin", at(60)), Err(Duration::from_secs(10)));
    }

    #[test]
    fn success_starts_over() {
        let throttle = Throttle::default();
        let now = Instant::now();
        for _ in 0..20 {
            assert_eq!(throttle.begin("admin", now), Ok(()));
            throttle.forgive("admin");
        }
    }

    #[test]
    fn names_are_bounded_and_those_at_work_are_kept() {
        let throttle = Throttle::default();
        let now = Instant::now();
        for _ in 0..ATTEMPTS {
            throttle.begin("admin", now).unwrap();
        }
        for n in 1..MOST_NAMES {
            throttle.begin(&format!("name-{n}"), now).unwrap();
        }
        assert!(throttle.begin("one more", now).is_err());
        assert!(throttle.begin("admin", now).is_err());
        assert_eq!(
            throttle.begin("one more", now + WINDOW),
            Ok(()),
            "the old ones are swept"
        );
    }
}
